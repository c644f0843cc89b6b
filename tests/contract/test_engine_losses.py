"""Killed jobs and killed workers: nothing is lost, and nothing uses up an attempt (spec E1, A8, P3)."""

import os
import signal
from pathlib import Path

import pytest
from tests.clock import ManualClock
from tests.contract import witness
from tests.contract.conftest import HANDLERS, Stage
from tests.waiting import eventually

from levqor.domain.fleet import Worker, WorkerState
from levqor.engines.rq import RqEngine
from levqor.host import ProcessIdentity


def _is_dead(worker: Worker) -> bool:
    return not Path(f"/proc/{worker.pid}").exists()


def test_a_killed_job_process_uses_up_no_attempt_and_the_job_runs_again_at_once(stage: Stage) -> None:
    """E1: a loss is counted, and it is no attempt."""
    job_id, other = stage.note("first", seconds=0.6), stage.note("second")
    worker = stage.worker()
    os.kill(stage.child_of(worker), signal.SIGKILL)
    done = stage.until(job_id, "succeeded")
    assert (done.attempts, done.losses) == (1, 1)
    stage.until(other, "succeeded")
    assert stage.begun() == ["first", "first", "second"], "the job goes back to the head of its queue"
    assert worker.process.poll() is None


@pytest.mark.parametrize("handler", ["die", "slip_away"])
def test_a_job_that_loses_its_process_more_often_than_allowed_is_dead(stage: Stage, handler: str) -> None:
    """E1: at most 3 losses; the fourth is the end, and says why."""
    job_id = stage.submit(handler, {"path": str(stage.witness), "word": "x"})
    stage.worker()
    dead = stage.until(job_id, "dead")
    assert (dead.attempts, dead.losses, dead.error) == (0, 4, "lost its worker 4 times")
    assert stage.begun() == ["x"] * 4
    assert stage.engine.queues(["default"])[0].dead == 1


def test_losses_are_limited_by_the_setting(store_url: str, stage: Stage) -> None:
    engine = RqEngine(store_url, clock=ManualClock(), handlers=HANDLERS, max_losses=0)
    engine.submit("j", "die", {"path": str(stage.witness), "word": "x"}, "default", 3, [0.1], 30, 600)
    engine.close()
    stage.worker()
    assert (stage.until("j", "dead").losses, stage.begun()) == (1, ["x"])


def test_a_killed_workers_job_is_given_back_to_the_head_and_runs_again(stage: Stage) -> None:
    """E1, P3: kill -9 of the group, then `give_back`; a second call changes nothing."""
    job_id, other = stage.note("first", seconds=0.6), stage.note("second")
    worker = stage.worker()
    eventually(stage.begun)
    worker.kill_group()
    assert stage.engine.give_back(worker.name) == job_id
    assert stage.engine.give_back(worker.name) is None
    back = stage.status(job_id)
    assert (back.status, back.attempts, back.losses, back.started_at) == ("queued", 0, 1, None)
    assert stage.engine.workers() == []
    assert stage.outcomes == [("job", "default", "note", "lost")]
    stage.worker()
    stage.until(other, "succeeded")
    assert stage.begun() == ["first", "first", "second"]
    assert stage.status(job_id).attempts == 1


def test_a_worker_that_was_interrupted_on_purpose_is_no_loss(stage: Stage) -> None:
    """A8: a job longer than the grace is given back and reported as returned."""
    job_id = stage.note("long", seconds=30)
    worker = stage.worker()
    eventually(stage.begun)
    worker.kill_group()
    assert stage.engine.give_back(worker.name, interrupted=True) == job_id
    assert (stage.status(job_id).status, stage.status(job_id).losses) == ("queued", 0)
    assert stage.outcomes == [("job", "default", "note", "returned")]


