"""C1, C6: a sync that fails, is killed, or runs twice or twice at once; on both databases."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.clock import ManualClock
from tests.integration.fake_openai import ADMIN_KEY, FakeOpenAi, fake_openai
from tests.integration.fake_stripe import DAY_S, KEY, FakeStripe, fake_stripe
from tests.waiting import eventually

from levqor.domain.errors import SourceDown
from levqor.domain.spending import Category, SpendPage
from levqor.monitors.cost_sync import CostSync, OwnLines
from levqor.ports import SpendSource
from levqor.spend.constants import Constants
from levqor.spend.openai import OpenAi
from levqor.spend.stripe import Stripe
from levqor.store.database import Database, database_url
from levqor.store.ledger import ledger_revision, spend_between, spend_last_24h
from levqor.store.ledger_lines import list_entries, sum_entries
from levqor.store.spend_sources import source_states
from levqor.store.usage import add_usage

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = int(NOW.timestamp())
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Waits:
    """Waits nobody waits for; `ends`: the process is told to stop."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.ends = False

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return self.ends


class Broken:
    """Hands on the first pages of a source, then fails."""

    def __init__(self, source: SpendSource, after: int, error: Exception) -> None:
        self.name, self._source, self._after, self._error = source.name, source, after, error

    def pages(self, cursor: Mapping[str, Any] | None) -> Iterator[SpendPage]:
        for number, page in enumerate(self._source.pages(cursor)):
            if number == self._after:
                raise self._error
            yield page


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    with fake_stripe() as fake:
        yield fake


@pytest.fixture
def openai() -> Iterator[FakeOpenAi]:
    with fake_openai(NOW.date()) as fake:
        yield fake


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """For what is the same on either database."""
    opened = Database(database_url(None, tmp_path))
    opened.migrate()
    yield opened
    opened.close()


def contents(database: Database) -> tuple[int, int, dict[str, dict[str, str]]]:
    """The revision, how many entries there are, and their sums."""
    with database.read() as connection:
        return (ledger_revision(connection), *sum_entries(connection))


def state(database: Database, source: str, now: datetime = NOW, configured: tuple[str, ...] = ("stripe", "openai")) -> dict[str, Any]:
    with database.read() as connection:
        return next(row for row in source_states(connection, now, configured) if row["source"] == source)


def truth(stripe: FakeStripe) -> dict[str, str]:
    """What the ledger must come to."""
    rows = [row for row in stripe.transactions if row["type"] != "payout"]
    minor = {"fees": sum(row["fee"] for row in rows), "revenue": sum(row["amount"] for row in rows)}
    return {name: f"{Decimal(amount) / 100:.2f}" for name, amount in minor.items()}


def test_all_sources_end_up_in_the_ledger_and_twice_changes_nothing(
    database: Database, stripe: FakeStripe, openai: FakeOpenAi, clock: ManualClock, waits: Waits
) -> None:
    stripe.history(STAMP, days=30, a_day=8)
    openai.cost(NOW.date() - DAY, "1.25")
    sources: list[SpendSource] = [
        Stripe(KEY, stripe.url, clock=clock),
        OpenAi(ADMIN_KEY, openai.url, clock=clock),
        Constants({"redis": Decimal(31)}, "usd", clock),
    ]
    sync = CostSync(sources, database, clock, waits)
    assert [(row.source, row.outcome) for row in sync.sync()] == [("stripe", "ok"), ("openai", "ok"), ("infra", "ok")]
    before = contents(database)
    assert before[2] == {"usd": {"ai": "1.25", "infra": "1.000000", **truth(stripe)}}
    assert [row.changed for row in sync.sync()] == [0, 0, 0]
    assert contents(database) == before
    assert [state(database, name)["status"] for name in ("stripe", "openai")] == ["ok", "ok"]
    assert state(database, "stripe")["left_out"] == ["payout"]


def test_only_the_asked_source_is_read(sqlite: Database, stripe: FakeStripe, openai: FakeOpenAi, clock: ManualClock) -> None:
    sync = CostSync([Stripe(KEY, stripe.url, clock=clock), OpenAi(ADMIN_KEY, openai.url, clock=clock)], sqlite, clock)
    assert [row.source for row in sync.sync("openai")] == ["openai"]
    assert not stripe.asked


@pytest.mark.parametrize("after", [0, 1, 2])
def test_broken_off_between_pages_the_next_sync_completes_it(
    database: Database, stripe: FakeStripe, clock: ManualClock, waits: Waits, after: int
) -> None:
    stripe.history(STAMP, days=30, a_day=8)
    source = Stripe(KEY, stripe.url, clock=clock)
    with pytest.raises(ZeroDivisionError):
        CostSync([Broken(source, after, ZeroDivisionError())], database, clock, waits).sync()
    asked = len(stripe.asked)
    CostSync([source], database, clock, waits).sync()
    assert contents(database)[2]["usd"] == truth(stripe)
    assert len(stripe.asked) - asked == (3 if after == 0 else 4 - after), "what was written is not asked for again"


