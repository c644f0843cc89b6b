"""The watchdog over a real store and both databases: windows, streaks, who is called, budgets (spec W)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Valkey
from tests.integration.test_autopilot import Plane

from levqor.monitors.slo_watchdog import LATE, Watchdog
from levqor.store.database import Database
from levqor.store.leases import Lease
from levqor.store.rollups import put_rollup

MINUTE = timedelta(minutes=1)


class Minutes:
    """A leader's plane whose wall clock agrees with the store's, moved minute by minute."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        seconds, _micros = plane.store.time()
        # The middle of a minute, so that a test's own seconds do not cross its end.
        self.now_s = float(seconds // 60 * 60 + 30)
        plane.clock.jump(self.now_s - plane.clock.now().timestamp())
        plane.watchdog.telemetry = plane.reader._telemetry
        plane.autopilot.renew()

    def fill(self, requests: int, failed: int, probes_failed: int = 0) -> None:
        """Counts in the minute that is running, written as the flushers write them."""
        slot = int(self.now_s // 5)
        prefix = "levqor:telemetry:"
        for kind, total, bad in (("http", requests, failed), ("probe", 12, probes_failed)):
            if total:
                fields: dict[Any, Any] = {"b600": total, "f": bad, **{f"t{ms}": total for ms in (40.0, 150.0, 200.0)}}
                self.plane.store.hset(f"{prefix}slot:{kind}:{slot}", mapping=fields)

    def pass_one(self) -> None:
        """A minute goes by, for the store's clock too."""
        self.now_s += 60
        self.plane.clock.advance(60)
        self.plane.lease.attempt()

    @property
    def watchdog(self) -> Watchdog:
        return self.plane.watchdog


@pytest.fixture
def minutes(database: Database, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Minutes:
    plane = Plane(database, store_url, tmp_path)
    plane.heard()
    plane.store.set("levqor:telemetry:since", "1")
    made = Minutes(plane)
    monkeypatch.setattr(type(plane.reader._telemetry), "now", lambda _self: made.now_s)
    return made


def run(minutes: Minutes, *requests_and_failures: tuple[int, int]) -> None:
    """Each minute's counts, then the check that judges it."""
    for requests, failed in requests_and_failures:
        minutes.fill(requests, failed)
        for _ in range(1):
            minutes.pass_one()
        minutes.watchdog.check()


def states(minutes: Minutes, series: str = "1m") -> list[str]:
    return [check["state"] for check in minutes.watchdog.answer()["series"][series]["checks"]][::-1]


def test_three_bad_minutes_call_recovery_once_a_check(minutes: Minutes) -> None:
    """W2, W2b: 20 % errors at 60 a minute are called after three minutes."""
    run(minutes, (60, 12), (60, 12))
    assert minutes.plane.calls == []
    run(minutes, (60, 12))
    assert [breach.series for breach in minutes.plane.calls] == ["1m"]
    assert "12 of 60 requests failed" in minutes.plane.calls[0].cause
    assert "slo:1m" in minutes.watchdog.causes
    run(minutes, (60, 0))
    assert len(minutes.plane.calls) == 1, "met resets the streak"
    assert "slo:1m" not in minutes.watchdog.causes


def test_a_window_is_judged_once_however_often_it_is_looked_at(minutes: Minutes) -> None:
    """W2: disjoint windows."""
    run(minutes, (60, 12))
    for _ in range(5):
        minutes.watchdog.check()
    assert minutes.watchdog.answer()["series"]["1m"]["streak"] == 1
    assert states(minutes)[-1] == "breached"


def test_few_requests_are_no_evidence(minutes: Minutes) -> None:
    """W2b: one error of five is met, and says why."""
    run(minutes, (5, 1), (5, 1), (5, 1), (5, 1))
    assert minutes.plane.calls == []
    assert set(states(minutes)[1:]) == {"met"}


def test_no_requests_are_met(minutes: Minutes) -> None:
    """W2."""
    minutes.fill(0, 0)
    run(minutes, (0, 0), (0, 0))
    assert states(minutes)[-1] == "met"


def test_probes_that_fail_breach_availability(minutes: Minutes) -> None:
    """W1, S4."""
    for _ in range(3):
        minutes.fill(0, 0, probes_failed=6)
        minutes.pass_one()
        minutes.watchdog.check()
    assert [breach.series for breach in minutes.plane.calls] == ["1m"]
    assert "probes failed" in minutes.plane.calls[0].cause


def test_a_window_without_probes_or_with_a_silent_process_is_unknown(minutes: Minutes) -> None:
    """W2: unknown neither counts nor resets."""
    run(minutes, (60, 12), (60, 12))
    minutes.plane.store.zadd("levqor:telemetry:writers:http", {"silent": minutes.plane.store.time()[0] - 30})
    run(minutes, (60, 0))
    assert states(minutes)[-1] == "unknown"
    assert minutes.watchdog.answer()["series"]["1m"]["streak"] == 2
    minutes.plane.store.zrem("levqor:telemetry:writers:http", "silent")
    run(minutes, (60, 12))
    assert len(minutes.plane.calls) == 1


def test_a_successor_goes_on_with_the_streak_and_judges_no_window_twice(
    minutes: Minutes, database: Database, store_url: str, tmp_path: Path
) -> None:
    """P1."""
    run(minutes, (60, 12), (60, 12))
    minutes.plane.lease.release()
    successor = Plane(database, store_url, tmp_path, "second")
    successor.clock.jump(minutes.plane.clock.now().timestamp() - successor.clock.now().timestamp())
    successor.autopilot.renew()
    successor.watchdog.check()
    assert successor.calls == []
    minutes.fill(60, 12)
    minutes.now_s += 60
    successor.clock.advance(5)
    successor.watchdog.check()
    assert len(successor.calls) == 1


def test_a_clock_set_back_three_hours_stalls_nothing(minutes: Minutes) -> None:
    """P1."""
    run(minutes, (60, 0))
    minutes.now_s -= 3 * 3600
    minutes.plane.clock.jump(-3 * 3600)
    run(minutes, (60, 12), (60, 12), (60, 12))
    assert len(minutes.plane.calls) == 1


def test_who_does_not_lead_judges_nothing(minutes: Minutes) -> None:
    minutes.plane.lease.release()
    assert Lease(minutes.plane.database, minutes.plane.clock, "another").attempt()
    run(minutes, (60, 12))
    assert states(minutes) == []


def test_a_store_that_is_down_calls_nobody(database: Database, valkey: Valkey, tmp_path: Path) -> None:
    plane = Plane(database, valkey.url, tmp_path)
    plane.autopilot.renew()
    valkey.kill()
    plane.watchdog.check()
    assert plane.calls == []
    answer = plane.operations.slo()
    assert (answer["now"], answer["unknown"]) == (None, ["now"])
    valkey.start()


def hour(total: int, failed: int) -> dict[str, object]:
    counts = {"total": total, "failed": failed, "over": {"200.0": 0}, "buckets": {}}
    return {"http": counts, "probes": {"total": 720, "failed": 0}, "gauges": {}, "minutes": 60}


def test_budgets_and_burn_come_from_the_rollups(minutes: Minutes) -> None:
    """W6: 0.5 % of 30 days' requests may fail."""
    now = minutes.plane.clock.now()
    with minutes.plane.database.write() as connection:
        for n in range(1, 24 * 10):
            put_rollup(connection, "hour", now - n * timedelta(hours=1), hour(1_000, 0))
        for n in range(1, 90):
            put_rollup(connection, "minute", now - n * MINUTE, hour(100, 10))
    budget = minutes.watchdog.budgets()["errors"]
    assert budget["budget_left"] == 1
    assert budget["burn"]["1h"] == pytest.approx(20)
    assert [alert["severity"] for alert in budget["alerts"]] == ["page", "page"]
    minutes.watchdog.watch_budgets()
    assert sorted(minutes.watchdog.causes) == ["burn:errors:page:1h", "burn:errors:page:6h"]
    assert minutes.watchdog.budgets()["latency"]["alerts"] == []


def test_a_window_is_judged_only_after_late_counts_are_in(minutes: Minutes) -> None:
    minutes.fill(60, 12)
    minutes.now_s = minutes.now_s // 60 * 60 + 60 + LATE.total_seconds() - 1
    minutes.plane.clock.jump(minutes.now_s - minutes.plane.clock.now().timestamp())
    minutes.plane.lease.attempt()
    minutes.watchdog.check()
    judged = minutes.watchdog.answer()["series"]["1m"]["judged_until"]
    assert datetime.fromisoformat(judged) < datetime.fromtimestamp(minutes.now_s // 60 * 60, UTC)
