"""The broker is killed, comes back, or hangs, while jobs run (spec E1: accepted jobs are never lost)."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Valkey
from tests.contract.conftest import Stage
from tests.waiting import eventually

from levqor.domain.errors import EngineDown

StageOn = Callable[[str, Path], Stage]


def _all_succeed(stage: Stage, ids: list[str], within_s: float) -> None:
    def done() -> bool:
        try:
            stage.engine.promote_due(["default"])
            return all(stage.status(job_id).status == "succeeded" for job_id in ids)
        except EngineDown:
            return False

    eventually(done, within_s=within_s, every_s=0.2, what="the end of all jobs")


@pytest.mark.slow
@pytest.mark.drill
def test_a_broker_that_is_killed_and_restarted_under_load_loses_no_job(valkey: Valkey, stage_on: StageOn, tmp_path: Path) -> None:
    """Each of 60 jobs runs at least once and ends; the same workers live on."""
    stage = stage_on(valkey.url, tmp_path)
    workers = [stage.worker(), stage.worker()]
    ids = [stage.note(str(n), seconds=0.1) for n in range(60)]
    for reached in (10, 30):
        eventually(lambda reached=reached: len(stage.ended()) >= reached)  # type: ignore[misc]
        valkey.kill()
        valkey.start()
    _all_succeed(stage, ids, within_s=40)
    runs = Counter(stage.ended())
    assert set(runs) == {str(n) for n in range(60)}
    assert [worker.process.poll() for worker in workers] == [None, None]
    state = stage.engine.queues(["default"])[0]
    assert (state.depth, state.running, state.delayed, state.dead) == (0, 0, 0, 0)
    assert max(stage.status(job_id).attempts for job_id in ids) == 1


def test_a_job_that_ends_while_the_broker_is_away_is_recorded_when_it_is_back(valkey: Valkey, stage_on: StageOn, tmp_path: Path) -> None:
    """It is not run a second time."""
    stage = stage_on(valkey.url, tmp_path)
    worker = stage.worker()
    job_id = stage.note("a", seconds=0.5)
    eventually(stage.begun)
    valkey.kill()
    eventually(stage.ended)
    with pytest.raises(EngineDown):
        stage.engine.job(job_id)
    valkey.start()
    _all_succeed(stage, [job_id], within_s=10)
    assert stage.begun() == ["a"]
    assert stage.status(job_id).losses == 0
    assert worker.process.poll() is None


def test_a_failure_while_the_broker_is_away_is_a_failure_of_the_job_not_of_the_broker(
    valkey: Valkey, stage_on: StageOn, tmp_path: Path
) -> None:
    stage = stage_on(valkey.url, tmp_path)
    stage.worker()
    job_id = stage.submit("shell", {"command": f"touch {stage.witness}; sleep 0.5; exit 3"}, max_attempts=1)
    eventually(stage.witness.exists)
    valkey.kill()
    valkey.start()
    dead = stage.until(job_id, "dead")
    assert "exit status 3" in (dead.error or "")


def test_a_job_process_killed_while_the_broker_is_away_is_given_back(valkey: Valkey, stage_on: StageOn, tmp_path: Path) -> None:
    stage = stage_on(valkey.url, tmp_path)
    worker = stage.worker()
    job_id = stage.note("a", seconds=0.8)
    eventually(stage.begun)
    valkey.kill()
    os.kill(worker.children()[0], signal.SIGKILL)
    valkey.start()
    _all_succeed(stage, [job_id], within_s=15)
    assert (stage.begun(), stage.status(job_id).losses) == (["a", "a"], 1)


def test_an_idle_worker_waits_for_its_broker(valkey: Valkey, stage_on: StageOn, tmp_path: Path) -> None:
    stage = stage_on(valkey.url, tmp_path)
    worker = stage.worker()
    valkey.kill()
    valkey.start()
    _all_succeed(stage, [stage.note("a")], within_s=10)
    assert worker.process.poll() is None


def test_a_worker_that_is_started_before_its_broker_waits_for_it(valkey: Valkey, stage_on: StageOn, tmp_path: Path) -> None:
    stage = stage_on(valkey.url, tmp_path)
    job_id = stage.note("a")
    valkey.kill()
    worker = stage.worker(await_start=False)
    eventually(lambda: "does not answer" in (tmp_path / f"{worker.name}.log").read_text(encoding="utf-8"))
    valkey.start()
    _all_succeed(stage, [job_id], within_s=10)


def test_a_worker_is_drained_while_its_broker_is_away(valkey: Valkey, stage_on: StageOn, tmp_path: Path) -> None:
    stage = stage_on(valkey.url, tmp_path)
    worker = stage.worker()
    valkey.kill()
    worker.send(signal.SIGTERM)
    assert worker.process.wait(15) == 0


def test_a_broker_that_hangs_for_three_seconds_cuts_no_job(valkey: Valkey, stage_on: StageOn, tmp_path: Path) -> None:
    stage = stage_on(valkey.url, tmp_path)
    worker = stage.worker()
    first = stage.note("a", seconds=0.3)
    eventually(stage.begun)
    valkey.pause()
    try:
        with pytest.raises(EngineDown) as down:
            stage.engine.queues(["default"])
        for _ in range(2):
            with pytest.raises(EngineDown):
                stage.engine.workers()
    finally:
        valkey.resume()
    assert valkey.password not in str(down.value)
    second = stage.note("b")
    _all_succeed(stage, [first, second], within_s=10)
    assert stage.begun() == ["a", "b"]
    assert worker.process.poll() is None


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_every_read_and_step_says_that_the_broker_is_down(valkey: Valkey, stage_on: StageOn, tmp_path: Path, fault: str) -> None:
    """Within the deadline, in words without a password."""
    engine = stage_on(valkey.url, tmp_path).engine
    engine.queue_names()
    getattr(valkey, fault)()
    acts: list[Callable[[], object]] = [
        lambda: engine.queues(["default"]),
        engine.workers,
        engine.queue_names,
        lambda: engine.job("a"),
        lambda: engine.submit("a", "sleep", {}, "default", 1, [1.0], 1, 1),
        lambda: engine.promote_due(["default"]),
        lambda: engine.give_back("nobody"),
        engine.reap,
    ]
    for act in acts:
        with pytest.raises(EngineDown, match=r"broker at 127\.0\.0\.1:\d+ does not answer") as down:
            act()
        assert valkey.password not in str(down.value)
    if fault == "kill":
        valkey.start()
    else:
        valkey.resume()
    assert engine.queue_names() == []


def test_a_wrong_password_is_told_without_telling_it(valkey: Valkey, stage_on: StageOn, tmp_path: Path) -> None:
    """X2: a worker ends at once with one line."""
    stage = stage_on(valkey.url.replace(valkey.password, "swordfish"), tmp_path)
    with pytest.raises(EngineDown) as down:
        stage.engine.queue_names()
    worker = stage.worker(await_start=False)
    assert worker.process.wait(10) == 69
    said = (tmp_path / f"{worker.name}.log").read_text(encoding="utf-8")
    assert len(said.splitlines()) == 1
    assert "swordfish" not in said + str(down.value)
