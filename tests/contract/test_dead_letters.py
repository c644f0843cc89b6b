"""Dead letters in the broker: each step is atomic and may be repeated (spec I4)."""

import pickle
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rq import Queue
from rq.job import Retry
from rq.registry import FailedJobRegistry
from rq.worker import SimpleWorker
from tests.conftest import free_port
from tests.contract import witness
from tests.contract.conftest import Stage
from tests.contract.dying import bury, dead, fill
from tests.waiting import eventually

from levqor.cli import main
from levqor.client import rq_scripts as steps
from levqor.domain.dead_letters import Requeued
from levqor.domain.errors import EngineDown
from levqor.host import SystemClock

ACTS = ["requeue", "again", "die", "quarantine", "release", "drop"]
NEVER_READ = {"EVALSHA", "EVAL", "ZADD", "HSET", "LPUSH", "RPUSH", "ZREM", "DEL"}


def _queued(stage: Stage) -> list[str]:
    with stage.client as client:
        return [job_id.decode() for job_id in client.lrange("rq:queue:default", 0, -1)]


def _counts(stage: Stage) -> tuple[int, int]:
    state = stage.engine.queues(["default"])[0]
    return state.depth, state.dead


# Listing


def test_a_dead_letter_is_listed_by_its_metadata_with_the_time_of_its_death(stage: Stage) -> None:
    before = SystemClock().now() - timedelta(seconds=5)
    job_id = dead(stage, error="ValueError: no such user")
    (letter,) = stage.engine.dead_letters("default")
    assert (letter.job_id, letter.queue, letter.handler, letter.error) == (job_id, "default", "note", "ValueError: no such user")
    assert (letter.attempts, letter.losses, letter.flushes, letter.is_foreign) == (1, 0, 0, False)
    assert letter.died_at is not None
    assert before < letter.died_at < before + timedelta(seconds=60)


def test_one_that_lost_its_worker_too_often_has_a_time_of_death_as_well(stage: Stage) -> None:
    stage.submit("note")
    with stage.client as client:
        run = steps.Steps(client)
        for _ in range(4):
            run.run(steps.CLAIM, "w", "e", 60, "default")
            stage.engine.give_back("w")
    (letter,) = stage.engine.dead_letters("default")
    assert (letter.error_class, letter.losses) == ("lost its worker", 4)
    assert letter.died_at is not None


def test_the_last_to_die_comes_first_page_by_page(stage: Stage) -> None:
    ids = [dead(stage) for _ in range(5)]
    pages = [[letter.job_id for letter in stage.engine.dead_letters("default", cursor=cursor, limit=2)] for cursor in (0, 2, 4, 6)]
    assert pages == [ids[4:2:-1], ids[2:0:-1], ids[:1], []]


def test_an_entry_whose_job_is_gone_is_no_letter(stage: Stage) -> None:
    job_id = dead(stage)
    with stage.client as client:
        client.delete(f"rq:job:{job_id}")
    assert stage.engine.dead_letters("default") == []
    assert stage.engine.requeue_dead("default", [job_id], batch_id="b") == Requeued(0, 1, 0)


def test_looking_changes_nothing(stage: Stage) -> None:
    job_id = dead(stage)
    looks: list[Callable[[], object]] = [
        lambda: stage.engine.dead_letters("default"),
        lambda: stage.engine.quarantined("default"),
        lambda: stage.engine.count_quarantined(["default"]),
        lambda: stage.engine.find_dead([job_id, "nobody", "not an id"]),
        lambda: stage.engine.trace(job_id),
        lambda: stage.engine.fates([job_id]),
    ]
    for look in looks:
        assert not NEVER_READ & set(stage.commands(look))


