"""A team's own workers of RQ 1.16, 2.12 and 3.0: read without a change, and acted on from 2.12 on (spec S1, S3, E3, P7, X4)."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.contract.conftest import HANDLERS, Stage
from tests.contract.team import INSTALLED, VERSIONS, Team, make_team
from tests.waiting import eventually

from levqor.domain.errors import GuardRefused
from levqor.domain.fleet import Worker, WorkerState
from levqor.engines.rq import RqEngine
from levqor.engines.rq_version import Support
from levqor.host import SystemClock

EXACT = {"1.16": "1.16.2", "2.12": "2.12.0", "3.0": "3.0.0"}
READING = {"TIME", "LLEN", "LRANGE", "ZCARD", "HMGET", "HGETALL", "HGET", "SMEMBERS", "ZRANGE", "ZREVRANGE", "XREVRANGE", "ZSCORE"}


@pytest.fixture
def team(request: pytest.FixtureRequest, store_url: str, tmp_path: Path) -> Iterator[Team]:
    made = make_team(request.param, store_url, tmp_path / "team")
    yield made
    made.close()


@pytest.fixture
def engine(store_url: str) -> Iterator[RqEngine]:
    """As an attached installation has it: what no worker tells is not assumed."""
    made = RqEngine(store_url, clock=SystemClock(), acts_unseen=False)
    yield made
    made.close()


def of(*versions: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("team", versions, indirect=True)


def the_worker(engine: RqEngine, state: WorkerState) -> Worker:
    """Once it is listed so; a busy one says a moment later what it is busy with."""

    def listed() -> list[Worker]:
        return [worker for worker in engine.workers() if worker.state is state and (worker.job_id or state is not WorkerState.BUSY)]

    return eventually(listed, 15, what=state.value)[0]


def _dump(client: redis.Redis) -> dict[bytes, Any]:
    keys: list[bytes] = sorted(client.keys())  # type: ignore[arg-type]
    return {key: (client.dump(key), client.pexpiretime(key.decode())) for key in keys}


@of(*VERSIONS)
def test_a_teams_queues_and_workers_are_read_and_left_as_they_are(team: Team, engine: RqEngine, store_url: str, tmp_path: Path) -> None:
    """S1, E3: depth, oldest wait, running, delayed, dead, and each worker with host, process, queues, state and job."""
    gate = tmp_path / "gate"
    dead, _, _, _, _ = team.enqueue(
        {"function": "need", "path": str(gate)},
        {"function": "add", "queue": "low"},
        {"function": "add", "queue": "low"},
        {"function": "add", "queue": "low", "delay_s": 3600},
        {"function": "add", "queue": "high", "delay_s": 3600},
    )
    worker = team.begin_worker("--name", "shop-1", queues=("high", "default"))
    team.until(dead, "failed")
    (running,) = team.enqueue({"function": "wait_for", "path": str(gate), "queue": "default"})
    busy = the_worker(engine, WorkerState.BUSY)
    eventually(lambda: engine.queues(["default"])[0].running == 1)

    assert (busy.name, busy.pid, busy.queues, busy.job_id) == ("shop-1", worker.pid, ("high", "default"), running)
    assert busy.host == os.uname().nodename
    assert busy.started_at is not None
    assert abs(busy.started_at - SystemClock().now().timestamp()) < 60, "the worker's clock is set to Tokyo"
    default, high, low = engine.queues(["default", "high", "low"])
    assert (default.depth, default.running, default.delayed, default.dead, default.oldest_wait_s) == (0, 1, 0, 1, None)
    assert (high.depth, high.delayed, high.oldest_wait_s) == (0, 1, None)
    assert (low.depth, low.running, low.delayed, low.dead) == (2, 0, 1, 0)
    assert low.oldest_wait_s is not None
    assert 0 < low.oldest_wait_s < 60, "its submitter's clock is set to Tokyo"
    assert engine.queue_names() == ["default", "high", "low"]
    (letter,) = engine.dead_letters("default")
    assert (letter.job_id, letter.handler, letter.is_foreign) == (dead, "tests.contract.team_jobs.need", True)
    assert letter.error == "LookupError: nothing there yet"
    assert "in need" in (engine.trace(dead) or "")
    standing = engine.standing()
    assert standing.rq_versions == (EXACT[team.version],)
    assert standing.support is (Support.OBSERVED if team.version == "1.16" else Support.ACTED)
    assert bool(engine.advice()) == (team.version == "1.16")

    def read() -> None:
        engine.queues(["default", "high", "low", "missing"])
        engine.workers()
        engine.queue_names()
        engine.dead_letters("default")
        engine.job(running)

    with team.client as client:
        before = _dump(client)
        watched = Stage(store_url, tmp_path, engine, []).commands(read)
        assert _dump(client) == before
    assert set(watched) <= READING

    worker.send_signal(signal.SIGTERM)
    assert the_worker(engine, WorkerState.DRAINING).job_id == running
    gate.touch()
    assert worker.wait(15) == 0
    assert engine.workers() == []
    assert team.fetch(running) == [{"status": "finished", "result": "'seen'"}]


@of(*VERSIONS)
def test_a_worker_whose_heartbeat_lapsed_is_lost(team: Team, engine: RqEngine, tmp_path: Path) -> None:
    """E3: killed with all its processes, it says nothing; when what it told has expired, it is lost and no longer counted."""
    (job_id,) = team.enqueue({"function": "wait_for", "path": str(tmp_path / "never")})
    worker = team.begin_worker("--name", "shop-1")
    assert the_worker(engine, WorkerState.BUSY).job_id == job_id
    team.end(worker)
    assert [known.state for known in engine.workers()] == [WorkerState.BUSY], "RQ gives it until its heartbeat lapses"
    with team.client as client:
        client.pexpire("rq:worker:shop-1", 1)
    assert the_worker(engine, WorkerState.LOST).name == "shop-1"
    assert engine.queues(["default"])[0].running == 1
    assert engine.standing().support is Support.UNKNOWN, "nobody who lives tells a version"
    assert "no RQ worker is listed" in engine.advice()[0]


@of("2.12", "3.0")
def test_dead_letters_of_a_team_run_again_on_its_own_workers(team: Team, engine: RqEngine, tmp_path: Path) -> None:
    """L2, X4: requeued, quarantined and dropped without opening them; the result is where the team looks for it."""
    gate = tmp_path / "gate"
    again, apart, gone = team.enqueue(*[{"function": "need", "path": str(gate)}] * 3)
    with pytest.raises(GuardRefused, match="no RQ worker is listed"):
        engine.requeue_dead("default", [again], batch_id="b0", allow_foreign=True)
    team.begin_worker()
    for job_id in (again, apart, gone):
        team.until(job_id, "failed")
    gate.touch()
    assert engine.quarantine("default", [apart], "poison") == 1
    assert engine.drop_dead("default", [gone]) == 1
    moved = engine.requeue_dead("default", [again, apart, gone], batch_id="b1", allow_foreign=True)
    assert (moved.moved, moved.remaining) == (1, 0)
    team.until(again, "finished")
    assert team.fetch(again) == [{"status": "finished", "result": "'found'"}]
    assert engine.requeue_dead("default", [again], batch_id="b1", allow_foreign=True).moved == 0

    assert engine.release_quarantined("default", [apart]) == 1
    assert engine.requeue_dead("default", [apart], batch_id="b2", allow_foreign=True).moved == 1
    team.until(apart, "finished")
    assert team.status(gone) == ""
    state = engine.queues(["default"])[0]
    assert (state.depth, state.running, state.dead) == (0, 0, 0)


@of("2.12", "3.0")
def test_the_job_of_a_killed_worker_goes_back_and_runs_on_another(team: Team, engine: RqEngine, tmp_path: Path) -> None:
    """P3: given back as it is, and finished by the team's next worker."""
    gate = tmp_path / "gate"
    (job_id,) = team.enqueue({"function": "wait_for", "path": str(gate)})
    worker = team.begin_worker("--name", "shop-1")
    the_worker(engine, WorkerState.BUSY)
    eventually(lambda: engine.queues(["default"])[0].running == 1)
    team.end(worker)
    assert engine.give_back("shop-1") == job_id
    assert engine.queues(["default"])[0].depth == 1
    gate.touch()
    team.begin_worker()
    team.until(job_id, "finished")
    assert team.fetch(job_id) == [{"status": "finished", "result": "'seen'"}]


