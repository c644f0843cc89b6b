"""`levqor report`: what each tick saw is kept by the minute, and played again (spec A12)."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.integration.test_autopilot import TICK_S, Plane

from levqor.domain.fleet import FleetKind, Worker, WorkerState
from levqor.monitors.reports import proposed_steps
from levqor.store.database import Database
from levqor.store.work import list_work


class TestRecorded:
    def test_each_tick_adds_what_is_known_of_it(self, database: Database, store_url: str, tmp_path: Path) -> None:
        plane = Plane(database, store_url, tmp_path)
        plane.ticks(12)
        plane.enqueue(6)
        plane.ticks(12)
        with database.read() as connection:
            works = [work for _minute, work in list_work(connection, "default", plane.clock.now() - timedelta(hours=1), plane.clock.now())]
        assert sum(work.worker_s for work in works) == 2 * sum(work.covered_s for work in works)
        assert sum(work.arrivals for work in works) == pytest.approx(6.0, rel=0.3)
        assert max(work.oldest_wait_s or 0.0 for work in works) > 0
        plane.operations.close()

    def test_a_gap_is_not_covered(self, database: Database, store_url: str, tmp_path: Path) -> None:
        """P1: a machine that slept has seen nothing."""
        plane = Plane(database, store_url, tmp_path)
        plane.ticks(10)
        covered = self.covered(plane)
        plane.clock.advance(600)
        plane.ticks(1)
        assert self.covered(plane) <= covered + 1.5 * TICK_S
        plane.operations.close()

    def covered(self, plane: Plane) -> float:
        with plane.database.read() as connection:
            works = list_work(connection, "default", plane.clock.now() - timedelta(hours=1), plane.clock.now())
        return sum(work.covered_s for _minute, work in works)

    def test_steps_that_were_not_put_in_force_are_told(self, database: Database, store_url: str, tmp_path: Path) -> None:
        """Observe mode: the proposal is recorded, and nothing moves."""
        plane = Plane(database, store_url, tmp_path)
        plane.enqueue(11)
        plane.ticks(3)
        with database.read() as connection:
            steps, count = proposed_steps(connection, plane.clock.now() - timedelta(hours=1))
        assert (count, steps[0].current, steps[0].target, steps[0].reason) == (1, 2, 3, "depth 11 > 10")
        plane.operations.close()


def test_advice_goes_on_from_the_workers_that_run(database: Database, store_url: str, tmp_path: Path) -> None:
    """Kind none: nobody follows a target, so the next step is counted from what is there and serves these queues."""
    plane = Plane(database, store_url, tmp_path, kind=FleetKind.NONE)
    workers = [Worker(f"w{n}", "there", n, WorkerState.IDLE, queues=("default", "low")) for n in range(3)]
    others = [Worker("x", "there", 9, WorkerState.IDLE, queues=("low",)), Worker("y", "there", 8, WorkerState.LOST, queues=("default",))]
    plane.engine.workers = lambda: [*workers, *others]  # type: ignore[method-assign]
    plane.enqueue(11)
    plane.ticks(1)
    last = plane.operations.decisions(1)[0]
    assert (last["action"], last["current"], last["running"], last["target"]) == ("scale_up", 3, 3, 4)
    assert plane.operations.status()["target"] == 3
    plane.operations.close()