def test_given_back_too_often_is_dead(stage: Stage) -> None:
    job_id = stage.note("long", seconds=30)
    for _ in range(4):
        before = len(stage.begun())
        worker = stage.worker()
        eventually(lambda before=before: len(stage.begun()) > before)  # type: ignore[misc]
        worker.kill_group()
        assert stage.engine.give_back(worker.name) == job_id
    assert (stage.status(job_id).status, stage.status(job_id).error) == ("dead", "lost its worker 4 times")
    assert stage.outcomes[-1] == ("job", "default", "note", "dead")


def test_a_finished_job_is_not_given_back(stage: Stage) -> None:
    job_id = stage.note("done")
    worker = stage.worker()
    stage.until(job_id, "succeeded")
    worker.kill_group()
    assert stage.engine.give_back(worker.name) is None
    assert stage.status(job_id).status == "succeeded"
    assert stage.engine.queues(["default"])[0].depth == 0


def test_a_jobs_process_dies_with_its_worker(stage: Stage) -> None:
    """Otherwise the job would run twice in parallel once it is given back."""
    stage.note("long", seconds=30)
    worker = stage.worker()
    eventually(stage.begun)
    (child,) = witness.pids(stage.witness)
    worker.send(signal.SIGKILL)
    worker.process.wait(5)
    eventually(lambda: not Path(f"/proc/{child}").exists(), what="the end of the job's process")
    assert stage.ended() == []


def test_reaping_gives_back_the_jobs_of_dead_workers_only(stage: Stage) -> None:
    jobs = {stage.note(str(n), seconds=30): n for n in range(2)}
    workers = [stage.worker(), stage.worker()]
    eventually(lambda: len(stage.begun()) == 2)
    workers[0].kill_group()
    (returned,) = stage.engine.reap(_is_dead)
    assert returned in jobs
    assert [worker.name for worker in stage.engine.workers()] == [workers[1].name]
    assert stage.engine.reap(_is_dead) == []


def test_reaping_knows_a_dead_worker_of_this_machine_by_the_identity_it_left(stage: Stage) -> None:
    """P3: once it is silent, and not before."""
    job_id = stage.note("long", seconds=30)
    worker = stage.worker()
    eventually(stage.begun)
    with stage.client as client:
        identity = client.hget(f"rq:worker:{worker.name}", "levqor_identity")
        assert identity == str(ProcessIdentity.of(worker.pid)).encode()
        client.hset(f"rq:worker:{worker.name}", "last_heartbeat", "2026-01-01T00:00:00.000000Z")
        assert stage.engine.reap() == [], "it lives"
        worker.kill_group()
        assert stage.engine.reap() == [job_id]


def test_a_dead_worker_that_was_heard_a_moment_ago_is_left_to_its_agent(stage: Stage) -> None:
    stage.note("long", seconds=30)
    worker = stage.worker()
    eventually(stage.begun)
    worker.kill_group()
    assert stage.engine.reap() == []


def test_an_abandoned_job_comes_back_once_its_heartbeat_lapsed(store_url: str, stage: Stage) -> None:
    """E1: nobody knows the worker any more. Only once the broker has been answering for a while, so that the living are heard."""
    job_id = stage.note("long", seconds=30)
    worker = stage.worker()
    eventually(stage.begun)
    worker.kill_group()
    clock = ManualClock()
    engine = RqEngine(store_url, clock=clock)
    with stage.client as client:
        client.srem("rq:workers", f"rq:worker:{worker.name}")
        client.delete(f"rq:worker:{worker.name}", f"rq:worker:{worker.name}:executions")
        clock.advance(60)
        assert engine.reap(_is_dead) == []
        clock.advance(60)
        assert engine.reap(_is_dead) == [], "its heartbeat is good for 60 s"
        (member,) = client.zrange("rq:wip:default", 0, -1)
        client.zadd("rq:wip:default", {member: client.time()[0] - 1})
        assert RqEngine(store_url, clock=clock).reap(_is_dead) == [], "this engine has just begun to listen"
        assert engine.reap(_is_dead) == [job_id]
        assert engine.reap(_is_dead) == []
    engine.close()
    assert (stage.status(job_id).status, stage.status(job_id).losses) == ("queued", 1)


