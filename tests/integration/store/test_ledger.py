"""C1: the ledger on both databases: each key once, sums exact, worker-hours by the minute and for good."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import StatementError
from tests.clock import ManualClock
from tests.unit.test_spending import entry

from levqor.domain.spending import EXACT, Category, Entry, EntryStatus, EntryType, day_start, total
from levqor.store.database import Database
from levqor.store.ledger import (
    daily_totals,
    last_figures,
    ledger_revision,
    other_currencies,
    spend_between,
    spend_last_24h,
    write_entries,
)
from levqor.store.ledger_lines import list_entries, purge_ledger, sum_entries, write_worker_days
from levqor.store.schema import ledger
from levqor.store.usage import add_usage, purge_usage

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TODAY = NOON.date()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
COSTS = [Category.WORKERS, Category.INFRA, Category.AI, Category.FEES]


def write(database: Database, *entries: Entry, now: datetime = NOON) -> int:
    with database.write() as connection:
        return write_entries(connection, now, entries)


def spent(database: Database, start: datetime, end: datetime, *categories: Category) -> Decimal:
    with database.read() as connection:
        return spend_between(connection, start, end, categories or COSTS, "usd")


def revision(database: Database) -> int:
    with database.read() as connection:
        return ledger_revision(connection)


def of_day(day: date, amount: str, **changed: Any) -> Entry:
    return entry(**{"key": str(day), "at": day_start(day), "day": day, "amount": Decimal(amount), **changed})


def test_written_twice_it_is_there_once_and_the_revision_stays(database: Database) -> None:
    assert revision(database) == 0
    assert write(database, entry()) == 1
    assert revision(database) == 1
    assert write(database, entry(), now=NOON + HOUR) == 0
    assert write(database, entry(amount=Decimal("7.5000"))) == 0
    assert revision(database) == 1
    assert write(database, entry(source="other"), entry(key="b")) == 2
    assert revision(database) == 2
    assert write(database, *[entry(key="c")] * 3) == 1


def test_a_provisional_entry_becomes_final_and_never_goes_back(database: Database) -> None:
    write(database, entry(status=EntryStatus.PROVISIONAL, amount=Decimal(1)))
    assert write(database, entry(status=EntryStatus.PROVISIONAL, amount=Decimal(2))) == 1
    assert write(database, entry(amount=Decimal(3))) == 1
    assert write(database, entry(status=EntryStatus.PROVISIONAL, amount=Decimal(2))) == 0
    assert spent(database, NOON - HOUR, NOON) == 3
    assert write(database, entry(amount=Decimal("3.01"))) == 1, "a final figure that its source corrects"
    assert spent(database, NOON - HOUR, NOON) == Decimal("3.01")


def test_a_float_never_reaches_the_table(database: Database) -> None:
    row = {"source": "a", "key": "a", "at": NOON, "line_item": "a", "category": "infra", "type": "cost", "currency": "usd"}
    with database.write() as connection, pytest.raises(StatementError, match="finite Decimal"):
        connection.execute(insert(ledger).values(**row, amount=0.1, status="final", written_at=NOON))


def test_many_entries_are_written_and_summed_exactly(database: Database) -> None:
    amounts = [Decimal(number) / 1000 for number in range(900)]
    assert write(database, *(entry(key=str(number), amount=amount) for number, amount in enumerate(amounts))) == 900
    assert write(database, *(entry(key=str(number), amount=amount) for number, amount in enumerate(amounts))) == 0
    assert spent(database, NOON - HOUR, NOON) == total(amounts)


def test_the_window_is_open_at_its_start_and_closed_at_its_end(database: Database) -> None:
    write(database, entry())
    assert spent(database, NOON, NOON + DAY) == 0
    assert spent(database, NOON - DAY, NOON) == Decimal("7.50")
    assert spent(database, NOON - DAY, NOON - timedelta(microseconds=1)) == 0


def test_a_day_amount_is_spread_over_its_utc_day(database: Database) -> None:
    write(database, of_day(TODAY, "24"), of_day(TODAY - DAY, "48"))
    assert spent(database, NOON - HOUR, NOON) == 1
    assert spent(database, NOON - DAY, NOON) == 24 + 12
    assert spent(database, day_start(TODAY), day_start(TODAY + DAY)) == 24
    assert spent(database, NOON - 10 * DAY, NOON - 3 * DAY) == 0


def test_what_is_provisional_belongs_to_the_hours_that_have_passed(database: Database) -> None:
    """Half a day's figure is not halved once more."""
    write(database, of_day(TODAY, "10", status=EntryStatus.PROVISIONAL))
    assert spent(database, NOON - DAY, NOON) == 10
    assert spent(database, NOON, NOON + DAY) == 0
    write(database, of_day(TODAY, "20"), now=NOON + DAY)
    assert spent(database, NOON - DAY, NOON) == 10


