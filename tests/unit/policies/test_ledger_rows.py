"""C1, X3: what people write for an entry."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from levqor.domain.spending import Category, EntryType, WrongEntry
from levqor.policies.ledger_rows import entry_of, key_of_content

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROW = {"source": "infra", "amount": "46", "currency": "usd"}


def test_a_row_without_a_day_is_now() -> None:
    entry = entry_of(ROW, NOW, "k")
    assert (entry.at, entry.day, entry.amount, entry.category, entry.type) == (NOW, None, Decimal(46), Category.INFRA, EntryType.COST)
    assert (entry.key, entry.line_item) == ("k", "infra")


def test_a_row_with_a_day_is_that_whole_utc_day() -> None:
    entry = entry_of({**ROW, "day": "2026-02-28"}, NOW, "k")
    assert entry.day == date(2026, 2, 28)
    assert entry.at == datetime(2026, 2, 28, tzinfo=UTC)


def test_a_time_keeps_its_zone() -> None:
    assert entry_of({**ROW, "at": "2026-02-28T23:30:00-02:00"}, NOW, "k").utc_day == date(2026, 3, 1)


@pytest.mark.parametrize(
    ("category", "amount", "kind"),
    [
        ("revenue", "5", EntryType.REVENUE),
        ("revenue", "-5", EntryType.REFUND),
        ("fees", "5", EntryType.FEE),
        ("fees", "-5", EntryType.FEE),
        ("ai", "5", EntryType.COST),
    ],
)
def test_the_type_follows_from_category_and_sign(category: str, amount: str, kind: EntryType) -> None:
    assert entry_of({**ROW, "category": category, "amount": amount}, NOW, "k").type is kind


@pytest.mark.parametrize(
    "amount", ["NaN", "Infinity", "1e5", "1" * 20_000, "1,5", "0x1", "", "٣", "1_000", "--1", ".", "0." + "0" * 18 + "1", "9999999999999"]
)
def test_an_amount_that_is_none_is_refused_and_not_repeated(amount: str) -> None:
    with pytest.raises(WrongEntry, match="amount") as caught:
        entry_of({**ROW, "amount": amount}, NOW, "k")
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"source": None}, "source: missing"),
        ({"source": "somebody"}, "category: expected"),
        ({"category": "other"}, "category: expected"),
        ({"type": "gift"}, "type: expected"),
        ({"type": "revenue"}, "type: revenue"),
        ({"currency": "dollars"}, "currency:"),
        ({"day": "2026-02-30"}, "day: expected"),
        ({"day": "20260228"}, "day: expected"),
        ({"day": "1999-01-01"}, "day: expected one of the last two years"),
        ({"day": "9999-12-31"}, "day: expected one of the last two years"),
        ({"at": "2026-02-28T10:00:00"}, "at: expected a time with its zone"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at: expected"),
        ({"day": "2026-02-28", "at": "2026-02-28T10:00:00Z"}, "day, at"),
        ({"colour": "red"}, "expected columns among"),
        ({"source": "workers", "line_item": "worker-hours"}, "written by Levqor alone"),
    ],
)
def test_a_wrong_field_is_named(changed: dict[str, str | None], words: str) -> None:
    with pytest.raises(WrongEntry, match=words):
        entry_of({**ROW, **changed}, NOW, "k")


def test_the_key_of_a_row_is_its_content_and_how_often_it_was_there() -> None:
    same = {"note": "", "currency": "usd ", "amount": "46", "source": "infra"}
    assert key_of_content(ROW, 1) == key_of_content(same, 1)
    assert key_of_content(ROW, 1) != key_of_content(ROW, 2)
    assert key_of_content(ROW, 1) != key_of_content({**ROW, "note": "x"}, 1)
