"""C1, C6, X2: Stripe, OpenAI and the constants, each over its real wire."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.clock import ManualClock
from tests.integration.fake_openai import ADMIN_KEY, FakeOpenAi, fake_openai
from tests.integration.fake_stripe import DAY_S, KEY, FakeStripe, fake_stripe

from levqor.domain.errors import SourceDown
from levqor.domain.spending import Category, Entry, EntryStatus, EntryType, SpendPage, total
from levqor.ports import SpendSource
from levqor.spend import stripe as stripe_source
from levqor.spend.constants import Constants
from levqor.spend.openai import OpenAi
from levqor.spend.stripe import Stripe

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = int(NOW.timestamp())
TODAY = NOW.date()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    with fake_stripe() as fake:
        yield fake


@pytest.fixture
def openai() -> Iterator[FakeOpenAi]:
    with fake_openai(TODAY) as fake:
        yield fake


def read(source: SpendSource, cursor: Mapping[str, Any] | None = None) -> tuple[list[Entry], Mapping[str, Any] | None, int]:
    """Every entry once, the last cursor, and how many pages there were."""
    pages: list[SpendPage] = list(source.pages(cursor))
    entries = {entry.key: entry for page in pages for entry in page.entries}
    return list(entries.values()), pages[-1].cursor if pages else None, len(pages)


class TestStripe:
    def source(self, fake: FakeStripe, clock: ManualClock, key: str = KEY) -> Stripe:
        return Stripe(key, fake.url, clock=clock)

    def test_a_month_of_history_comes_whole(self, stripe: FakeStripe, clock: ManualClock) -> None:
        """Every charge, fee, refund and dispute; a payout moves money and earns none."""
        stripe.history(STAMP, days=30, a_day=20)
        entries, cursor, pages = read(self.source(stripe, clock))
        assert pages == 7
        assert all(query["limit"] == "100" and "created[gte]" in query and "created[lt]" in query for query in stripe.asked)
        kinds = {"charge": "stripe_charges", "refund": "stripe_refunds", "adjustment": "stripe_disputes"}
        for kind, line_item in kinds.items():
            minor = sum(row["amount"] for row in stripe.transactions if row["type"] == kind)
            assert total(entry.amount for entry in entries if entry.line_item == line_item) == Decimal(minor) / 100
        fees = [entry for entry in entries if entry.category is Category.FEES]
        assert total(entry.amount for entry in fees) == Decimal(sum(row["fee"] for row in stripe.transactions)) / 100
        assert {entry.type for entry in fees} == {EntryType.FEE}
        assert cursor is not None
        assert cursor["left_out"] == ["payout"]
        assert not any("jane" in repr(entry) for entry in entries), "X2: no personal data"

    def test_revenue_is_no_cost_and_a_refund_is_negative_revenue(self, stripe: FakeStripe, clock: ManualClock) -> None:
        stripe.charge(STAMP - 10 * DAY_S, 10_000, fee=320)
        stripe.refund(STAMP - 60, 4_000)
        entries = {entry.line_item: entry for entry in read(self.source(stripe, clock))[0]}
        charge, fee, refund = entries["stripe_charges"], entries["stripe_fees"], entries["stripe_refunds"]
        assert (charge.category, charge.type, charge.amount) == (Category.REVENUE, EntryType.REVENUE, Decimal("100.00"))
        assert (fee.category, fee.type, fee.amount) == (Category.FEES, EntryType.FEE, Decimal("3.20"))
        assert (refund.category, refund.type, refund.amount) == (Category.REVENUE, EntryType.REFUND, Decimal("-40.00"))
        assert refund.utc_day == TODAY, "a late refund lands on its own day"
        assert charge.utc_day == TODAY - timedelta(days=10)

    def test_fees_of_stripe_itself_are_cost_and_given_back_they_are_negative(self, stripe: FakeStripe, clock: ManualClock) -> None:
        stripe.put(STAMP - 60, -250, "usd", "stripe_fee", category="fee")
        stripe.put(STAMP - 50, 100, "usd", "adjustment", category="fee")
        stripe.put(STAMP - 40, -5_000, "usd", "payout", fee=50)
        assert sorted(entry.amount for entry in read(self.source(stripe, clock))[0]) == [Decimal("-1.00"), Decimal("0.50"), Decimal("2.50")]

    @pytest.mark.parametrize(("currency", "amount"), [("jpy", "1200"), ("kwd", "1.200"), ("usd", "12.00")])
    def test_each_currency_has_its_own_smallest_unit(self, stripe: FakeStripe, clock: ManualClock, currency: str, amount: str) -> None:
        stripe.charge(STAMP - 60, 1_200, currency, fee=0)
        (entry,) = read(self.source(stripe, clock))[0]
        assert (entry.currency, entry.amount) == (currency, Decimal(amount))

    def test_the_next_time_only_what_is_new_comes_with_an_overlap(self, stripe: FakeStripe, clock: ManualClock) -> None:
        stripe.history(STAMP, days=5)
        newest = stripe.charge(STAMP - 60, 100)
        source = self.source(stripe, clock)
        _, cursor, _ = read(source)
        late = stripe.charge(STAMP - 61, 200)  # it came to be seen later than one that is newer
        same = stripe.charge(STAMP - 60, 300)
        entries, after, pages = read(source, cursor)
        assert {newest, late, same} <= {entry.key for entry in entries}
        assert len(entries) < 20
        assert pages == 1
        assert after == cursor

    def test_a_walk_that_was_cut_short_goes_on_and_then_looks_for_what_is_newer(self, stripe: FakeStripe, clock: ManualClock) -> None:
        stripe.history(STAMP, days=30, a_day=10)
        source = self.source(stripe, clock)
        pages = source.pages(None)
        first = next(pages)
        pages.close()  # type: ignore[attr-defined] # a generator
        newer = stripe.charge(STAMP + 5, 700)
        found, _, _ = read(source, first.cursor)
        keys = {entry.key for entry in (*first.entries, *found)}
        assert {row["id"] for row in stripe.transactions if row["type"] != "payout"} <= keys
        assert newer in keys

    def test_a_walk_whose_place_is_gone_begins_anew(self, stripe: FakeStripe, clock: ManualClock) -> None:
        stripe.history(STAMP, days=30)
        source = self.source(stripe, clock)
        cursor = dict(next(iter(source.pages(None))).cursor)
        cursor["walk"] = {**cursor["walk"], "after": "txn_gone"}
        entries, after, _ = read(source, cursor)
        assert {row["id"] for row in stripe.transactions if row["type"] != "payout"} <= {entry.key for entry in entries}
        assert after is not None
        assert "walk" not in after

    @pytest.mark.parametrize("hours", [-48, 48, 24 * 400], ids=["back", "ahead", "a year ahead"])
    def test_a_clock_that_jumps_skips_nothing(self, stripe: FakeStripe, clock: ManualClock, hours: int) -> None:
        stripe.history(STAMP, days=3)
        source = self.source(stripe, clock)
        _, cursor, _ = read(source)
        clock.jump(hours * 3_600)
        _, cursor, _ = read(source, cursor)
        clock.jump(-hours * 3_600)
        new = stripe.charge(STAMP - 30, 900)
        assert new in {entry.key for entry in read(source, cursor)[0]}

    @pytest.mark.parametrize(
        ("status", "headers", "is_permanent", "wait_s", "words"),
        [
            (429, {"Retry-After": "7"}, False, 7.0, "asks to wait"),
            (429, {}, False, None, "asks to wait"),
            (429, {"Retry-After": "soon"}, False, None, "asks to wait"),
            (500, {}, False, None, "answers 500"),
            (503, {"Retry-After": "3"}, False, 3.0, "answers 503"),
            (403, {}, True, None, "check STRIPE_SECRET_KEY"),
            (400, {}, True, None, "refuses the request"),
        ],
    )
    def test_each_refusal_is_named(
        self,
        stripe: FakeStripe,
        clock: ManualClock,
        status: int,
        headers: dict[str, str],
        is_permanent: bool,
        wait_s: float | None,
        words: str,
    ) -> None:
        stripe.failures = [(status, headers)]
        with pytest.raises(SourceDown, match=words) as caught:
            read(self.source(stripe, clock))
        assert (caught.value.permanent, caught.value.retry_after_s) == (is_permanent, wait_s)
        assert len(stripe.asked) == 1, "the SDK repeats nothing by itself"

    def test_a_wrong_key_is_named_and_never_shown(
        self, stripe: FakeStripe, clock: ManualClock, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level("DEBUG")
        with pytest.raises(SourceDown, match="STRIPE_SECRET_KEY") as caught:
            read(self.source(stripe, clock, key="sk_live_wrongSecret"))
        assert caught.value.permanent
        assert caught.value.__cause__ is None
        for text in (str(caught.value), caplog.text, *capfd.readouterr()):
            assert "wrongSecret" not in text

    def test_a_key_that_is_no_header_is_not_shown(self, stripe: FakeStripe, clock: ManualClock) -> None:
        with pytest.raises(SourceDown, match="STRIPE_SECRET_KEY is not a key") as caught:
            read(self.source(stripe, clock, key="sk_live_wrong\nSecret"))
        assert "sk_live" not in str(caught.value)

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"<html>", "not JSON"),
            (b'{"object": "list", "data": [], "has_more": true}', "empty page"),
            (b'{"object": "list", "data": [{"id": "txn_1"}], "has_more": false}', "not a list"),
            (b'{"object": "list", "has_more": false}', "not a list"),
            (b"[]", "not a list"),
            (
                b'{"object": "list", "has_more": false, "data": [{"id": "t", "object": "balance_transaction", "amount": 1.5, "fee": 0, '
                b'"created": 1, "currency": "usd", "type": "charge"}]}',
                "not a list",
            ),
        ],
    )
    def test_an_answer_that_is_none_is_named(self, stripe: FakeStripe, clock: ManualClock, body: bytes, words: str) -> None:
        stripe.body = body
        with pytest.raises(SourceDown, match=words):
            read(self.source(stripe, clock))

    def test_a_page_that_repeats_is_noticed(self, stripe: FakeStripe, clock: ManualClock) -> None:
        stripe.history(STAMP, days=30)
        stripe.repeats = True
        with pytest.raises(SourceDown, match="repeats a page"):
            read(self.source(stripe, clock))
        assert len(stripe.asked) == 2

    def test_nobody_there_is_named(self, clock: ManualClock) -> None:
        with pytest.raises(SourceDown, match="does not answer"):
            read(Stripe(KEY, "http://127.0.0.1:1", clock=clock))

    def test_a_stripe_that_hangs_is_given_up(self, stripe: FakeStripe, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stripe_source, "TIMEOUT_S", (0.2, 0.2))
        stripe.released.clear()
        with pytest.raises(SourceDown, match="does not answer"):
            read(self.source(stripe, clock))


class TestOpenAi:
    def source(self, fake: FakeOpenAi, clock: ManualClock, key: str = ADMIN_KEY) -> OpenAi:
        return OpenAi(key, fake.url, clock=clock)

    def test_every_day_comes_page_after_page_and_the_digits_stay(self, openai: FakeOpenAi, clock: ManualClock) -> None:
        for number in range(80):
            openai.cost(TODAY - timedelta(days=number), f"{number}.10")
        openai.cost(TODAY, "0.1")
        openai.cost(TODAY, "0.2")
        openai.cost(TODAY, "6.12345e-05", line_item="gpt-5, output")
        entries, cursor, pages = read(self.source(openai, clock))
        assert pages == 3
        assert all((query["limit"], query["bucket_width"], query["group_by"]) == ("31", "1d", "line_item") for query in openai.asked)
        by_day = {(entry.day, entry.line_item): entry for entry in entries}
        assert by_day[TODAY, "gpt-5, input"].amount == Decimal("0.40"), "the sum of one line, and no float near it"
        assert by_day[TODAY, "gpt-5, output"].amount == Decimal("0.0000612345")
        assert by_day[TODAY - timedelta(days=79), "gpt-5, input"].amount == Decimal("79.10")
        assert {entry.category for entry in entries} == {Category.AI}
        assert cursor == {"day": "2026-02-28"}

    def test_today_is_provisional_and_an_ended_day_final(self, openai: FakeOpenAi, clock: ManualClock) -> None:
        openai.cost(TODAY, "1")
        openai.cost(TODAY - timedelta(days=1), "2")
        entries = {entry.day: entry.status for entry in read(self.source(openai, clock))[0]}
        assert entries == {TODAY: EntryStatus.PROVISIONAL, TODAY - timedelta(days=1): EntryStatus.FINAL}

    def test_an_empty_day_and_an_absent_amount_are_not_zero(self, openai: FakeOpenAi, clock: ManualClock) -> None:
        openai.cost(TODAY, None)
        openai.cost(TODAY - timedelta(days=2), "3", line_item=None)
        (entry,) = read(self.source(openai, clock))[0]
        assert (entry.day, entry.line_item) == (TODAY - timedelta(days=2), "openai")

    def test_the_next_time_the_last_days_are_read_again(self, openai: FakeOpenAi, clock: ManualClock) -> None:
        openai.cost(TODAY - timedelta(days=1), "2")
        source = self.source(openai, clock)
        _, cursor, _ = read(source)
        openai.days[TODAY - timedelta(days=1)][0]["amount"]["value"] = "<2.75>"
        (entry,) = read(source, cursor)[0]
        assert entry.amount == Decimal("2.75")
        assert int(openai.asked[-1]["start_time"]) == STAMP - 12 * 3_600 - 4 * DAY_S

    @pytest.mark.parametrize(
        ("failure", "is_permanent", "wait_s"),
        [((429, {"Retry-After": "20"}), False, 20.0), ((500, {}), False, None), ((404, {}), True, None), ((302, {}), True, None)],
    )
    def test_each_refusal_is_named(
        self,
        openai: FakeOpenAi,
        clock: ManualClock,
        failure: tuple[int, dict[str, str]],
        is_permanent: bool,
        wait_s: float | None,
    ) -> None:
        openai.failures = [failure]
        with pytest.raises(SourceDown, match=str(failure[0])) as caught:
            read(self.source(openai, clock))
        assert (caught.value.permanent, caught.value.retry_after_s) == (is_permanent, wait_s)

    @pytest.mark.parametrize("key", ["sk-admin-wrongSecret", "sk-admin-wrongSecret\n", "wrongSecret-ключ"])
    def test_a_wrong_key_is_never_shown(self, openai: FakeOpenAi, clock: ManualClock, caplog: pytest.LogCaptureFixture, key: str) -> None:
        caplog.set_level("DEBUG")
        with pytest.raises(SourceDown) as caught:
            read(self.source(openai, clock, key=key))
        assert "wrongSecret" not in f"{caught.value}{caught.value.__cause__}{caplog.text}"

    @pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999999", "9" * 20_000, "true", '"word"', "[]"], ids=lambda value: value[:9])
    def test_a_number_that_is_none_is_named(self, openai: FakeOpenAi, clock: ManualClock, value: str) -> None:
        openai.cost(TODAY, value)
        with pytest.raises(SourceDown, match="OpenAI's answer is not"):
            read(self.source(openai, clock))

    @pytest.mark.parametrize(
        "body",
        [b"{", b"[]", b"{}", b'{"data": [{}]}', b'{"data": [], "has_more": true}', b"[" * 100_000],
        ids=lambda body: body[:9].decode(),
    )
    def test_an_answer_that_is_none_is_named(self, openai: FakeOpenAi, clock: ManualClock, body: bytes) -> None:
        openai.body = body
        with pytest.raises(SourceDown, match="OpenAI"):
            read(self.source(openai, clock))

    def test_a_page_that_repeats_is_noticed(self, openai: FakeOpenAi, clock: ManualClock) -> None:
        openai.repeats = True
        with pytest.raises(SourceDown, match="repeats a page"):
            read(self.source(openai, clock))
        assert len(openai.asked) == 2


class TestConstants:
    def source(self, clock: ManualClock, **monthly: str) -> Constants:
        return Constants({name: Decimal(amount) for name, amount in monthly.items()}, "usd", clock)

    def test_none_configured_add_nothing(self, clock: ManualClock) -> None:
        assert read(self.source(clock)) == ([], None, 0)

    def test_each_is_a_line_of_its_own_from_today_on(self, clock: ManualClock) -> None:
        entries, cursor, _ = read(self.source(clock, redis="31", replit="62"))
        assert {(entry.line_item, entry.day, entry.amount) for entry in entries} == {
            ("redis", TODAY, Decimal(1)),
            ("replit", TODAY, Decimal(2)),
        }
        assert {(entry.source, entry.category) for entry in entries} == {("infra", Category.INFRA)}
        assert cursor == {"day": "2026-03-01", "names": ["redis", "replit"]}

    def test_a_changed_constant_changes_today_and_later(self, clock: ManualClock) -> None:
        _, cursor, _ = read(self.source(clock, redis="31"))
        clock.advance(DAY_S)
        entries, cursor, _ = read(self.source(clock, redis="62"), cursor)
        assert [(entry.day, entry.amount) for entry in entries] == [(date(2026, 3, 2), Decimal(2))]
        entries, _, _ = read(self.source(clock, redis="93"), cursor)
        assert [(entry.day, entry.amount) for entry in entries] == [(date(2026, 3, 2), Decimal(3))]

    def test_days_that_nobody_wrote_are_made_up_for_within_bounds(self, clock: ManualClock) -> None:
        _, cursor, _ = read(self.source(clock, redis="31"))
        clock.advance(3 * DAY_S)
        assert len(read(self.source(clock, redis="31"), cursor)[0]) == 3
        clock.advance(400 * DAY_S)
        assert len(read(self.source(clock, redis="31"), cursor)[0]) == 63

    def test_a_constant_that_is_gone_ends_today(self, clock: ManualClock) -> None:
        _, cursor, _ = read(self.source(clock, redis="31", replit="62"))
        entries, cursor, _ = read(self.source(clock, redis="31"), cursor)
        assert {entry.line_item: entry.amount for entry in entries} == {"redis": 1, "replit": 0}
        clock.advance(DAY_S)
        entries, cursor, _ = read(self.source(clock, redis="31"), cursor)
        assert cursor == {"day": "2026-03-02", "names": ["redis"]}
        clock.advance(DAY_S)
        assert [entry.line_item for entry in read(self.source(clock, redis="31"), cursor)[0]] == ["redis"]

    def test_a_clock_set_back_writes_today_alone(self, clock: ManualClock) -> None:
        """P1: the days in between were written while the clock was ahead, and are the same entries."""
        clock.jump(5 * DAY_S)
        ahead, cursor, _ = read(self.source(clock, redis="31"))
        clock.jump(-5 * DAY_S)
        entries, cursor, _ = read(self.source(clock, redis="31"), cursor)
        assert [entry.day for entry in entries] == [TODAY]
        clock.advance(5 * DAY_S)
        assert ahead[0] in read(self.source(clock, redis="31"), cursor)[0]