def test_currencies_stay_apart(database: Database) -> None:
    write(database, entry(), entry(key="b", currency="jpy", amount=Decimal(500)), entry(key="c", currency="kwd", amount=Decimal("0.005")))
    assert spent(database, NOON - HOUR, NOON) == Decimal("7.50")
    with database.read() as connection:
        others = other_currencies(connection, NOON - HOUR, NOON, "usd")
    assert others == {"jpy": {Category.INFRA: Decimal(500)}, "kwd": {Category.INFRA: Decimal("0.005")}}


def test_revenue_and_refunds_are_no_cost(database: Database) -> None:
    earned = {"category": Category.REVENUE, "line_item": "stripe_charges"}
    write(
        database,
        entry(key="r", type=EntryType.REVENUE, amount=Decimal(100), **earned),
        entry(key="s", type=EntryType.REFUND, amount=Decimal(-30), **{**earned, "line_item": "stripe_refunds"}),
    )
    assert spent(database, NOON - HOUR, NOON) == 0
    assert spent(database, NOON - HOUR, NOON, Category.REVENUE) == 70


def test_what_was_written_before_the_clock_was_set_back_still_counts(database: Database) -> None:
    """P1: an hour back; what is planned for later does not count yet."""
    write(database, entry())
    write(database, entry(key="planned", at=NOON + DAY, amount=Decimal(99)))
    with database.read() as connection:
        assert spend_last_24h(connection, NOON, COSTS, "usd") == Decimal("7.50")
        assert spend_last_24h(connection, NOON - HOUR, COSTS, "usd") == Decimal("7.50")
        assert spend_last_24h(connection, NOON + DAY, COSTS, "usd") == 99


def test_days_are_totalled_by_line(database: Database) -> None:
    write(database, of_day(TODAY, "1"), of_day(TODAY, "2", key="again"), of_day(TODAY - DAY, "4"), of_day(TODAY - 2 * DAY, "8"))
    write(database, entry(key="ai", category=Category.AI, line_item="gpt"))
    with database.read() as connection:
        found = daily_totals(connection, TODAY - DAY, TODAY, "usd")
        assert daily_totals(connection, TODAY, TODAY, "eur") == {}
    assert found == {
        (Category.INFRA, "redis"): {TODAY: Decimal(3), TODAY - DAY: Decimal(4)},
        (Category.AI, "gpt"): {TODAY: Decimal("7.50")},
    }


def test_the_last_figures_are_those_of_the_last_day_that_has_any(database: Database) -> None:
    write(database, of_day(TODAY - 3 * DAY, "5"), of_day(TODAY - 9 * DAY, "7"), of_day(TODAY, "9"))
    with database.read() as connection:
        found = last_figures(connection, "infra", TODAY, "usd")
        assert last_figures(connection, "openai", TODAY, "usd") is None
    assert found is not None
    assert (found.day, found.by_category) == (TODAY - 3 * DAY, {Category.INFRA: Decimal(5)})


