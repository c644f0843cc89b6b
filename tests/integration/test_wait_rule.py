"""The rule `wait` in the loop, over a real store, a real broker and both databases (spec A12)."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.integration.test_autopilot import Plane

from levqor.client.rq_scripts import DEFAULT_PREFIX
from levqor.domain.fleet import FleetKind
from levqor.monitors.autoscale import Autopilot
from levqor.monitors.operations import Operations
from levqor.monitors.records import replay
from levqor.monitors.wait_memory import BY_LEADER, read_wait
from levqor.policies.scaling import ScalingRules
from levqor.store.database import Database
from levqor.store.decisions import list_decisions
from levqor.store.flags import DEFAULT_FLEET, write_flag
from levqor.store.leases import TTL_S

RULES = ScalingRules(name="wait", wait_slo_s=5.0, worker_start_s=2.0)
"""With a tick of 2 s: more workers from a predicted 2.2 s on, fewer after a pause of 7.8 s."""


class Waiting(Plane):
    """A control plane under the rule `wait`."""

    def __init__(self, database: Database, store_url: str, folder: Path, name: str = "one", kind: FleetKind = FleetKind.AGENT) -> None:
        super().__init__(database, store_url, folder, name, kind)
        self.rules = RULES
        self.autopilot = Autopilot(self.parts())
        self.operations = Operations(replace(self.operations._parts, rules=RULES))

    def empty(self) -> None:
        self.store.delete(f"{DEFAULT_PREFIX}:queue:default")

    def worked(self, jobs: int, seconds: float) -> None:
        """What a worker of the team's own writes of itself."""
        self.store.sadd(f"{DEFAULT_PREFIX}:workers", f"{DEFAULT_PREFIX}:worker:anna")
        facts: Mapping[Any, Any] = {
            "queues": "default",
            "successful_job_count": str(jobs),
            "failed_job_count": "0",
            "total_working_time": str(seconds),
        }
        self.store.hset(f"{DEFAULT_PREFIX}:worker:anna", mapping=facts)

    def set_target(self, count: int) -> None:
        with self.database.write() as connection:
            write_flag(connection, self.clock.now(), "WORKER_COUNT", count, "ana")


@pytest.fixture
def plane(database: Database, store_url: str, tmp_path: Path) -> Waiting:
    plane = Waiting(database, store_url, tmp_path)
    plane.enable()
    return plane


def test_a_spike_is_answered_by_one_step_of_several_workers(plane: Waiting) -> None:
    """A12, A5: eleven jobs, two workers, and no more than 2.2 s to wait."""
    plane.enqueue(11)
    plane.ticks(1)
    last = plane.operations.decisions(1)[0]
    assert (last["current"], last["target"], plane.target(), plane.published()) == (2, 4, 4, (4, 1))
    assert last["reasons"][0]["text"] == "jobs in the system 11, predicted wait 5.5 s > 2.2 s at 2 workers; 4 bring it to 2.8 s"


def test_a_queue_that_few_workers_clear_in_time_asks_for_none(plane: Waiting) -> None:
    plane.enqueue(4)
    plane.ticks(3)
    assert plane.target() == 2


def test_calm_brings_it_back_in_one_step_after_the_pause(plane: Waiting) -> None:
    """A12."""
    plane.enqueue(11)
    plane.ticks(1)
    plane.empty()
    plane.ticks(5, running=4)
    assert plane.target() == 4, "nobody knows the arrivals before they were counted for a few seconds"
    plane.ticks(3, running=4)
    assert plane.target() == 1
    plane.ticks(5, running=1)
    assert plane.target() == 1


