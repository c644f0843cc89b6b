"""What a worker has done so far, as the engine counts it: the rule `wait` lives on its differences (spec A12)."""

import pytest
from tests.contract.conftest import Stage
from tests.waiting import eventually


def test_a_worker_tells_how_many_jobs_it_ended_and_how_long_they_took(stage: Stage) -> None:
    """Well or not: both free a worker. It stays out of heartbeats and answers, which know nothing of it."""
    ids = [stage.submit("sleep", {"seconds": 0.05}) for _ in range(3)]
    dead = stage.submit("fail", max_attempts=1)
    stage.worker()
    for job_id in ids:
        stage.until(job_id, "succeeded")
    stage.until(dead, "dead")
    eventually(lambda: stage.engine.workers()[0].ended_jobs == 4)
    worker = stage.engine.workers()[0]
    assert worker.worked_s == pytest.approx(0.15, abs=2.0)
    assert worker.worked_s is not None
    assert worker.worked_s >= 0.15
    assert {"ended_jobs", "worked_s"}.isdisjoint(worker.as_dict())