def test_a_letter_is_found_by_its_id_wherever_it_lies(stage: Stage) -> None:
    here, there = dead(stage), dead(stage)
    running = stage.note("runs")
    stage.engine.quarantine("default", [there], "poison")
    found = stage.engine.find_dead([there, running, "nobody", here, "../x"])
    assert [(letter.job_id, letter.quarantined_at is not None) for letter in found] == [(there, True), (here, False)]


@pytest.mark.parametrize("is_own", [True, False])
def test_what_died_since_is_told_from_what_died_before(stage: Stage, is_own: bool) -> None:
    """Both sides of the moment, by Levqor's record and by RQ's; one whose death nobody recorded is on neither."""
    since = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    deaths = [since + timedelta(microseconds=micros) for micros in (-1, 0, 1)]
    ids = [dead(stage) if is_own else _foreign(stage) for _ in deaths]
    with stage.client as client:
        for job_id, died_at in zip(ids, deaths, strict=True):
            stamp = died_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            client.hset(
                f"rq:job:{job_id}", mapping={steps.DIED_AT: died_at.timestamp(), "ended_at": stamp} if is_own else {"ended_at": stamp}
            )
        unknown = _foreign(stage)
        client.hdel(f"rq:job:{unknown}", "ended_at")
        client.zadd("rq:failed:default", {unknown: float("inf")})
    assert {letter.job_id for letter in stage.engine.dead_letters("default", since=since)} == set(ids[1:])
    assert not NEVER_READ - {"EVALSHA"} & set(stage.commands(lambda: stage.engine.dead_letters("default", since=since)))
    assert len(stage.engine.dead_letters("default")) == 4


# Requeueing


def test_a_requeued_job_has_all_its_attempts_again(stage: Stage) -> None:
    """I4: attempts and losses start from nothing; the flush is counted and the time of death is gone."""
    job_id = dead(stage)
    with stage.client as client:
        client.hset(f"rq:job:{job_id}", mapping={steps.ATTEMPTS: 3, steps.LOSSES: 3})
    assert stage.engine.requeue_dead("default", [job_id], batch_id="b") == Requeued(1, 0, 0, job_ids=(job_id,))
    status = stage.status(job_id)
    assert (status.status, status.attempts, status.losses, status.started_at, status.ended_at) == ("queued", 0, 0, None, None)
    with stage.client as client:
        assert client.ttl(f"rq:job:{job_id}") == -1
        run = steps.Steps(client)
        for expected in (b"failed", b"failed", b"dead"):
            stage.engine.promote_due(["default"])
            member = run.run(steps.CLAIM, "w", "e", 60, "default")[1]
            assert run.run(steps.SETTLE, "default", member, "failed", "again", "w", "r", "1")[0] == expected
            if expected == b"failed":
                eventually(lambda: stage.engine.promote_due(["default"]) or _queued(stage))
    (letter,) = stage.engine.dead_letters("default")
    assert (letter.flushes, letter.attempts, letter.error) == (1, 3, "again")


def test_a_requeued_job_finishes_once_and_its_error_is_gone(stage: Stage) -> None:
    job_id = dead(stage)
    stage.engine.requeue_dead("default", [job_id], batch_id="b")
    assert stage.engine.fates([job_id, "nobody"]) == {job_id: "queued", "nobody": None}
    stage.worker()
    done = stage.until(job_id, "succeeded")
    assert (done.attempts, done.error, len(stage.ended())) == (1, None, 1)
    assert _counts(stage) == (0, 0)


def test_flushes_are_counted_through_deaths(stage: Stage) -> None:
    job_id = dead(stage)
    for flush in range(1, 4):
        stage.engine.requeue_dead("default", [job_id], batch_id=f"b{flush}")
        bury(stage, [job_id])
        assert stage.engine.dead_letters("default")[0].flushes == flush


