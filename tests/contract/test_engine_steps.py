"""Each step may be repeated: its answer can be lost with the connection."""

from collections.abc import Iterator

import pytest
from tests.contract.conftest import Stage

from levqor.client import rq_scripts as steps


@pytest.fixture
def run(stage: Stage) -> Iterator[steps.Steps]:
    with stage.client as client:
        client.hset("rq:worker:w", "queues", "default")
        yield steps.Steps(client)


def _claim(run: steps.Steps, execution: str, worker: str = "w") -> list[bytes]:
    answer: list[bytes] = run.run(steps.CLAIM, worker, execution, 60, "default")
    return answer


def _settle(run: steps.Steps, member: bytes, outcome: str) -> list[bytes]:
    answer: list[bytes] = run.run(steps.SETTLE, "default", member, outcome, "no luck", "w", "result", "1.5")
    return answer


def test_a_claim_whose_answer_was_lost_gives_the_same_job_again(stage: Stage, run: steps.Steps) -> None:
    first, second = stage.note("first"), stage.note("second")
    assert [_claim(run, each)[1] for each in ("e1", "e2")] == [f"{first}:e1".encode()] * 2
    assert _claim(run, "e3", worker="v")[1] == f"{second}:e3".encode()
    state = stage.engine.queues(["default"])[0]
    assert (state.depth, state.running) == (0, 2)


def test_an_end_is_recorded_once(stage: Stage, run: steps.Steps) -> None:
    job_id = stage.note("a")
    member = _claim(run, "e1")[1]
    assert _settle(run, member, "succeeded") == [b"succeeded"]
    assert _settle(run, member, "succeeded") == [b"fenced", b"finished"]
    assert (stage.status(job_id).status, stage.status(job_id).attempts) == ("succeeded", 1)
    assert run.run(steps.LOSE, "w", "default", member, 1) == b""


def test_whoever_was_taken_for_dead_cannot_end_a_job_that_was_given_back(stage: Stage, run: steps.Steps) -> None:
    job_id = stage.note("a")
    member = _claim(run, "e1")[1]
    assert stage.engine.give_back("w") == job_id
    assert _settle(run, member, "failed") == [b"fenced", b"queued"]
    assert (stage.status(job_id).status, stage.status(job_id).attempts) == ("queued", 0)


@pytest.mark.parametrize(("attempts", "waits"), [(1, 2.0), (2, 7.0), (3, 7.0)])
def test_the_last_back_off_repeats(stage: Stage, run: steps.Steps, attempts: int, waits: float) -> None:
    """JOB_BACKOFF: the last one repeats."""
    job_id = stage.submit("fail", max_attempts=9, backoff=[2.0, 7.0])
    with stage.client as client:
        client.hset(f"rq:job:{job_id}", "levqor_attempts", str(attempts - 1))
        assert _settle(run, _claim(run, "e1")[1], "failed") == [b"failed"]
        due, seconds = client.zscore("rq:scheduled:default", job_id), client.time()[0]
    assert isinstance(due, float)
    assert due - seconds == pytest.approx(waits, abs=1.5)


def test_a_finished_job_that_is_in_a_queue_again_is_not_run_again(stage: Stage, run: steps.Steps) -> None:
    job_id, other = stage.note("a"), stage.note("b")
    _settle(run, _claim(run, "e1")[1], "succeeded")
    with stage.client as client:
        client.lpush("rq:queue:default", job_id, "vanished")
    assert _claim(run, "e2")[1] == f"{other}:e2".encode()


def test_rqs_own_suspension_is_honoured(stage: Stage, run: steps.Steps) -> None:
    stage.note("a")
    with stage.client as client:
        client.set("rq:suspended", 1)
        assert _claim(run, "e1") == [b"none"]
        client.delete("rq:suspended")
    assert _claim(run, "e1")[0] == b"job"


def test_only_levqors_own_retries_are_promoted(stage: Stage) -> None:
    """RQ's scheduler owns the others, and would put them in a second time."""
    with stage.client as client:
        client.hset("rq:job:foreign", mapping={"data": "x", "status": "scheduled", "origin": "default"})
        client.zadd("rq:scheduled:default", {"foreign": 1, "vanished": 1})
        assert stage.engine.promote_due(["default", "missing"]) == 0
        assert client.zrange("rq:scheduled:default", 0, -1) == [b"foreign"]


def test_a_heartbeat_renews_what_is_held_and_registers_a_forgotten_worker_again(stage: Stage, run: steps.Steps) -> None:
    job_id = stage.note("a")
    member = _claim(run, "e1")[1]
    with stage.client as client:
        client.zadd("rq:wip:default", {member: 1})
        client.delete("rq:worker:w")
        assert run.run(steps.BEAT, "w", 120, "default", member, 60, "queues", "default", "pid", "42") == b"held"
        assert (client.zscore("rq:wip:default", member) or 0) > 1_000
        assert client.ttl("rq:worker:w") == 120
    (worker,) = stage.engine.workers()
    assert (worker.pid, worker.job_id, worker.queues) == (42, job_id, ("default",))
    assert stage.engine.give_back("w") == job_id
    assert run.run(steps.BEAT, "w", 120, "default", member, 60) == b"taken"


def test_a_heartbeat_after_the_end_of_its_job_brings_nothing_back(stage: Stage, run: steps.Steps) -> None:
    stage.note("a")
    member = _claim(run, "e1")[1]
    _settle(run, member, "succeeded")
    assert run.run(steps.BEAT, "w", 120, "default", member, 60) == b"settled"
    assert stage.engine.queues(["default"])[0].running == 0