def test_a_failing_source_is_tried_again_goes_on_where_it_was_and_hinders_no_other(
    sqlite: Database, stripe: FakeStripe, openai: FakeOpenAi, clock: ManualClock, waits: Waits
) -> None:
    stripe.history(STAMP, days=30, a_day=8)
    openai.cost(NOW.date(), "2")
    stripe.failures = [(503, {}), (429, {"Retry-After": "9"})]
    sync = CostSync([Stripe(KEY, stripe.url, clock=clock), OpenAi(ADMIN_KEY, openai.url, clock=clock)], sqlite, clock, waits)
    assert [row.outcome for row in sync.sync()] == ["ok", "ok"]
    assert waits.seconds == [1.0, 9.0]
    assert contents(sqlite)[2]["usd"] == {"ai": "2", **truth(stripe)}


@pytest.mark.parametrize(("status", "headers", "waited"), [(503, {}, [1.0, 4.0]), (429, {"Retry-After": "31"}, []), (401, {}, [])])
def test_a_source_that_stays_down_is_named_and_its_last_figures_stay(
    sqlite: Database,
    stripe: FakeStripe,
    clock: ManualClock,
    waits: Waits,
    status: int,
    headers: dict[str, str],
    waited: list[float],
) -> None:
    """C6: never zero, never dropped."""
    stripe.charge(STAMP - 60, 5_000, fee=200)
    sync = CostSync([Stripe(KEY, stripe.url, clock=clock)], sqlite, clock, waits)
    sync.sync()
    before = contents(sqlite)
    clock.advance(3_600)
    stripe.failures = [(status, headers)] * 3
    (result,) = sync.sync()
    assert (result.outcome, result.changed) == ("down", 0)
    assert str(status) in (result.error or "")
    assert waits.seconds == waited
    assert contents(sqlite) == before
    found = state(sqlite, "stripe", clock.now())
    assert (found["status"], found["is_stale"], found["failures"], found["error"]) == ("down", True, 1, result.error)
    assert found["synced_at"] == NOW.isoformat()
    stripe.failures = []
    sync.sync()
    assert state(sqlite, "stripe", clock.now())["status"] == "ok"


def test_told_to_stop_it_waits_no_longer(sqlite: Database, stripe: FakeStripe, clock: ManualClock, waits: Waits) -> None:
    stripe.failures = [(503, {})] * 3
    waits.ends = True
    (result,) = CostSync([Stripe(KEY, stripe.url, clock=clock)], sqlite, clock, waits).sync()
    assert (result.outcome, len(stripe.asked)) == ("down", 1)


def test_two_at_once_double_nothing(sqlite: Database, stripe: FakeStripe, clock: ManualClock, waits: Waits) -> None:
    """The slower one meets a cursor that has moved on, and leaves the rest to the other."""
    stripe.history(STAMP, days=30, a_day=8)
    source = Stripe(KEY, stripe.url, clock=clock)

    class Slower:
        name = "stripe"

        def pages(self, cursor: Mapping[str, Any] | None) -> Iterator[SpendPage]:
            for page in source.pages(cursor):
                CostSync([source], sqlite, clock, waits).sync()
                yield page

    (result,) = CostSync([Slower()], sqlite, clock, waits).sync()
    assert result.outcome == "busy"
    assert contents(sqlite)[2]["usd"] == truth(stripe)