@of("1.16")
def test_beside_an_old_version_nothing_is_moved(team: Team, engine: RqEngine, tmp_path: Path) -> None:
    """Every act is refused with what to do, and leaves every key as it was."""
    dead, _ = team.enqueue({"function": "need", "path": str(tmp_path / "never")}, {"function": "add", "queue": "low"})
    team.begin_worker("--name", "shop-1")
    team.until(dead, "failed")
    the_worker(engine, WorkerState.IDLE)
    acts: dict[str, Callable[[], object]] = {
        "requeue": lambda: engine.requeue_dead("default", [dead], batch_id="b", allow_foreign=True),
        "quarantine": lambda: engine.quarantine("default", [dead], "poison"),
        "drop": lambda: engine.drop_dead("default", [dead]),
        "give back": lambda: engine.give_back("shop-1"),
    }
    with team.client as client:
        before = _dump(client)
        for name, act in acts.items():
            with pytest.raises(GuardRefused, match=r"RQ 1\.16\.2, which Levqor only observes: upgrade them to RQ 2\.12 or later"):
                act()
            assert _dump(client) == before, name
        assert engine.reap(lambda worker: True) == []
        assert _dump(client) == before


def test_one_old_worker_among_new_ones_is_enough_to_refuse(store_url: str, engine: RqEngine) -> None:
    with redis.Redis.from_url(store_url) as client:
        for name, version in (("new", "3.0.0"), ("old", "1.16.2")):
            client.hset(f"rq:worker:{name}", mapping={"version": version, "python_version": "3.11.7 (main)", "last_heartbeat": ""})
            client.hset(f"rq:worker:{name}", "last_heartbeat", "2026-01-01T00:00:00.000000Z")
            client.sadd("rq:workers", f"rq:worker:{name}")
    standing = engine.standing()
    assert (standing.support, standing.rq_versions, standing.python_versions) == (Support.OBSERVED, ("1.16.2", "3.0.0"), ("3.11.7",))
    with pytest.raises(GuardRefused, match=r"workers run RQ 1\.16\.2,"):
        engine.drop_dead("default", ["a"])