def test_only_what_is_dead_is_moved_and_only_once(stage: Stage) -> None:
    """The gate: whoever comes second moves nothing."""
    job_id, queued = dead(stage), stage.note("waits")
    first = stage.engine.requeue_dead("default", [job_id, job_id, queued, "nobody"], batch_id="b")
    assert first == Requeued(1, 2, 0, job_ids=(job_id,))
    assert stage.engine.requeue_dead("default", [job_id], batch_id="c").moved == 0
    assert sorted(_queued(stage)) == sorted([job_id, queued])


def test_a_batch_moves_no_job_twice_even_one_that_died_again(stage: Stage) -> None:
    """So that a recovery that was cut may do its step again."""
    job_id = dead(stage)
    stage.engine.requeue_dead("default", [job_id], batch_id="b")
    again = stage.engine.requeue_dead("default", [job_id], batch_id="b")
    assert (again.moved, again.already, again.job_ids) == (0, 1, (job_id,))
    bury(stage, [job_id])
    assert stage.engine.requeue_dead("default", [job_id], batch_id="b").moved == 0
    assert _counts(stage) == (0, 1)
    assert stage.engine.requeue_dead("default", [job_id], batch_id="c").moved == 1


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000, 1001])
def test_any_number_is_moved_in_order(stage: Stage, count: int) -> None:
    """Both sides of a chunk of 500."""
    with stage.client as client:
        ids = fill(client, count)
    done = stage.engine.requeue_dead("default", ids, batch_id="b")
    assert (done.moved, done.skipped, done.remaining, len(done.job_ids)) == (count, 0, 0, count)
    assert _queued(stage) == ids
    assert stage.outcomes == [("job", "default", "note", "requeued")] * count


def test_a_registry_entry_of_a_job_that_lives_is_cleared_and_the_job_left_alone(stage: Stage) -> None:
    job_id = stage.note("lives")
    with stage.client as client:
        client.zadd("rq:failed:default", {job_id: 4e9})
    assert stage.engine.requeue_dead("default", [job_id], batch_id="b") == Requeued(0, 1, 0)
    assert (_queued(stage), _counts(stage)) == ([job_id], (1, 0))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.tuples(st.sampled_from(ACTS), st.sets(st.integers(0, 5))), max_size=25))
def test_after_any_acts_in_any_order_each_job_is_in_exactly_one_place(stage: Stage, acts: list[tuple[str, set[int]]]) -> None:
    """None lost, none doubled; only dropping removes."""
    with stage.client as client:
        client.flushdb()
        ids = fill(client, 6)
        dropped: set[str] = set()
        engine = stage.engine
        for at, (act, numbers) in enumerate(acts):
            chosen = [ids[number] for number in sorted(numbers)]
            if act == "die":
                queued = _queued(stage)
                client.delete("rq:queue:default")
                for job_id in queued:
                    client.hset(f"rq:job:{job_id}", "status", "failed")
                    client.zadd("rq:failed:default", {job_id: 4e9})
            elif act in ("requeue", "again"):
                engine.requeue_dead("default", chosen, batch_id=f"b{at}" if act == "requeue" else "same")
            elif act == "quarantine":
                engine.quarantine("default", chosen, "poison")
            elif act == "release":
                engine.release_quarantined("default", chosen)
            else:
                held = {letter.job_id for letter in engine.find_dead(chosen)}
                assert engine.drop_dead("default", chosen) == len(held)
                dropped |= held
        places = [*_queued(stage)]
        places += [letter.job_id for letter in engine.dead_letters("default")]
        places += [letter.job_id for letter in engine.quarantined("default")]
        assert sorted(places) == sorted(set(ids) - dropped)


# Quarantine, release, drop


