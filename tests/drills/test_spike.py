"""A spike: the target moves, and the new worker takes a job (spec A2, A5)."""

import threading
import time

import pytest
from tests.drills.stack import Stack, report
from tests.waiting import eventually

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(120)]

JOBS = 200


@pytest.mark.parametrize("stack", [{"TICK_S": "2"}], indirect=True)
def test_a_spike_moves_the_target_and_the_new_worker_takes_a_job(stack: Stack) -> None:
    assert stack.order("PUT", "/ops/flags/AUTOSCALE_ENABLED", {"value": True}).status == 200
    eventually(lambda: stack.is_settled(2), 30, what="two workers")
    before = stack.worker_pids()
    began = time.monotonic()
    sender = threading.Thread(target=lambda: [stack.submit_witness(job, 1.0) for job in stack.names(JOBS)])
    sender.start()
    eventually(lambda: stack.target() > 2, 60, every_s=0.02, what="a step up")
    moved_s = time.monotonic() - began
    assert set(stack.seen().workers) <= before, "no new worker before the step"
    newcomer = eventually(lambda: set(stack.seen().workers) - before, 60, every_s=0.02, what="the new worker's first job")
    report(
        f"first job to target moved: {moved_s:.1f} s; to the new worker's first job: {time.monotonic() - began:.1f} s; worker {newcomer}"
    )
    sender.join(30)
    step = stack.order("GET", "/ops/autoscale/decisions").json["decisions"]
    first = next(decision for decision in reversed(step) if decision["applied"])
    assert (first["action"], first["current"], first["target"]) == ("scale_up", 2, 3)
    assert first["reasons"][0]["code"] == "depth_high"
    eventually(lambda: stack.target() == 4, 60, what="the second step, once the first worker works")
    eventually(lambda: stack.is_settled(4), 30, what="four workers")
