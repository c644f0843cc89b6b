"""What the engine reads, and that reading changes nothing (spec S1, S3, X4)."""

import signal
import time
from typing import Any

import pytest
import redis
from rq import Queue
from rq.job import Job
from rq.worker import Worker as PlainWorker
from tests.contract.conftest import Stage
from tests.waiting import eventually

from levqor.domain.fleet import QueueState, WorkerState

WRITES = {"SET", "DEL", "HSET", "HDEL", "HINCRBY", "ZADD", "ZREM", "SADD", "SREM", "LPUSH", "RPUSH", "LPOP", "RPOP", "LREM", "LMOVE"} | {
    "EXPIRE",
    "PERSIST",
    "ZREMRANGEBYSCORE",
    "XADD",
    "EVAL",
    "EVALSHA",
    "UNLINK",
}


def _dump(client: redis.Redis) -> dict[bytes, Any]:
    """Every key with its value and whether it expires."""
    keys: list[bytes] = sorted(client.keys())  # type: ignore[arg-type]
    return {key: (client.dump(key), client.pexpiretime(key.decode())) for key in keys}


def _plain_worker(client: redis.Redis, name: str, **fields: str) -> PlainWorker:
    """A worker of RQ's own, registered and never run."""
    worker = PlainWorker(["default"], name=name, connection=client)
    worker.register_birth()  # type: ignore[no-untyped-call]
    for field, value in fields.items():
        client.hset(worker.key, field, value)
    return worker


@pytest.fixture
def busy_broker(stage: Stage) -> Stage:
    """Every kind of thing that a broker may hold, abandoned and foreign ones included."""
    with stage.client as client:
        for n in range(3):
            Queue("default", connection=client).enqueue("operator.add", n, 1)
        Queue("other", connection=client).enqueue("operator.add", 1, 1)
        stage.submit("fail", max_attempts=1)
        stage.submit("fail", backoff=[60.0])
        worker = stage.worker()
        eventually(lambda: (state := stage.engine.queues(["default"])[0]).delayed == 1 and state.dead == 4)
        stage.note("running", seconds=30)
        eventually(stage.begun)
        worker.kill_group()
        client.zadd("rq:wip:default", {key: 1 for key in client.zrange("rq:wip:default", 0, -1)})
        stage.note("waiting")
        _plain_worker(client, "plain", state="busy")
        client.sadd("rq:workers", "rq:worker:vanished")
    return stage


def test_reading_changes_no_key_and_sends_no_writing_command(busy_broker: Stage) -> None:
    engine = busy_broker.engine

    def read() -> None:
        engine.queues(["default", "other", "missing"])
        engine.workers()
        engine.queue_names()
        engine.job("nobody")

    with busy_broker.client as client:
        before = _dump(client)
        commands = busy_broker.commands(read)
        assert _dump(client) == before
    assert not WRITES & set(commands)
    assert {"LLEN", "ZCARD", "LRANGE", "HMGET", "HGETALL"} <= set(commands)


def test_a_queue_that_does_not_exist_is_empty(stage: Stage) -> None:
    assert stage.engine.queues(["missing"]) == [QueueState("missing", 0, None, 0, 0, 0)]
    assert stage.engine.queues([]) == []
    assert stage.engine.queue_names() == []


def test_queues_are_read_in_the_order_asked_for(busy_broker: Stage) -> None:
    """S1: depth, running, delayed, dead; jobs that another program pickled count like any other."""
    states = busy_broker.engine.queues(["other", "default"])
    assert [state.name for state in states] == ["other", "default"]
    assert (states[0].depth, states[1].depth, states[1].running, states[1].delayed, states[1].dead) == (1, 1, 1, 1, 4)
    assert busy_broker.engine.queue_names() == ["default", "other"]


def test_a_pickled_job_is_read_as_metadata_only(stage: Stage) -> None:
    """X4: a payload that would do harm when it is unpickled is left alone."""
    with stage.client as client:
        job = Queue("default", connection=client).enqueue("operator.add", 1, 1)
        client.hset(job.key, "data", b"\x80\x04cposix\n_exit\n(I3\ntR.")
    status = stage.status(job.id)
    assert (status.status, status.attempts, status.handler, status.queue) == ("queued", 0, "", "default")
    assert stage.engine.queues(["default"])[0].depth == 1


def test_the_oldest_wait_is_by_the_brokers_clock(stage: Stage) -> None:
    job_id = stage.note("old")
    stage.note("new")
    with stage.client as client:
        seconds, _ = client.time()
        client.hset(f"rq:job:{job_id}", "levqor_queued_at", str(seconds - 100))
    wait_s = stage.engine.queues(["default"])[0].oldest_wait_s
    assert wait_s is not None
    assert 100 <= wait_s < 110