def test_a_quarantined_job_shows_as_dead_with_its_error_and_no_flush_sees_it(stage: Stage) -> None:
    """E1: dead, quarantined ones too."""
    job_id = dead(stage, error="ValueError: poison")
    assert stage.engine.quarantine("default", [job_id, "nobody"], "died again after 3 flushes") == 1
    assert stage.engine.quarantine("default", [job_id], "again") == 0
    assert (stage.status(job_id).status, stage.status(job_id).error) == ("dead", "ValueError: poison")
    assert (stage.engine.dead_letters("default"), _counts(stage)) == ([], (0, 0))
    assert stage.engine.requeue_dead("default", [job_id], batch_id="b").moved == 0
    (letter,) = stage.engine.quarantined("default")
    assert (letter.error, letter.why) == ("ValueError: poison", "died again after 3 flushes")
    assert letter.quarantined_at is not None
    assert stage.outcomes == [("job", "default", "note", "quarantined")]
    assert stage.engine.count_quarantined(["default", "other"]) == 1


def test_a_released_job_is_a_dead_letter_as_if_never_flushed(stage: Stage) -> None:
    job_id = dead(stage)
    stage.engine.requeue_dead("default", [job_id], batch_id="b")
    bury(stage, [job_id])
    died_at = stage.engine.dead_letters("default")[0].died_at
    stage.engine.quarantine("default", [job_id], "poison")
    assert stage.engine.release_quarantined("default", [job_id, "nobody"]) == 1
    (letter,) = stage.engine.dead_letters("default")
    assert (letter.flushes, letter.died_at, letter.quarantined_at, letter.why) == (0, died_at, None, None)
    assert stage.engine.requeue_dead("default", [job_id], batch_id="b").moved == 1


def test_a_dropped_job_leaves_nothing_behind(stage: Stage) -> None:
    gone, apart, kept, queued = dead(stage), dead(stage), dead(stage), stage.note("waits")
    stage.engine.quarantine("default", [apart], "poison")
    assert stage.engine.drop_dead("default", [gone, apart, queued, "nobody"]) == 2
    with stage.client as client:
        left = [key.decode() for key in client.scan_iter() if gone in key.decode() or apart in key.decode()]
    assert left == []
    assert [letter.job_id for letter in stage.engine.dead_letters("default")] == [kept]
    assert _queued(stage) == [queued]


def test_the_traceback_of_the_last_failure_is_kept(stage: Stage) -> None:
    job_id = stage.submit("fail", max_attempts=1)
    stage.worker()
    stage.until(job_id, "dead")
    assert "HandlerFailed: this handler always fails" in (stage.engine.trace(job_id) or "")
    assert stage.engine.trace("nobody") is None
    assert stage.engine.trace("../x") is None


# Jobs that RQ itself enqueued


class _Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def _foreign(stage: Stage, command: str = "exit 3", **options: Any) -> str:
    """A pickled job of somebody else's, run to its death by RQ's own worker."""
    with stage.client as client:
        job = Queue("default", connection=client).enqueue(witness.shell, command, **options)
        SimpleWorker(["default"], connection=client).work(burst=True, with_scheduler=False)
    return str(job.id)


def test_a_foreign_job_is_listed_by_metadata_and_never_unpickled(stage: Stage) -> None:
    """X4: its function's name without arguments, its exception's last line; no attempts that nobody counted."""
    job_id = _foreign(stage)
    trap = stage.folder / "trap"
    with stage.client as client:
        client.hset(f"rq:job:{job_id}", "data", zlib.compress(pickle.dumps(_Trap(trap))))
    (letter,) = stage.engine.dead_letters("default")
    assert (letter.job_id, letter.handler, letter.is_foreign) == (job_id, "tests.contract.witness.shell", True)
    assert letter.error_class == "subprocess.CalledProcessError"
    assert (letter.attempts, letter.losses, letter.flushes) == (None, None, 0)
    assert letter.died_at is not None
    assert "Traceback" in (stage.engine.trace(job_id) or "")
    stage.engine.requeue_dead("default", [job_id], batch_id="b", allow_foreign=True)
    assert not trap.exists()


