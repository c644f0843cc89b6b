"""The first screen's one answer, and the past as lines (spec S3, E3)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.filled import fill
from tests.integration.test_autopilot import Plane
from tests.waiting import eventually

from levqor.domain.errors import DatabaseDown
from levqor.monitors import history as monitors_history
from levqor.monitors.history import MOST_KEPT, History
from levqor.monitors.overview import Overview, OverviewParts
from levqor.policies.scaling import ScalingRules
from levqor.store.database import Database
from levqor.store.rollups import put_rollup, sum_counts

MINUTE = timedelta(minutes=1)
COUNTS = {"total": 10, "failed": 1, "over": {"200.0": 2}, "buckets": {"600": 10}}


def rollup(**gauges: float) -> dict[str, Any]:
    probes = {"total": 4, "failed": 1}
    return {"http": COUNTS, "waits": COUNTS, "runs": COUNTS, "jobs": {}, "probes": probes, "gauges": gauges, "minutes": 1}


class NoIncidents:
    """Nothing was ever wrong."""

    def incidents(self, limit: int, open_only: bool) -> dict[str, Any]:
        return {"incidents": []}


@pytest.fixture
def plane(database: Database, store_url: str, tmp_path: Path) -> Iterator[Plane]:
    made = Plane(database, store_url, tmp_path)
    made.heard()
    yield made
    made.operations.close()


def overview(plane: Plane, **parts: Any) -> Overview:
    given: dict[str, Any] = {
        "operations": plane.operations,
        "incidents": NoIncidents(),
        "database": plane.database,
        "clock": plane.clock,
        "rules": plane.rules,
        "slo_p99_ms": 200.0,
        "version": "1",
        **parts,
    }
    return Overview(OverviewParts(**given))


def put(database: Database, resolution: str, start: datetime, **gauges: float) -> None:
    with database.write() as connection:
        put_rollup(connection, resolution, start, rollup(**gauges))


class TestOverview:
    def test_on_an_empty_installation_each_part_is_there_and_empty(self, plane: Plane) -> None:
        answer = overview(plane).answer()
        assert answer["unavailable"] == {}
        assert (answer["decisions"], answer["incidents"]) == ([], [])
        assert {value for line in answer["chart"]["lines"].values() for value in line} == {None}
        assert {budget["budget_left"] for budget in answer["budgets"].values()} == {None}
        assert answer["spend"] == {"limit": None, "today": None, "forecast": None}
        assert answer["measured_at"] == answer["status"]["measured_at"]

    def test_its_figures_are_those_of_their_own_routes(self, plane: Plane) -> None:
        answer = overview(plane).answer()
        status = plane.operations.status()
        assert answer["status"]["signals"] == status["signals"]
        assert answer["workers"] == plane.operations.queue_health()["workers"]
        assert answer["budgets"] == plane.operations.slo()["budgets"]

    def test_a_part_that_fails_says_why_and_spoils_no_other(self, plane: Plane) -> None:
        """S3: what is not known is None, never empty."""

        class Broken(NoIncidents):
            def incidents(self, limit: int, open_only: bool) -> dict[str, Any]:
                raise DatabaseDown("locked")

        answer = overview(plane, incidents=Broken()).answer()
        assert answer["incidents"] is None
        assert answer["unavailable"] == {"incidents": "locked"}
        assert answer["decisions"] == []

    def test_what_could_not_be_read_anew_says_so_and_how_old_it_is(self, plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
        """S3: an old figure is not taken for a fresh one."""
        page = overview(plane, cost_today=lambda: {"cost": 1.0})
        first = page.answer()

        def locked() -> dict[str, Any]:
            raise DatabaseDown("locked")

        monkeypatch.setattr(plane.operations, "slo", locked)
        plane.clock.advance(40)
        eventually(lambda: page.answer()["unavailable"] == {"budgets": "40 s old: locked"}, what="the reason")
        assert page.answer()["budgets"] == first["budgets"]

    def test_a_bug_is_not_taken_for_a_dependency(self, plane: Plane) -> None:
        class Bug(NoIncidents):
            def incidents(self, limit: int, open_only: bool) -> dict[str, Any]:
                raise RuntimeError("a bug")

        with pytest.raises(RuntimeError):
            overview(plane, incidents=Bug()).answer()

    def test_without_a_leader_it_asks_for_a_person(self, plane: Plane) -> None:
        verdict = overview(plane).answer()["verdict"]
        assert verdict["level"] == "act"
        assert "no autopilot leads" in verdict["sentence"]

    def test_the_share_of_todays_limit_is_in_the_verdict(self, plane: Plane) -> None:
        plane.autopilot.renew()
        desk = overview(plane, rules=ScalingRules(daily_spend_limit=Decimal(10)), cost_today=lambda: {"guarded_today": 6.1})
        assert "61% of today's limit spent" in desk.answer()["verdict"]["sentence"]

    def test_unknown_spend_is_no_share_at_all(self, plane: Plane) -> None:
        desk = overview(plane, rules=ScalingRules(daily_spend_limit=Decimal(10)), cost_today=lambda: {"guarded_today": None})
        assert "limit" not in desk.answer()["verdict"]["sentence"]

    def test_the_five_newest_changes(self, plane: Plane) -> None:
        fill(plane.database, plane.clock.now(), days=1, changes=20, ticks=10)
        answer = overview(plane).answer()
        assert answer["decisions"] == plane.operations.decisions(5, changes=True)
        assert [one["is_change"] for one in answer["decisions"]] == [True] * 5


class TestHistory:
    """What was measured is a point, what was not is a gap."""

    NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)

    def chart(self, database: Database, history: History, now: datetime | None = None, span: str = "1h") -> dict[str, Any]:
        with database.read() as connection:
            return history.chart(connection, now or self.NOW, span)

    def test_a_missing_minute_is_a_row_of_nulls(self, database: Database) -> None:
        floor = self.NOW.replace(second=0)
        for minutes in (5, 3, 2):
            put(database, "minute", floor - minutes * MINUTE, queue_depth=float(minutes))
        chart = self.chart(database, History(200.0))
        assert (chart["step_s"], chart["span"], len(chart["at"])) == (60.0, "1h", 58)
        assert chart["lines"]["queue_depth"][-4:] == [5.0, None, 3.0, 2.0]
        assert chart["lines"]["p95_ms"][-3] is None
        assert chart["at"][-1] == int((floor - 2 * MINUTE).timestamp())

    def test_what_follows_from_the_counts(self, database: Database) -> None:
        put(database, "minute", self.NOW.replace(second=0) - MINUTE)
        lines = {name: values[-1] for name, values in self.chart(database, History(200.0))["lines"].items()}
        assert (lines["requests"], lines["error_rate"], lines["availability"], lines["slow_rate"]) == (10, 0.1, 0.75, 0.2)
        assert (lines["queue_depth"], lines["workers"]) == (None, None)

    def test_an_objective_that_nobody_counted_then_is_unknown(self, database: Database) -> None:
        put(database, "minute", self.NOW.replace(second=0) - MINUTE)
        assert self.chart(database, History(250.0))["lines"]["slow_rate"][-1] is None

    def test_a_minute_that_ended_is_read_once_and_one_that_grows_again(self, database: Database) -> None:
        history, floor = History(200.0), self.NOW.replace(second=0)
        put(database, "minute", floor - 5 * MINUTE, queue_depth=1.0)
        for minutes in (2, 1):
            put(database, "minute", floor - minutes * MINUTE, queue_depth=1.0)
        self.chart(database, history)
        for minutes in (5, 1):
            put(database, "minute", floor - minutes * MINUTE, queue_depth=9.0)
        depths = self.chart(database, history)["lines"]["queue_depth"]
        assert (depths[-1], depths[-5]) == (9.0, 1.0)

    def test_a_minute_that_is_rolled_up_late_is_drawn(self, database: Database) -> None:
        history, floor = History(200.0), self.NOW.replace(second=0)
        for minutes in (9, 3, 2, 1):
            put(database, "minute", floor - minutes * MINUTE, queue_depth=1.0)
        self.chart(database, history)
        put(database, "minute", floor - 6 * MINUTE, queue_depth=7.0)
        assert self.chart(database, history)["lines"]["queue_depth"][-6] == 7.0

    def test_each_span_is_whole_and_memory_is_bounded(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """P5."""
        fill(database, self.NOW, days=31, changes=1)
        history = History(200.0)
        for span, points in (("1h", 60), ("24h", 1440), ("30d", 720)):
            chart = self.chart(database, history, span=span)
            assert points - 1 <= len(chart["at"]) <= points
            assert None not in chart["lines"]["p95_ms"]
        assert len(history._kept) < MOST_KEPT
        monkeypatch.setattr(monitors_history, "MOST_KEPT", 100)
        put(database, "minute", self.NOW.replace(second=0))
        self.chart(database, history, self.NOW + MINUTE)
        assert len(history._kept) <= 100

    def test_a_clock_that_is_set_back_draws_what_there_is(self, database: Database) -> None:
        """P1."""
        put(database, "minute", self.NOW.replace(second=0) + timedelta(hours=1))
        assert {value for line in self.chart(database, History(200.0))["lines"].values() for value in line} == {None}


def test_counts_are_added_up_in_the_database(database: Database) -> None:
    start = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    for minutes in range(3):
        put(database, "minute", start + minutes * MINUTE)
    with database.read() as connection:
        two = sum_counts(connection, "minute", start, start + 2 * MINUTE, 200.0)
        unheard = sum_counts(connection, "minute", start, start + 2 * MINUTE, 250.0)
        none = sum_counts(connection, "hour", start, start + 2 * MINUTE, 200.0)
    assert (two.requests, two.failed, two.slow, two.probes, two.probes_failed) == (20, 2, 4, 8, 2)
    assert unheard.slow == 0
    assert (none.requests, none.probes) == (0, 0)
