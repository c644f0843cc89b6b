"""A job's life through real workers (spec E1, E2)."""

import json
import signal
import zlib
from datetime import UTC, datetime

import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer
from tests.contract.conftest import Stage
from tests.waiting import eventually

from levqor.client import rq_scripts
from levqor.domain.errors import UsageError


def test_a_job_is_queued_then_running_then_succeeded(stage: Stage) -> None:
    """E1: status and times from intake to the end."""
    job_id = stage.note("a", seconds=0.5)
    queued = stage.status(job_id)
    assert (queued.status, queued.attempts, queued.started_at, queued.queue, queued.handler) == ("queued", 0, None, "default", "note")
    stage.worker()
    running = stage.until(job_id, "running")
    assert (running.attempts, running.ended_at) == (1, None)
    done = stage.until(job_id, "succeeded")
    assert (done.attempts, done.losses, done.error) == (1, 0, None)
    assert done.enqueued_at is not None
    assert done.started_at is not None
    assert done.ended_at is not None
    assert done.enqueued_at <= done.started_at <= done.ended_at
    assert stage.begun() == stage.ended() == ["a"]


def test_a_job_that_fails_twice_succeeds_on_its_third_attempt(stage: Stage) -> None:
    """E1, E2: three attempts with a back-off between them."""
    job_id = stage.submit("flaky", {"fail_times": 2})
    stage.worker()
    done = stage.until(job_id, "succeeded")
    assert (done.attempts, done.losses, done.error) == (3, 0, None)


def test_a_failed_attempt_waits_for_its_back_off(stage: Stage) -> None:
    """E1: `failed` while a retry is due; a retry that is not due stays where it is."""
    job_id = stage.submit("fail", backoff=[60.0, 300.0])
    stage.worker()
    failed = stage.until(job_id, "failed")
    assert (failed.attempts, failed.error) == (1, "HandlerFailed: this handler always fails")
    assert stage.engine.promote_due(["default"]) == 0
    assert stage.engine.queues(["default"])[0].delayed == 1
    with stage.client as client:
        due, now = client.zscore("rq:scheduled:default", job_id), client.time()
        assert isinstance(due, float)
        assert 50 < due - now[0] <= 61
        client.zadd("rq:scheduled:default", {job_id: now[0] - 1})
    assert stage.engine.promote_due(["default"]) == 1
    assert stage.engine.promote_due(["default"]) == 0
    second = eventually(lambda: (job := stage.status(job_id)).attempts == 2 and job.status == "failed" and job)
    assert second
    with stage.client as client:
        due, now = client.zscore("rq:scheduled:default", job_id), client.time()
        assert isinstance(due, float)
        assert 290 < due - now[0] <= 301


def test_a_job_that_fails_three_times_is_dead(stage: Stage) -> None:
    """E1: dead after its last attempt, in RQ's own registry of failed jobs, with the reason."""
    job_id = stage.submit("fail")
    stage.worker()
    dead = stage.until(job_id, "dead")
    assert (dead.attempts, dead.error) == (3, "HandlerFailed: this handler always fails")
    state = stage.engine.queues(["default"])[0]
    assert (state.depth, state.running, state.delayed, state.dead) == (0, 0, 0, 1)
    with stage.client as client:
        assert client.xlen(f"rq:results:{job_id}") == 1


@pytest.mark.parametrize(
    ("handler", "payload", "error"),
    [
        pytest.param("nobody", {}, "UnknownHandler: \"no handler is registered as 'nobody'\"", id="unknown handler"),
        pytest.param("sleep", {"hours": 1}, "TypeError: ", id="wrong payload"),
        pytest.param("leave", {}, "SystemExit: left", id="sys.exit"),
    ],
)
def test_whatever_a_handler_raises_is_a_failed_attempt(stage: Stage, handler: str, payload: dict[str, object], error: str) -> None:
    job_id = stage.submit(handler, payload, max_attempts=1)
    stage.worker()
    dead = stage.until(job_id, "dead")
    assert dead.error is not None
    assert dead.error.startswith(error) or dead.error.startswith(error.replace('"', ""))


def test_the_error_is_kept_short(stage: Stage) -> None:
    job_id = stage.submit("x" * 2_000, max_attempts=1)
    stage.worker()
    assert len(stage.until(job_id, "dead").error or "") == 500


def test_a_job_past_its_time_limit_is_a_failed_attempt(stage: Stage) -> None:
    job_id = stage.submit("sleep", {"seconds": 60}, timeout_s=1.0, max_attempts=1)
    stage.worker()
    dead = stage.until(job_id, "dead")
    assert dead.error is not None
    assert dead.error.startswith("JobTimeoutException: ")
    assert (dead.attempts, dead.losses) == (1, 0)


@pytest.mark.slow
def test_a_job_that_swallows_its_time_limit_is_killed_and_failed(stage: Stage) -> None:
    job_id = stage.submit("stubborn", {"seconds": 300}, timeout_s=1.0, max_attempts=1)
    stage.worker()
    dead = stage.until(job_id, "dead", within_s=30)
    assert (dead.attempts, dead.losses) == (1, 0)
    assert "did not stop" in (dead.error or "")


