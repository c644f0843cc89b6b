"""What workers measure equals what ran (spec S1: a failure is an attempt that raised, retried or not; S5)."""

import json
import os
import signal
from collections.abc import Callable

from tests.contract.conftest import Stage
from tests.waiting import eventually


def _counts(stage: Stage) -> dict[tuple[str, ...], dict[str, float]]:
    """Cumulative counts by series, as the store holds them."""
    with stage.client as client:
        series = [key.decode() for key in client.smembers("levqor:telemetry:series")]
        return {
            tuple(json.loads(each)): {name.decode(): float(n) for name, n in client.hgetall(f"levqor:telemetry:total:{each}").items()}
            for each in series
        }


def _n(stage: Stage, handler: str, outcome: str) -> float:
    return _counts(stage).get(("job", "default", handler, outcome), {}).get("n", 0)


def _observed(stage: Stage, kind: str, handler: str) -> float:
    return sum(n for name, n in _counts(stage).get((kind, "default", handler), {}).items() if name[0] == "b")


def _becomes(read: Callable[[], object], expected: object) -> None:
    eventually(lambda: read() == expected, within_s=15, what=f"{expected}, now {read()}")


def test_each_attempt_is_counted_once_with_its_wait_its_run_and_its_outcome(stage: Stage) -> None:
    ids = [stage.submit("sleep", {"seconds": 0.02}) for _ in range(5)]
    ids.append(stage.submit("flaky", {"fail_times": 2}))
    dead = stage.submit("fail", max_attempts=2)
    stage.worker()
    for job_id in ids:
        stage.until(job_id, "succeeded")
    stage.until(dead, "dead")
    _becomes(lambda: [_n(stage, "sleep", outcome) for outcome in ("succeeded", "failed", "dead")], [5, 0, 0])
    _becomes(lambda: [_n(stage, "flaky", outcome) for outcome in ("succeeded", "failed", "dead")], [1, 2, 0])
    _becomes(lambda: [_n(stage, "fail", outcome) for outcome in ("succeeded", "failed", "dead")], [0, 1, 1])
    assert [_observed(stage, "run", handler) for handler in ("sleep", "flaky", "fail")] == [5, 3, 2]
    assert [_observed(stage, "wait", handler) for handler in ("sleep", "flaky", "fail")] == [5, 3, 2]
    runs = _counts(stage)["run", "default", "flaky"]
    assert runs["f"] == 2


def test_a_wait_is_since_the_job_could_have_run_and_a_run_is_the_handlers_time(stage: Stage) -> None:
    """For a retry the wait begins when it is due: the back-off is no wait."""
    job_id = stage.submit("flaky", {"fail_times": 1}, backoff=[1_000.0])
    long = stage.submit("sleep", {"seconds": 0.3})
    with stage.client as client:
        now = client.time()[0]
        client.hset(f"rq:job:{job_id}", "levqor_queued_at", str(now - 100))
        stage.worker()
        stage.until(long, "succeeded")
        stage.until(job_id, "failed")
        _becomes(lambda: _observed(stage, "wait", "flaky"), 1)
        first_ms = _counts(stage)["wait", "default", "flaky"]["s"]
        assert 100_000 <= first_ms < 130_000
        due = client.zscore("rq:scheduled:default", job_id)
        now = client.time()[0]
        assert isinstance(due, float)
        assert due > now + 900
        client.zadd("rq:scheduled:default", {job_id: now - 7})
        client.hset(f"rq:job:{job_id}", "levqor_queued_at", str(now - 7))
        stage.until(job_id, "succeeded")
        _becomes(lambda: _observed(stage, "wait", "flaky"), 2)
    assert 7_000 <= _counts(stage)["wait", "default", "flaky"]["s"] - first_ms < 30_000
    assert 300 <= _counts(stage)["run", "default", "sleep"]["s"] < 3_000


def test_a_lost_job_process_is_counted_as_lost_and_no_attempt(stage: Stage) -> None:
    job_id = stage.note("a", seconds=0.5)
    worker = stage.worker()
    os.kill(stage.child_of(worker), signal.SIGKILL)
    stage.until(job_id, "succeeded")
    _becomes(lambda: [_n(stage, "note", outcome) for outcome in ("succeeded", "failed", "lost")], [1, 0, 1])
    assert _observed(stage, "run", "note") == 1


def test_an_interrupted_job_is_counted_as_returned(stage: Stage) -> None:
    """A8."""
    stage.note("a", seconds=30)
    worker = stage.worker()
    eventually(stage.begun)

    def ended() -> bool:
        worker.send(signal.SIGTERM)
        return worker.process.poll() is not None

    eventually(ended, every_s=0.3)
    assert _n(stage, "note", "returned") == 1


def test_an_idle_worker_says_that_it_measures_and_signs_off_when_it_ends(stage: Stage) -> None:
    """S3: no jobs is calm; silence is not."""
    worker = stage.worker()
    with stage.client as client:
        eventually(lambda: client.zscore("levqor:telemetry:writers:jobs", worker.name))
        worker.send(signal.SIGTERM)
        assert worker.process.wait(5) == 0
        assert client.zcard("levqor:telemetry:writers:jobs") == 0


def test_a_job_that_dies_of_losses_is_counted_as_dead_once(stage: Stage) -> None:
    job_id = stage.submit("die", {"path": str(stage.witness), "word": "x"})
    stage.worker()
    stage.until(job_id, "dead")
    _becomes(lambda: [_n(stage, "die", outcome) for outcome in ("succeeded", "failed", "lost", "dead")], [0, 0, 3, 1])