def test_a_foreign_job_is_only_requeued_when_that_is_allowed(stage: Stage) -> None:
    job_id, own = _foreign(stage), dead(stage)
    assert stage.engine.requeue_dead("default", [job_id, own], batch_id="b") == Requeued(1, 0, 1, 0, 1, (own,))
    assert stage.engine.requeue_dead("default", [job_id], batch_id="c", allow_foreign=True).moved == 1
    assert _queued(stage) == [own, job_id]


def test_a_foreign_job_that_is_requeued_finishes_as_rq_would_have_it(stage: Stage) -> None:
    """Its dependents follow, its result is kept as long as it said, RQ's registry is empty."""
    flag = stage.folder / "flag"
    job_id = _foreign(stage, f"test -f {flag}", result_ttl=77, failure_ttl=1000)
    with stage.client as client:
        queue = Queue("default", connection=client)
        child = queue.enqueue(witness.shell, f"touch {flag}2", depends_on=job_id)
        assert client.ttl(f"rq:job:{job_id}") > 0
        flag.touch()
        stage.engine.requeue_dead("default", [job_id], batch_id="b", allow_foreign=True)
        parent = queue.fetch_job(job_id)
        assert parent is not None
        assert (parent.get_status(), parent.ended_at, parent.started_at, client.ttl(f"rq:job:{job_id}")) == ("queued", None, None, -1)
        assert client.ttl(f"rq:job:{job_id}:dependents") == -1
        SimpleWorker(["default"], connection=client).work(burst=True)
        assert child.get_status() == "finished"
        assert parent.get_status() == "finished"
        assert 0 < client.ttl(f"rq:job:{job_id}") <= 77
        assert FailedJobRegistry("default", connection=client).count == 0


def test_a_foreign_jobs_own_limit_on_waiting_holds_again(stage: Stage) -> None:
    job_id = _foreign(stage, ttl=500)
    stage.engine.requeue_dead("default", [job_id], batch_id="b", allow_foreign=True)
    with stage.client as client:
        assert 0 < client.ttl(f"rq:job:{job_id}") <= 500


def test_a_foreign_job_gets_the_retries_that_its_intervals_list(stage: Stage) -> None:
    with stage.client as client:
        job = Queue("default", connection=client).enqueue(witness.shell, "exit 3", retry=Retry(max=2, interval=[5, 9]))
        client.hset(f"rq:job:{job.id}", mapping={"retries_left": 0, "status": "failed"})
        client.delete("rq:queue:default")
        client.zadd("rq:failed:default", {job.id: 4e9})
        stage.engine.requeue_dead("default", [job.id], batch_id="b", allow_foreign=True)
        assert client.hget(f"rq:job:{job.id}", "retries_left") == b"2"


def test_a_job_under_rqs_rate_limit_is_left_to_rq(stage: Stage) -> None:
    job_id = _foreign(stage)
    with stage.client as client:
        client.hset(f"rq:job:{job_id}", "rate_limit_key", "mail")
    assert stage.engine.requeue_dead("default", [job_id], batch_id="b", allow_foreign=True).foreign == 1
    assert _counts(stage) == (0, 1)


@pytest.mark.parametrize(
    ("description", "function"),
    [("app.tasks.send(1, 'a@b.c')", "app.tasks.send"), ("send", "send"), ("mail to a@b.c", "other"), ("", "other")],
)
def test_a_foreign_jobs_arguments_are_not_shown(stage: Stage, description: str, function: str) -> None:
    """X2."""
    job_id = _foreign(stage)
    with stage.client as client:
        client.hset(f"rq:job:{job_id}", "description", description)
    assert stage.engine.dead_letters("default")[0].handler == function