def test_two_threads_at_once_double_nothing(database: Database, stripe: FakeStripe, clock: ManualClock, waits: Waits) -> None:
    stripe.history(STAMP, days=15, a_day=8)
    sync = CostSync([Stripe(KEY, stripe.url, clock=clock)], database, clock, waits)
    threads = [threading.Thread(target=sync.sync) for _number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    sync.sync()
    assert contents(database)[2]["usd"] == truth(stripe)


SYNC_ALONE = """
import sys
from tests.integration.test_cost_sync import sync_alone
sync_alone(*sys.argv[1:])
"""


def sync_alone(database_url: str, stripe_url: str) -> None:
    """A process of its own, to be killed."""
    from sqlalchemy import make_url

    from levqor.host import SystemClock

    database = Database(make_url(database_url))
    CostSync([Stripe(KEY, stripe_url, clock=SystemClock())], database, SystemClock()).sync()


def test_killed_half_way_the_next_sync_completes_it(database: Database, stripe: FakeStripe, waits: Waits) -> None:
    """kill -9 between two pages; the page in flight is asked for again."""
    from levqor.host import SystemClock

    clock = SystemClock()
    stripe.history(int(clock.now().timestamp()), days=30, a_day=8)
    url = database.url.render_as_string(hide_password=False)
    stripe.fails_from, answer = None, stripe.answer

    def hanging_at_the_third(query: dict[str, str], key: str) -> tuple[int, dict[str, str], bytes]:
        if len(stripe.asked) == 2:
            stripe.released.clear()
        return answer(query, key)

    stripe.answer = hanging_at_the_third  # type: ignore[method-assign]
    process = subprocess.Popen([sys.executable, "-c", SYNC_ALONE, url, stripe.url])
    eventually(lambda: not stripe.released.is_set(), what="the third page's request", within_s=30)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    stripe.released.set()
    half = contents(database)
    assert 0 < half[1] < contents_of_all(stripe)
    CostSync([Stripe(KEY, stripe.url, clock=clock)], database, clock, waits).sync()
    after = contents(database)
    assert after[1:] == (contents_of_all(stripe), {"usd": truth(stripe)})
    CostSync([Stripe(KEY, stripe.url, clock=clock)], database, clock, waits).sync()
    assert contents(database) == after


def contents_of_all(stripe: FakeStripe) -> int:
    return sum((row["type"] != "payout") + (row["fee"] > 0) for row in stripe.transactions)


def test_a_late_refund_lands_on_its_own_day(sqlite: Database, stripe: FakeStripe, clock: ManualClock, waits: Waits) -> None:
    stripe.charge(STAMP - 20 * DAY_S, 10_000)
    sync = CostSync([Stripe(KEY, stripe.url, clock=clock)], sqlite, clock, waits)
    sync.sync()
    clock.advance(DAY_S)
    stripe.refund(STAMP + DAY_S - 60, 10_000)
    sync.sync()
    with sqlite.read() as connection:
        revenue = [Category.REVENUE]
        assert spend_between(connection, NOW, NOW + DAY, revenue, "usd") == -100
        assert spend_between(connection, NOW - 21 * DAY, NOW - 19 * DAY, revenue, "usd") == 100


def test_states_tell_apart_what_is_not_there_stale_or_down(sqlite: Database, clock: ManualClock, waits: Waits) -> None:
    assert state(sqlite, "stripe", configured=())["status"] == "not_configured"
    never = state(sqlite, "stripe")
    assert (never["status"], never["is_stale"], never["synced_at"]) == ("stale", False, None)
    CostSync([Constants({"a": Decimal(1)}, "usd", clock)], sqlite, clock, waits).sync()
    own = ("infra",)
    assert state(sqlite, "infra", NOW + 3 * HOUR, own)["status"] == "ok"
    assert state(sqlite, "infra", NOW + 3 * HOUR + timedelta(seconds=1), own)["status"] == "stale"
    assert state(sqlite, "infra", NOW - 4 * HOUR, own)["status"] == "stale", "read in the future: the clock was set back"
    assert state(sqlite, "infra", NOW + 4 * HOUR, ())["status"] == "not_configured"


def test_an_error_is_kept_short_and_no_secret_is_in_a_row(sqlite: Database, stripe: FakeStripe, clock: ManualClock, waits: Waits) -> None:
    key = "sk_test_notTheOne"
    CostSync([Stripe(key, stripe.url, clock=clock)], sqlite, clock, waits).sync()
    assert "notTheOne" not in str(state(sqlite, "stripe"))
    CostSync([Broken(Stripe(KEY, stripe.url, clock=clock), 0, SourceDown("x" * 900, permanent=True))], sqlite, clock, waits).sync()
    assert len(state(sqlite, "stripe")["error"]) == 500


class TestOwnLines:
    def keep(self, database: Database, clock: ManualClock, **monthly: str) -> None:
        constants = Constants({name: Decimal(amount) for name, amount in monthly.items()}, "usd", clock)
        with database.write() as connection:
            OwnLines(constants, "usd", is_configured=bool(monthly)).keep(connection, clock.now())

    def test_without_constants_nothing_is_written(self, sqlite: Database, clock: ManualClock) -> None:
        self.keep(sqlite, clock)
        assert contents(sqlite) == (0, 0, {})
        assert state(sqlite, "infra", configured=())["status"] == "not_configured"

    def test_constants_count_whether_anybody_syncs_or_not(self, sqlite: Database, clock: ManualClock) -> None:
        self.keep(sqlite, clock, redis="31")
        clock.advance(DAY_S)
        self.keep(sqlite, clock, redis="31")
        self.keep(sqlite, clock, redis="31")
        with sqlite.read() as connection:
            assert spend_last_24h(connection, clock.now(), [Category.INFRA], "usd") == 1
        assert state(sqlite, "infra", clock.now(), ("infra",))["status"] == "ok"

    def test_minutes_go_once_their_day_has_a_line(self, database: Database, clock: ManualClock) -> None:
        with database.write() as connection:
            add_usage(connection, clock.now(), "default", 3_600, Decimal("0.10"))
        clock.advance(50 * DAY_S)
        self.keep(database, clock)
        with database.read() as connection:
            assert [row["line_item"] for row in list_entries(connection)] == ["worker-hours"]
            assert spend_between(connection, NOW - DAY, NOW + DAY, [Category.WORKERS], "usd") == Decimal("0.10")
