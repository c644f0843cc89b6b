"""`levqor agent`: workers of this host for an installation that runs elsewhere (spec P7)."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import rq
from tests.conftest import Valkey
from tests.integration.running import Installation
from tests.waiting import eventually

from levqor.agent.startup import named
from levqor.engines.rq import RqEngine
from levqor.fleets.agent import AgentFleet
from levqor.host import SystemClock


@pytest.fixture
def fleet(valkey: Valkey) -> AgentFleet:
    return AgentFleet(redis.Redis.from_url(valkey.url, socket_timeout=1))


@pytest.fixture
def place(tmp_path: Path, valkey: Valkey) -> Iterator[Installation]:
    place = Installation(tmp_path / "place", REDIS_URL=valkey.url, DRAIN_GRACE_S="30")
    yield place
    place.clean_up()


def attach(place: Installation, *own_command: str) -> None:
    place.start("agent", "--data", str(place.data), *own_command)


def running(fleet: AgentFleet, count: int) -> None:
    eventually(lambda: fleet.report().running == count, 20, what=f"{count} workers")


def submit(valkey: Valkey, job_id: str, seconds: float) -> RqEngine:
    engine = RqEngine(valkey.url, clock=SystemClock())
    engine.submit(job_id, "sleep", {"seconds": seconds}, "default", 3, [1.0], 60.0, 600.0)
    return engine


def test_without_a_store_it_is_told_what_is_missing(tmp_path: Path) -> None:
    place = Installation(tmp_path / "place")
    code, output = place.refused("agent", "--data", str(place.data))
    assert (code, output.count("\n")) == (2, 1)
    assert "REDIS_URL" in output


def test_it_waits_for_a_target_then_follows_it_and_reports(place: Installation, fleet: AgentFleet) -> None:
    attach(place)
    eventually(lambda: fleet.report().running == 0, 20, what="the agent's heartbeat")
    fleet.publish(2, term=1)
    running(fleet, 2)
    report = fleet.report()
    assert report.target_seen == 2
    assert report.room is not None
    assert report.room.free_bytes is not None
    assert report.room.worker_p95_bytes is not None
    assert {worker.pid for worker in report.workers} == {identity.pid for identity in place.children("worker").values()}
    fleet.publish(1, term=1)
    running(fleet, 1)
    assert place.children("control") == place.children("store") == {}


def test_sigterm_drains_its_workers_and_leaves_the_fleet(place: Installation, fleet: AgentFleet, valkey: Valkey) -> None:
    fleet.publish(1, term=1)
    attach(place)
    running(fleet, 1)
    engine = submit(valkey, "job", 2.0)
    eventually(lambda: (status := engine.job("job")) and status.status == "running", what="the running job")
    assert place.stop() == 0
    status = engine.job("job")
    assert status is not None
    assert (status.status, status.attempts) == ("succeeded", 1)
    assert place.left() == []
    assert fleet.report().agents == 0


def test_sigkill_leaves_its_workers_to_the_next_agent(place: Installation, fleet: AgentFleet, valkey: Valkey) -> None:
    fleet.publish(2, term=1)
    attach(place)
    running(fleet, 2)
    workers = place.children("worker")
    place.send(signal.SIGKILL)
    place.wait()
    engine = submit(valkey, "job", 0.01)
    eventually(lambda: (status := engine.job("job")) and status.status == "succeeded", what="the job's success without an agent")
    attach(place)
    eventually(place.has_begun, 20, what="the next agent")
    eventually(lambda: place.children("worker") == workers and fleet.report().running == 2, 20, what="adoption")
    assert place.stop() == 0
    assert not [identity for identity in workers.values() if identity.is_alive()]


def test_the_teams_own_worker_command_is_followed_drained_and_replaced(place: Installation, fleet: AgentFleet, valkey: Valkey) -> None:
    """Design, Processes: `levqor agent -- rq worker default`, in the team's own environment."""
    fleet.publish(1, term=1)
    attach(place, "--", sys.executable, "-m", "rq.cli", "worker", "default", "--url", valkey.url)
    running(fleet, 1)
    (first,) = place.children("worker").values()
    job = rq.Queue("default", connection=valkey.client).enqueue("time.sleep", 0.01)
    eventually(lambda: job.get_status(refresh=True) == "finished", what="the team's job")
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: [worker.pid for worker in fleet.report().workers] not in ([], [first.pid]), 20, what="its replacement")
    running(fleet, 1)
    assert place.stop() == 0
    assert place.left() == []


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ((), []),
        (("rq", "worker"), ["rq", "worker", "--name", "w1"]),
        (("run", "--as={name}"), ["run", "--as=w1"]),
    ],
)
def test_the_teams_command_is_told_the_workers_name(command: tuple[str, ...], argv: list[str]) -> None:
    assert named(command, "w1") == argv


def test_it_keeps_its_last_target_when_the_store_forgets_it(place: Installation, fleet: AgentFleet, valkey: Valkey) -> None:
    fleet.publish(2, term=1)
    attach(place)
    running(fleet, 2)
    workers = place.children("worker")
    valkey.client.delete("levqor:target:default")
    place.send(signal.SIGKILL)
    place.wait()
    attach(place)
    running(fleet, 2)
    assert place.children("worker") == workers


def test_two_agents_share_the_target_and_one_takes_over_when_the_other_leaves(
    place: Installation, fleet: AgentFleet, valkey: Valkey, tmp_path: Path
) -> None:
    other = Installation(tmp_path / "other", REDIS_URL=valkey.url)
    try:
        fleet.publish(3, term=1)
        attach(place)
        running(fleet, 3)
        attach(other)
        eventually(lambda: {len(place.children("worker")), len(other.children("worker"))} == {1, 2}, 20, what="shares")
        assert other.stop() == 0
        eventually(lambda: len(place.children("worker")) == 3, 20, what="the take-over")
        assert fleet.report().agents == 1
    finally:
        other.clean_up()


def test_a_store_that_dies_and_returns_finds_the_same_workers(place: Installation, fleet: AgentFleet, valkey: Valkey) -> None:
    """The workers outlive the broker, and so does the agent."""
    fleet.publish(2, term=1)
    attach(place)
    running(fleet, 2)
    workers = place.children("worker")
    valkey.kill()
    eventually(lambda: "keep their last target" in place.log, what="the agent's notice")
    valkey.start()
    eventually(lambda: _reports(fleet, 2), 30, what="the agent's return")
    assert place.children("worker") == workers


def _reports(fleet: AgentFleet, count: int) -> bool:
    return fleet.report().running == count