def test_a_job_put_back_at_the_head_does_not_hide_an_older_one(stage: Stage) -> None:
    old, young = stage.note("old"), stage.note("young")
    with stage.client as client:
        client.hset(f"rq:job:{old}", "levqor_queued_at", str(client.time()[0] - 50))
        client.lrem("rq:queue:default", 1, young)
        client.lpush("rq:queue:default", young)
    assert (stage.engine.queues(["default"])[0].oldest_wait_s or 0) >= 50


def test_a_job_of_rqs_own_has_a_wait_as_well(stage: Stage) -> None:
    with stage.client as client:
        job = Queue("default", connection=client).enqueue("operator.add", 1, 1)
        client.hset(job.key, "enqueued_at", "2026-01-01T00:00:00.000000Z")
    assert (stage.engine.queues(["default"])[0].oldest_wait_s or 0) > 86_400


def test_a_queue_whose_jobs_are_gone_has_no_known_wait(stage: Stage) -> None:
    """S3: unknown is not zero."""
    job_id = stage.note("a")
    with stage.client as client:
        client.delete(f"rq:job:{job_id}")
    state = stage.engine.queues(["default"])[0]
    assert (state.depth, state.oldest_wait_s) == (1, None)


def test_a_long_queue_is_read_as_fast_as_a_short_one(stage: Stage) -> None:
    """Two round trips and a handful of jobs, however long the queue is."""
    stage.note("a")
    short = stage.commands(lambda: stage.engine.queues(["default"]))
    with stage.client as client:
        client.rpush("rq:queue:default", *(f"job-{n}" for n in range(10_000)))
    long = stage.commands(lambda: stage.engine.queues(["default"]))
    assert len(long) <= len(short) + 4
    assert stage.engine.queues(["default"])[0].depth == 10_001


def test_workers_are_idle_busy_and_draining(stage: Stage) -> None:
    """E3: pid, host, state, job."""
    worker = stage.worker(["default", "low"])
    idle = eventually(lambda: [known for known in stage.engine.workers() if known.state is WorkerState.IDLE])[0]
    assert (idle.name, idle.pid, idle.job_id, idle.queues) == (worker.name, worker.pid, None, ("default", "low"))
    assert idle.host
    assert idle.started_at is not None
    assert abs(idle.started_at - time.time()) < 60
    job_id = stage.note("a", seconds=1.5)
    busy = eventually(lambda: [known for known in stage.engine.workers() if known.state is WorkerState.BUSY])[0]
    assert busy.job_id == job_id
    worker.send(signal.SIGTERM)
    draining = eventually(lambda: [known for known in stage.engine.workers() if known.state is WorkerState.DRAINING])[0]
    assert draining.job_id == job_id
    assert worker.process.wait(10) == 0
    assert stage.engine.workers() == []


def test_a_worker_of_rqs_own_is_listed_with_its_job(stage: Stage) -> None:
    with stage.client as client:
        plain = _plain_worker(client, "plain")
        job = Queue("default", connection=client).enqueue("operator.add", 1, 1)
        assert isinstance(job, Job)
        plain.prepare_execution(job)
    (known,) = stage.engine.workers()
    assert (known.name, known.state, known.queues) == ("plain", WorkerState.BUSY, ("default",))


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        pytest.param({"state": "idle"}, WorkerState.IDLE, id="idle"),
        pytest.param({"state": "started"}, WorkerState.STARTING, id="starting"),
        pytest.param({"state": "suspended"}, WorkerState.IDLE, id="suspended"),
        pytest.param({"state": "odd"}, WorkerState.UNKNOWN, id="unknown"),
        pytest.param({"state": "busy", "shutdown_requested_date": "2026-01-01T00:00:00.000000Z"}, WorkerState.DRAINING, id="draining"),
        pytest.param(
            {"state": "busy", "last_heartbeat": "2026-01-01T00:00:00.000000Z", "levqor_lost_after_s": "30"}, WorkerState.LOST, id="silent"
        ),
    ],
)
def test_a_workers_state_is_what_it_last_said(stage: Stage, fields: dict[str, str], state: WorkerState) -> None:
    with stage.client as client:
        _plain_worker(client, "w", **fields)
    assert [worker.state for worker in stage.engine.workers()] == [state]


def test_a_worker_whose_facts_have_expired_is_lost(stage: Stage) -> None:
    with stage.client as client:
        client.delete(_plain_worker(client, "w").key)
    (lost,) = stage.engine.workers()
    assert (lost.name, lost.state, lost.pid) == ("w", WorkerState.LOST, None)
