"""A step down meets a job that outlasts the grace: given back, said so, and finished later (spec A8)."""

import pytest
from tests.drills.stack import Stack
from tests.waiting import eventually

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(120)]

LONG_S = 6.0


@pytest.mark.parametrize("stack", [{"DRAIN_GRACE_S": "1"}], indirect=True)
def test_a_job_beyond_the_grace_is_returned_and_finishes_later(stack: Stack) -> None:
    jobs = stack.names(2)
    ids = [stack.submit_witness(job, LONG_S) for job in jobs]
    eventually(lambda: all(stack.seen().starts[job] for job in jobs), 30, what="the start of both jobs")
    assert stack.order("POST", "/ops/scale", {"count": 1, "why": "a drill"}).status == 200
    cut = eventually(lambda: [job_id for job_id in ids if f"job {job_id} is returned" in stack.logs()], 20, what="the word of it")
    tally = stack.finish(jobs)
    assert len(cut) == 1
    (returned,) = (job for job, job_id in zip(jobs, ids, strict=True) if job_id in cut)
    assert sorted((tally.starts[job], tally.ends[job]) for job in jobs) == [(1, 1), (2, 1)]
    assert tally.starts[returned] == 2
    status = eventually(lambda: (now := stack.get(f"/api/v1/status/{cut[0]}"))["status"] == "succeeded" and now, what="its success")
    assert (status["attempts"], status["losses"]) == (1, 0), "an interruption on purpose uses up nothing"
    eventually(lambda: _returned(stack) == 1, 15, what="the count on /metrics")


def _returned(stack: Stack) -> float:
    lines = stack.ask("GET", "/metrics").body.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("levqor_jobs_total{") and 'outcome="returned"' in line)