# Another prefix (RQ 3's RQ_KEY_PREFIX)


def test_a_team_with_a_prefix_of_its_own_is_read_and_acted_on(store_url: str, tmp_path: Path) -> None:
    """F2: RQ_KEY_PREFIX."""
    team = make_team(INSTALLED, store_url, tmp_path / "team", RQ_KEY_PREFIX="shop:{1}")
    engine = RqEngine(store_url, clock=SystemClock(), prefix="shop:{1}", acts_unseen=False)
    gate = tmp_path / "gate"
    try:
        dead, _ = team.enqueue({"function": "need", "path": str(gate)}, {"function": "add", "queue": "low"})
        worker = team.begin_worker("--name", "shop-1")
        team.until(dead, "failed", prefix="shop:{1}")
        idle = the_worker(engine, WorkerState.IDLE)
        assert (idle.name, idle.pid, idle.queues) == ("shop-1", worker.pid, ("default",))
        assert [state.depth for state in engine.queues(["default", "low"])] == [0, 1]
        assert engine.queue_names() == ["default", "low"]
        assert [letter.error for letter in engine.dead_letters("default")] == ["LookupError: nothing there yet"]
        gate.touch()
        assert engine.requeue_dead("default", [dead], batch_id="b", allow_foreign=True).moved == 1
        team.until(dead, "finished", prefix="shop:{1}")
        assert team.fetch(dead) == [{"status": "finished", "result": "'found'"}]
        with team.client as client:
            assert list(client.scan_iter("rq:*")) == []
    finally:
        team.close()
        engine.close()


def test_levqors_own_workers_follow_the_prefix(stage: Stage, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """F2: the agent hands it to its workers."""
    monkeypatch.setenv("RQ_KEY_PREFIX", "shop")
    stage.engine = RqEngine(store_url, clock=SystemClock(), handlers=HANDLERS, prefix="shop")
    stage.worker()
    stage.until(stage.note("a"), "succeeded")
    with stage.client as client:
        assert list(client.scan_iter("rq:*")) == []