def test_submitting_a_job_again_changes_nothing(stage: Stage) -> None:
    """E1, L3: idempotent by the job's id, queued or finished."""
    job_id = stage.note("once")
    stage.note("twice", job_id=job_id)
    assert stage.engine.queues(["default"])[0].depth == 1
    stage.worker()
    stage.until(job_id, "succeeded")
    stage.note("again", job_id=job_id)
    assert stage.status(job_id).status == "succeeded"
    assert stage.engine.queues(["default"])[0].depth == 0
    assert stage.begun() == ["once"]


def test_a_job_is_submitted_in_one_round_trip(stage: Stage) -> None:
    stage.note("first")
    assert stage.commands(lambda: stage.note("second"), from_scripts=False) == ["EVALSHA"]


@pytest.mark.parametrize("job_id", ["", "a b", "a:b", "ä", "x" * 201])
def test_a_job_id_that_could_be_mistaken_for_a_key_is_refused(stage: Stage, job_id: str) -> None:
    with pytest.raises(UsageError):
        stage.submit("sleep", {"seconds": 0}, job_id=job_id)
    assert stage.engine.job(job_id) is None


def test_an_unknown_job_is_none(stage: Stage) -> None:
    assert stage.engine.job("nobody") is None


def test_a_finished_job_is_kept_as_long_as_asked(stage: Stage) -> None:
    job_id = stage.submit("sleep", {"seconds": 0}, keep_s=1_000.0)
    stage.worker()
    stage.until(job_id, "succeeded")
    with stage.client as client:
        assert 900 < int(client.ttl(f"rq:job:{job_id}")) <= 1_000


def test_a_job_of_levqors_is_json(stage: Stage) -> None:
    """X4: nothing of Levqor's is pickled."""
    job_id = stage.submit("sleep", {"seconds": 0})
    with stage.client as client:
        data = json.loads(zlib.decompress(client.hget(f"rq:job:{job_id}", "data")))
    assert data == ["levqor.handlers.run", None, [], {"handler": "sleep", "payload": {"seconds": 0}}]


def test_queues_are_served_in_their_order(stage: Stage) -> None:
    first = [stage.note(f"low{n}", queue="low") for n in range(3)]
    second = [stage.note(f"high{n}", queue="high") for n in range(3)]
    stage.worker(["high", "low"])
    for job_id in first + second:
        stage.until(job_id, "succeeded")
    assert stage.begun() == ["high0", "high1", "high2", "low0", "low1", "low2"]


def test_a_worker_of_several_queues_wakes_for_each(stage: Stage) -> None:
    stage.worker(["high", "low"])
    for queue in ("low", "high"):
        stage.until(stage.note(queue, queue=queue), "succeeded", within_s=3)


def test_two_workers_run_each_job_once(stage: Stage) -> None:
    for _ in range(2):
        stage.worker()
    ids = [stage.note(str(n)) for n in range(40)]
    for job_id in ids:
        stage.until(job_id, "succeeded")
    assert sorted(stage.begun(), key=int) == [str(n) for n in range(40)]


def test_a_program_that_a_job_starts_has_the_usual_signals(stage: Stage) -> None:
    job_id = stage.submit("shell", {"command": "kill -TERM $$"}, max_attempts=1)
    stage.worker()
    assert "SIGTERM" in (stage.until(job_id, "dead").error or "")


def test_the_brokers_times_are_written_as_rq_writes_them(stage: Stage) -> None:
    """The steps format times in Lua; compared with Python's over leap days, year ends and the epoch."""
    moments = [0, 951_782_399, 951_782_400, 1_709_164_800, 1_735_689_599, 1_735_689_600, 4_107_542_399, 4_102_444_800]
    with stage.client as client:
        for moment in moments:
            steps = rq_scripts.Steps(client)
            answer = rq_scripts.text(steps.run("return iso(tonumber(ARGV[2]), 42)", moment))
            assert answer == datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S") + ".000042Z"


def test_a_json_job_that_rq_enqueued_is_run_as_rq_runs_it(stage: Stage) -> None:
    with stage.client as client:
        good = Queue("default", connection=client, serializer=JSONSerializer).enqueue("math.sqrt", 4)
        bad = Queue("default", connection=client, serializer=JSONSerializer).enqueue("math.sqrt", -4)
        stage.worker()
        assert stage.until(good.id, "succeeded").handler == ""
        stage.until(bad.id, "dead")
        assert good.return_value() == 2


def test_a_pickled_job_is_refused_not_unpickled(stage: Stage) -> None:
    """X4: a worker of Levqor's reads JSON only."""
    with stage.client as client:
        job = Queue("default", connection=client).enqueue("math.sqrt", 4)
        after = stage.note("after")
        stage.worker()
        stage.until(job.id, "dead")
        stage.until(after, "succeeded")


def test_an_unreadable_job_is_dead_and_the_next_one_runs(stage: Stage) -> None:
    broken, after = stage.note("broken"), stage.note("after")
    with stage.client as client:
        client.hset(f"rq:job:{broken}", "timeout", "soon")
    stage.worker()
    stage.until(after, "succeeded")
    assert "unreadable" in (stage.until(broken, "dead").error or "")
    assert stage.begun() == ["after"]


def test_a_password_is_never_in_an_argument_or_an_error(stage: Stage) -> None:
    """X2."""
    password = redis.Redis.from_url(stage.url).connection_pool.connection_kwargs["password"]
    worker = stage.worker()
    assert not any(password in argument for argument in worker.process.args)  # type: ignore[union-attr,operator]
    worker.send(signal.SIGTERM)
    assert worker.process.wait(5) == 0