def test_a_job_that_was_popped_and_never_started_comes_back(store_url: str, stage: Stage) -> None:
    """RQ's own workers move a job aside before they start it; one that dies in between leaves it there."""
    job_id = stage.note("a")
    clock = ManualClock()
    engine = RqEngine(store_url, clock=clock)
    with stage.client as client:
        client.lmove("rq:queue:default", "rq:queue:default:intermediate")
        engine.queue_names()
        clock.advance(60)
        assert engine.reap(_is_dead) == [], "it may be about to start"
        assert client.hexists("levqor:popped:default", job_id)
        client.hset("levqor:popped:default", job_id, str(client.time()[0] - 31))
        assert engine.reap(_is_dead) == [job_id]
        assert client.lrange("rq:queue:default", 0, -1) == [job_id.encode()]
        assert not client.exists("rq:queue:default:intermediate", "levqor:popped:default")
    engine.close()
    assert stage.status(job_id).losses == 0


def test_a_job_that_was_given_to_another_is_stopped_where_it_ran(stage: Stage) -> None:
    """A worker that was taken for dead and lives notices at its next heartbeat."""
    stage.note("long", seconds=40)
    worker = stage.worker()
    eventually(stage.begun)
    (child,) = witness.pids(stage.witness)
    assert stage.engine.give_back(worker.name) is not None
    eventually(lambda: not Path(f"/proc/{child}").exists(), within_s=15, what="the end of the first run")
    assert stage.ended() == []
    assert worker.process.poll() is None


def test_a_drained_worker_finishes_its_job_and_takes_no_other(stage: Stage) -> None:
    """A8, P7: SIGTERM."""
    first, second = stage.note("first", seconds=1.5), stage.note("second")
    worker = stage.worker()
    eventually(stage.begun)
    worker.send(signal.SIGTERM)
    eventually(lambda: [known.state for known in stage.engine.workers()] == [WorkerState.DRAINING])
    assert worker.process.wait(10) == 0
    assert stage.status(first).status == "succeeded"
    assert stage.status(second).status == "queued"
    assert stage.ended() == ["first"]
    assert stage.engine.workers() == []


def test_an_idle_worker_ends_when_told(stage: Stage) -> None:
    worker = stage.worker()
    eventually(lambda: [known.state for known in stage.engine.workers()] == [WorkerState.IDLE])
    worker.send(signal.SIGTERM)
    assert worker.process.wait(5) == 0
    assert stage.engine.workers() == []


def test_a_second_signal_ends_the_job_and_gives_it_back(stage: Stage) -> None:
    """A8: it was interrupted on purpose: no loss, no attempt."""
    job_id = stage.note("long", seconds=30)
    worker = stage.worker()
    eventually(stage.begun)
    worker.send(signal.SIGTERM)

    def ended() -> bool:
        worker.send(signal.SIGTERM)
        return worker.process.poll() is not None

    eventually(ended, every_s=0.3, what="the end of the worker")
    back = stage.status(job_id)
    assert (back.status, back.attempts, back.losses) == ("queued", 0, 0)
    assert stage.engine.workers() == []
    (child,) = witness.pids(stage.witness)
    assert not Path(f"/proc/{child}").exists()


def test_a_hangup_changes_nothing(stage: Stage) -> None:
    job_id = stage.note("a", seconds=0.5)
    worker = stage.worker()
    eventually(stage.begun)
    worker.send(signal.SIGHUP)
    stage.until(job_id, "succeeded")
    worker.send(signal.SIGHUP)
    stage.until(stage.note("b"), "succeeded")


def test_a_signal_to_the_whole_group_drains_as_well(stage: Stage) -> None:
    job_id = stage.note("a", seconds=1.0)
    worker = stage.worker()
    eventually(stage.begun)
    os.killpg(worker.pid, signal.SIGTERM)
    assert worker.process.wait(10) == 0
    assert stage.status(job_id).status == "succeeded"
    assert stage.ended() == ["a"]