class TestWorkerHours:
    def run(self, database: Database, at: datetime, seconds: float = 3_600, price: str = "0.10", fleet: str = "default") -> None:
        with database.write() as connection:
            add_usage(connection, at, fleet, seconds, Decimal(price))

    def close(self, database: Database, now: datetime) -> int:
        with database.write() as connection:
            return write_worker_days(connection, now, "usd")

    def test_they_count_by_the_minute_at_their_price(self, database: Database) -> None:
        self.run(database, NOON - HOUR)
        self.run(database, NOON - HOUR + timedelta(minutes=1), price="0.30")
        assert spent(database, NOON - DAY, NOON) == Decimal("0.40")
        assert spent(database, NOON - HOUR, NOON) == Decimal("0.30"), "a minute counts where it begins"
        assert spent(database, NOON - DAY, NOON, Category.INFRA) == 0

    def test_their_lines_outlive_their_minutes_and_double_nothing(self, database: Database) -> None:
        self.run(database, NOON - DAY)
        self.run(database, NOON - DAY, fleet="other", price="0.20")
        self.run(database, NOON)
        before = spent(database, NOON - 2 * DAY, NOON)
        assert self.close(database, NOON) == 3
        assert self.close(database, NOON + HOUR) == 0
        assert revision(database) == 0, "worker-hours drop no forecast"
        assert spent(database, NOON - 2 * DAY, NOON) == before == Decimal("0.40")
        self.close(database, NOON + DAY)
        later = NOON + 45 * DAY
        self.run(database, later)
        with database.write() as connection:
            purge_usage(connection, later)
        assert spent(database, NOON - 2 * DAY, NOON + DAY) == before
        with database.read() as connection:
            days = daily_totals(connection, TODAY - DAY, later.date(), "usd")[(Category.WORKERS, "worker-hours")]
        assert days == {TODAY - DAY: Decimal("0.30"), TODAY: Decimal("0.10"), later.date(): Decimal("0.10")}

    def test_today_is_provisional_and_final_on_the_day_after(self, database: Database) -> None:
        self.run(database, NOON)
        self.close(database, NOON)
        self.run(database, NOON + HOUR)
        self.close(database, NOON + HOUR)
        with database.read() as connection:
            assert [(row["amount"], row["status"]) for row in list_entries(connection)] == [("0.200", "provisional")]
        self.close(database, NOON + DAY)
        with database.read() as connection:
            assert [(row["amount"], row["status"]) for row in list_entries(connection)] == [("0.200", "final")]

    def test_a_clock_that_jumps_ahead_and_back_loses_and_doubles_nothing(self, database: Database) -> None:
        """P1: the day was closed too early, and goes on."""
        self.run(database, NOON)
        self.close(database, NOON + DAY)
        self.run(database, NOON + HOUR)
        self.close(database, NOON + HOUR)
        assert spent(database, NOON - DAY, NOON + DAY) == Decimal("0.20")
        self.close(database, NOON + DAY)
        with database.read() as connection:
            assert [row["amount"] for row in list_entries(connection)] == ["0.200"]

    def test_by_hand_there_is_money_for_workers_too(self, database: Database) -> None:
        by_hand = {"source": "workers", "line_item": "workers", "category": Category.WORKERS}
        write(database, entry(**by_hand))
        self.run(database, NOON)
        assert spent(database, NOON - DAY, NOON) == Decimal("7.60")
        assert revision(database) == 1


def test_the_list_says_what_is_stale(database: Database) -> None:
    write(database, of_day(TODAY, "1", source="openai", status=EntryStatus.PROVISIONAL), of_day(TODAY - DAY, "2", source="openai"))
    with database.read() as connection:
        assert [row["status"] for row in list_entries(connection, stale=["openai"])] == ["stale", "final"]
        assert [row["amount"] for row in list_entries(connection, since=day_start(TODAY))] == ["1"]
        assert list_entries(connection, source="stripe") == list_entries(connection, category=Category.AI) == []


def test_two_years_are_kept_whatever_hours_the_clock_jumps(database: Database) -> None:
    clock = ManualClock(NOON)
    write(database, of_day(TODAY - 732 * DAY, "1"), of_day(TODAY - 801 * DAY, "2"))
    clock.jump(30 * 3_600)
    with database.write() as connection:
        purge_ledger(connection, clock.now())
        assert [row["amount"] for row in list_entries(connection)] == ["1"]


def test_sums_made_by_the_database_have_every_digit(database: Database) -> None:
    """C1: 18 places and twelve digits before them, by currency and by day."""
    dice = random.Random(7)
    written = [
        entry(
            key=str(number),
            at=NOON - timedelta(hours=number % 60),
            currency=dice.choice(["usd", "jpy", "kwd"]),
            amount=EXACT.scaleb(Decimal(dice.randrange(-(10**29), 10**29)), -18),
        )
        for number in range(300)
    ]
    write(database, *written)
    with database.read() as connection:
        count, sums = sum_entries(connection)
        for currency in ("usd", "jpy", "kwd"):
            of_currency = [each for each in written if each.currency == currency]
            assert Decimal(sums[currency]["infra"]) == total(each.amount for each in of_currency)
            days = daily_totals(connection, TODAY - 3 * DAY, TODAY, currency)[(Category.INFRA, "redis")]
            for day in {each.utc_day for each in of_currency}:
                assert days[day] == total(each.amount for each in of_currency if each.utc_day == day)
        found = last_figures(connection, "infra", TODAY, "usd")
    assert count == 300
    yesterday = total(each.amount for each in written if each.currency == "usd" and each.utc_day == TODAY - DAY)
    assert found is not None
    assert found.by_category == {Category.INFRA: yesterday}


def test_days_are_utc_days_whatever_the_session_s_zone(database: Database) -> None:
    write(database, entry(at=datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)), entry(key="b", at=datetime(2026, 3, 2, tzinfo=UTC)))
    with database.read() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL TIME ZONE 'Pacific/Auckland'"))
        days = daily_totals(connection, TODAY, TODAY + DAY, "usd")[(Category.INFRA, "redis")]
    assert days == {TODAY: Decimal("7.50"), TODAY + DAY: Decimal("7.50")}