def test_the_teams_workers_tell_arrivals_and_the_length_of_jobs(plane: Waiting) -> None:
    """Nothing is installed at them: RQ's own counts are enough."""
    plane.worked(100, 50.0)
    for tick in range(1, 9):
        plane.worked(100 + 4 * tick, 50.0 + 3 * tick)
        plane.ticks(1)
    signals = plane.operations.status()["signals"]
    assert signals["arrival_rate"]["value"] == pytest.approx(2.0)
    assert signals["mean_service_s"]["value"] == pytest.approx(0.75)
    last = plane.operations.decisions(1, changes=False)[0]
    assert (last["inputs"]["arrival_rate"]["value"], last["target"]) == (pytest.approx(2.0), 2)
    assert "load 1.1 +- 0.2 workers (2 jobs/s of 0.55 s)" in last["reasons"][0]["text"], "a few jobs move the mean of a hundred little"


def test_a_successor_goes_on_with_the_memory_and_credits_nothing_for_the_gap(database: Database, store_url: str, tmp_path: Path) -> None:
    """P1."""
    first = Waiting(database, store_url, tmp_path, "first")
    first.set_target(4)
    first.ticks(5, running=4)
    with database.read() as connection:
        before = read_wait(connection, DEFAULT_FLEET)
    assert before.low_s > 0
    second = Waiting(database, store_url, tmp_path, "second")
    second.autopilot.renew()
    second.clock.advance(TTL_S)
    second.heard(4)
    second.autopilot.renew()
    assert second.lease.term == 2
    second.ticks(1, running=4)
    with database.read() as connection:
        after = read_wait(connection, DEFAULT_FLEET)
    assert (after.low_s, after.target) == (0.0, 4), "it has not counted arrivals yet: unknown is not calm"
    assert after.begun == before.begun


def test_a_process_that_asks_for_the_first_time_knows_what_the_autopilot_counted(plane: Waiting, tmp_path: Path, store_url: str) -> None:
    """A6: the dry run's answer is the tick's."""
    plane.ticks(8, running=2)
    other = Waiting(plane.database, store_url, tmp_path, "other")
    other.clock.advance(plane.clock.monotonic() - other.clock.monotonic())
    answer = other.operations.dryrun({})
    assert answer["inputs"]["arrival_rate"]["detail"] in (BY_LEADER, "")
    assert plane.operations.dryrun({})["action"] == plane.operations.decisions(1, changes=False)[0]["action"]


@pytest.mark.parametrize(
    ("what_if", "action", "target"),
    [
        ({"queue_depth": 8.0}, "hold", 2),
        ({"queue_depth": 9.0}, "scale_up", 3),
        ({"queue_depth": 99.0}, "scale_up", 4),
        ({"calm_for_s": 7.0}, "hold", 2),
        ({"calm_for_s": 8.0}, "scale_down", 1),
        ({"calm_for_s": 8.0, "p95_ms": 900.0}, "scale_down", 1),
    ],
)
def test_what_if(database: Database, store_url: str, tmp_path: Path, what_if: dict[str, float], action: str, target: int) -> None:
    """A6: also under this rule, and nothing is moved by asking."""
    plane = Waiting(database, store_url, tmp_path)
    plane.ticks(4)
    answer = plane.operations.dryrun(what_if)
    assert (answer["action"], answer["target"]) == (action, target)
    assert len(plane.operations.decisions(limit=100, changes=False)) == 4


def test_every_decision_replays_to_the_same_answer(plane: Waiting) -> None:
    """A11: with what the rule remembered then."""
    plane.ticks(3)
    plane.enqueue(15)
    plane.ticks(2, running=2)
    plane.empty()
    plane.ticks(15, running=4)
    with plane.database.read() as connection:
        rows = list_decisions(connection, limit=100, changes=False)
    assert len({row["decision"]["target"] for row in rows}) >= 3
    for row in rows:
        decision = replay(row).as_dict()
        assert {name: value for name, value in decision.items() if name not in ("inputs", "guard")} == row["decision"]


def test_a_broker_that_does_not_answer_lets_no_worker_go(plane: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3."""
    plane.set_target(4)
    monkeypatch.setattr(plane.engine, "_client", plane.engine._client.__class__.from_url("redis://127.0.0.1:1/0"))
    plane.ticks(12, running=4)
    last = plane.operations.decisions(1, changes=False)[0]
    assert (plane.target(), last["reasons"][0]["code"]) == (4, "unknown")
