"""Paused queues (spec L2: `pause|resume QUEUE`): no job is taken from them, even one pushed while a worker waits."""

import pytest
from tests.contract.conftest import Stage
from tests.waiting import eventually

from levqor.client.rq_scripts import PAUSED


def test_a_job_pushed_into_a_paused_queue_waits_until_it_is_resumed(stage: Stage) -> None:
    stage.worker()
    stage.until(stage.note("before"), "succeeded")
    with stage.client as client:
        client.sadd(PAUSED, "default")
        waiting = stage.note("waiting")
        other_worker = stage.worker()
        eventually(lambda: any(known.name == other_worker.name and known.state == "idle" for known in stage.engine.workers()))
        stage.commands(lambda: eventually(lambda: int(client.info("commandstats")["cmdstat_blmove"]["calls"]) > 0))
        assert stage.status(waiting).status == "queued"
        client.srem(PAUSED, "default")
    stage.until(waiting, "succeeded", within_s=3)


def test_a_paused_queue_does_not_hold_up_the_others(stage: Stage) -> None:
    with stage.client as client:
        client.sadd(PAUSED, "high")
    held, free = stage.note("held", queue="high"), stage.note("free", queue="low")
    stage.worker(["high", "low"])
    stage.until(free, "succeeded")
    assert stage.status(held).status == "queued"


def test_a_job_that_runs_when_its_queue_is_paused_is_finished(stage: Stage) -> None:
    job_id = stage.note("a", seconds=0.5)
    stage.worker()
    eventually(stage.begun)
    with stage.client as client:
        client.sadd(PAUSED, "default")
    stage.until(job_id, "succeeded")


@pytest.mark.slow
def test_waiting_at_an_empty_or_a_paused_queue_costs_a_few_commands_a_second(stage: Stage) -> None:
    """No busy loop: commands are counted by the broker over heartbeats of the worker, whose period is 5 s."""
    with stage.client as client:
        client.sadd(PAUSED, "default")
        stage.note("waiting")
        worker = stage.worker()

        def heartbeat() -> object:
            return client.hget(f"rq:worker:{worker.name}", "last_heartbeat")

        first = heartbeat()
        second = eventually(lambda: (now := heartbeat()) != first and now)
        before = int(client.info("commandstats")["cmdstat_evalsha"]["calls"])
        eventually(lambda: heartbeat() != second)
        assert int(client.info("commandstats")["cmdstat_evalsha"]["calls"]) - before < 40