@pytest.mark.parametrize(
    ("trace", "error"),
    [
        pytest.param("Traceback (most recent call last):\n  File x\nValueError: no\n", "ValueError: no", id="usual"),
        pytest.param("Traceback (most recent call last):\n  File x\nKeyError\n", "KeyError", id="no message"),
        pytest.param("Traceback\n  File x\nValueError: two\nlines, of words\n", "ValueError: two", id="message of two lines"),
        pytest.param("A: 1\n\nDuring handling of the above, another occurred:\n\nB: 2", "B: 2", id="chained"),
        pytest.param("Moved to FailedJobRegistry, due to AbandonedJobError, at noon", "Moved to FailedJobRegistry", id="words alone"),
        pytest.param("ValueError: " + "x" * 900, "ValueError: " + "x" * 488, id="long"),
        pytest.param("", None, id="nothing"),
    ],
)
@pytest.mark.parametrize("is_zipped", [True, False])
def test_a_foreign_jobs_error_is_its_tracebacks_last_line(stage: Stage, trace: str, error: str | None, is_zipped: bool) -> None:
    """As RQ writes it beside the job where it keeps no results."""
    job_id = _foreign(stage)
    with stage.client as client:
        client.delete(f"rq:results:{job_id}")
        client.hset(f"rq:job:{job_id}", "exc_info", zlib.compress(trace.encode()) if is_zipped else trace.encode())
    (letter,) = stage.engine.dead_letters("default")
    assert (letter.error or "").startswith(error or "")
    assert (letter.error is None) == (error is None)
    assert len(letter.error or "") <= 500


def test_a_trace_that_is_no_trace_is_none(stage: Stage) -> None:
    job_id = _foreign(stage)
    with stage.client as client:
        client.xadd(f"rq:results:{job_id}", {"exc_string": "%%%"})
    assert stage.engine.dead_letters("default")[0].error is None


@pytest.mark.parametrize(
    ("ended_at", "score", "is_known"), [("2026-03-01T12:00:00Z", 4e9, True), ("", 4e9, True), ("", float("inf"), False), ("", -1, False)]
)
def test_a_foreign_jobs_time_of_death_is_rqs_word_or_its_expiry_or_unknown(
    stage: Stage, ended_at: str, score: float, is_known: bool
) -> None:
    job_id = _foreign(stage)
    with stage.client as client:
        client.hset(f"rq:job:{job_id}", "ended_at", ended_at)
        client.zadd("rq:failed:default", {job_id: score})
    assert (stage.engine.dead_letters("default")[0].died_at is not None) == is_known


# Leaving


def test_detach_leaves_what_was_quarantined_among_the_dead_letters(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """P7: the jobs are the team's, and no job hangs in a place that only Levqor knew."""
    ids = [dead(stage) for _ in range(3)]
    stage.engine.quarantine("default", ids, "poison")
    for name, value in (("REDIS_URL", stage.url), ("LEVQOR_DATA", str(stage.folder)), ("LEVQOR_PORT", str(free_port()))):
        monkeypatch.setenv(name, value)
    assert main(["detach", "--yes"]) == 0
    assert "levqor:quarantined:default" in capsys.readouterr().out
    with stage.client as client:
        assert FailedJobRegistry("default", connection=client).count == 3
        assert list(client.scan_iter("levqor:*")) == []


# Trouble


def test_every_act_on_dead_letters_says_that_the_broker_is_down(valkey: Any, stage_on: Callable[..., Stage], tmp_path: Path) -> None:
    engine = stage_on(valkey.url, tmp_path).engine
    valkey.kill()
    acts: list[Callable[[], object]] = [
        lambda: engine.dead_letters("default"),
        lambda: engine.quarantined("default"),
        lambda: engine.count_quarantined(["default"]),
        lambda: engine.find_dead(["a"]),
        lambda: engine.trace("a"),
        lambda: engine.fates(["a"]),
        lambda: engine.requeue_dead("default", ["a"], batch_id="b"),
        lambda: engine.quarantine("default", ["a"], "why"),
        lambda: engine.release_quarantined("default", ["a"]),
        lambda: engine.drop_dead("default", ["a"]),
    ]
    for act in acts:
        with pytest.raises(EngineDown, match="does not answer"):
            act()
