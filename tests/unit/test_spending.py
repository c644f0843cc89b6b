"""C1: entries, and how amounts fall to days and parts of days."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levqor.domain.spending import Category, Entry, EntryType, WrongEntry, day_start, total
from levqor.policies.spreading import day_of_month, part_within
from levqor.spend.stripe import money

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AMOUNTS = st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False, places=6)


def entry(**changed: Any) -> Entry:
    fields: dict[str, Any] = {
        "source": "infra",
        "key": "a",
        "at": NOON,
        "line_item": "redis",
        "category": Category.INFRA,
        "type": EntryType.COST,
        "currency": "usd",
        "amount": Decimal("7.50"),
    }
    return Entry(**{**fields, **changed})


@pytest.mark.parametrize("amount", [7.5, 7, "7.5", None], ids=str)
def test_an_entry_takes_no_float_for_money(amount: object) -> None:
    with pytest.raises(TypeError, match="never a float"):
        entry(amount=amount)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"amount": Decimal("NaN")}, "amount"),
        ({"amount": Decimal("Infinity")}, "amount"),
        ({"amount": Decimal("1e12")}, "amount"),
        ({"amount": Decimal("1e-19")}, "amount"),
        ({"currency": "USD"}, "currency"),
        ({"currency": "dollar"}, "currency"),
        ({"source": ""}, "source"),
        ({"key": ""}, "key"),
        ({"key": "k" * 201}, "key"),
        ({"line_item": "a\nb"}, "line_item"),
        ({"note": "n" * 501}, "note"),
        ({"at": NOON.replace(tzinfo=None)}, "at"),
        ({"day": date(2026, 3, 1)}, "at"),
        ({"type": EntryType.REVENUE}, "type"),
        ({"category": Category.REVENUE}, "type"),
    ],
)
def test_an_entry_says_which_field_is_wrong(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(WrongEntry, match=f"^{field}:"):
        entry(**changed)


def test_the_bounds_of_an_amount_are_taken() -> None:
    assert entry(amount=Decimal("999999999999.99")).amount
    assert entry(amount=Decimal("1e-18")).amount


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=18), max_size=30))
def test_a_sum_is_exact_whatever_the_order(amounts: list[Decimal]) -> None:
    exact = sum((Fraction(amount) for amount in amounts), Fraction(0))
    assert Fraction(total(amounts)) == Fraction(total(reversed(amounts))) == exact


@given(AMOUNTS, st.dates(date(2020, 1, 1), date(2030, 12, 1)))
def test_the_days_of_a_month_sum_to_the_monthly_amount_exactly(monthly: Decimal, day: date) -> None:
    days = [day.replace(day=number) for number in range(1, monthrange(day.year, day.month)[1] + 1)]
    shares = [day_of_month(monthly, each) for each in days]
    assert total(shares) == monthly
    assert max(shares) - min(shares) <= Decimal("0.000001") + abs(monthly) * Decimal("1e-50")


@given(AMOUNTS, st.lists(st.integers(0, 86_400), max_size=6))
def test_the_parts_of_a_day_sum_to_the_day(amount: Decimal, seconds: list[int]) -> None:
    begin = day_start(date(2026, 3, 29))  # the night of a change of clocks in Europe: a UTC day has 24 h
    cuts = [begin - timedelta(hours=1), *(begin + timedelta(seconds=second) for second in sorted(seconds)), begin + timedelta(hours=30)]
    end = begin + timedelta(days=1)
    parts = [part_within(amount, begin, end, start, until) for start, until in pairwise(cuts)]
    assert abs(total(parts) - amount) < Decimal("1e-30")


def test_a_part_is_of_the_time_after_start_up_to_end() -> None:
    begin, day = day_start(date(2026, 3, 1)), timedelta(days=1)
    assert part_within(Decimal(24), begin, begin + day, begin + timedelta(hours=6), begin + timedelta(hours=7)) == 1
    assert part_within(Decimal(24), begin, begin + day, begin + day, begin + 2 * day) == 0
    assert part_within(Decimal(24), begin, begin + day, begin - day, begin) == 0


@pytest.mark.parametrize(
    ("minor", "currency", "amount"),
    [(1050, "usd", "10.50"), (500, "jpy", "500"), (5124, "kwd", "5.124"), (-1, "eur", "-0.01"), (500, "isk", "5.00"), (500, "ugx", "5.00")],
)
def test_the_smallest_unit_depends_on_the_currency(minor: int, currency: str, amount: str) -> None:
    assert money(minor, currency) == Decimal(amount)
