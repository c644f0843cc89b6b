"""Flushing dead letters through real workers, and through kill -9 (spec I4)."""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from tests.conftest import Valkey
from tests.contract.conftest import Stage
from tests.contract.dying import dead, die_again, fill
from tests.waiting import eventually

from levqor.client.rq_scripts import text
from levqor.engines.rq import RqEngine
from levqor.host import SystemClock
from levqor.monitors.dead_letters import Flush

OWN = frozenset({"*"})
MANY = 10_000
KILLS = 20
CALLER = "requeuer"
STARTED = timedelta(minutes=5)


@pytest.fixture
def flush(stage: Stage) -> Flush:
    return Flush(stage.engine, ["default"], SystemClock(), flushes_max=3, fate_wait_s=20)


def _run(flush: Flush, batch: str = "b") -> dict[str, object]:
    plan = flush.plan("incident", SystemClock().now() - STARTED, OWN)
    return flush.run(plan, batch, threading.Event(), pause_s=0.05).as_dict()


def _dependent(stage: Stage, word: str, needs: Path) -> str:
    """A job that fails until a file is there; its end is one line of the witness."""
    command = f"test -e {needs} && echo end {word} 0 >> {stage.witness}"
    return stage.submit("shell", {"command": command}, max_attempts=1)


def _die(stage: Stage, ids: list[str]) -> None:
    eventually(lambda: all(stage.status(job_id).status == "dead" for job_id in ids), within_s=30, what="the deaths")


def test_poison_ends_in_quarantine_after_three_flushes_and_the_good_jobs_finish_once(stage: Stage, flush: Flush) -> None:
    """I4: they died of the same exception in the same function; the poison keeps its error, and shows as dead."""
    outage = stage.folder / "over"
    good = [_dependent(stage, f"good-{n}", outage) for n in range(12)]
    poison = [_dependent(stage, f"poison-{n}", stage.folder / "never") for n in range(2)]
    stage.worker()
    stage.worker()
    _die(stage, good + poison)
    outage.touch()
    outcomes = []
    for turn in range(5):
        outcomes.append(_run(flush, f"b{turn}"))
        if not stage.engine.dead_letters("default"):
            break
    assert Counter(stage.ended()) == {f"good-{n}": 1 for n in range(12)}
    assert {stage.status(job_id).status for job_id in good} == {"succeeded"}
    apart = {letter.job_id: letter for letter in stage.engine.quarantined("default")}
    assert set(apart) == set(poison)
    for job_id in poison:
        assert (apart[job_id].flushes, apart[job_id].why) == (3, "died again after 3 flushes")
        assert "exit status 1" in (apart[job_id].error or "")
        assert stage.status(job_id).status == "dead"
    assert sum(int(str(outcome["finished"])) for outcome in outcomes) == 12
    assert sum(int(str(outcome["died_again"])) for outcome in outcomes) == 6
    assert Counter(series[-1] for series in stage.outcomes) == {"requeued": 18, "quarantined": 2}


def test_a_canary_that_dies_stops_the_flush_of_many(stage: Stage, flush: Flush) -> None:
    """The cause is still there: three jobs tried it, not all."""
    ids = [_dependent(stage, str(n), stage.folder / "never") for n in range(30)]
    stage.worker()
    _die(stage, ids)
    outcome = _run(flush)
    assert (outcome["moved"], outcome["finished"], outcome["died_again"]) == (3, 0, 3)
    assert outcome["stopped_why"] == "shell (CalledProcessError): the canary died again"
    assert stage.engine.queues(["default"])[0].dead == 30


def test_a_year_old_letter_is_never_touched_by_an_incident(stage: Stage, flush: Flush) -> None:
    """Nor flushed, nor quarantined, however often it was flushed before."""
    old, new = dead(stage), dead(stage)
    with stage.client as client:
        died = SystemClock().now() - timedelta(days=364)
        client.hset(f"rq:job:{old}", mapping={"levqor_died_at": died.timestamp(), "levqor_flushes": 7})
        before = client.hgetall(f"rq:job:{old}")
        stage.worker()
        assert (_run(flush)["moved"], _run(flush)["moved"]) == (1, 0)
        assert client.hgetall(f"rq:job:{old}") == before
    assert [letter.job_id for letter in stage.engine.dead_letters("default")] == [old]
    assert stage.status(new).status == "succeeded"


def test_a_plan_changes_nothing_in_the_broker(stage: Stage, flush: Flush) -> None:
    dead(stage)
    seen = stage.commands(lambda: flush.plan("all", None, OWN))
    assert set(seen) <= {"TIME", "LLEN", "LRANGE", "ZCARD", "ZREVRANGE", "HMGET"}


# Kills


def _child(act: Callable[[], object]) -> int:
    """A process that does one thing; it never comes back into the test."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(0)
    return pid


def _requeue(url: str, ids: list[str], batch: str) -> None:
    RqEngine(f"{url}?client_name={CALLER}", clock=SystemClock()).requeue_dead("default", ids, batch_id=batch)


def _places(client: redis.Redis) -> tuple[list[str], set[str]]:
    queued = [text(job_id) for job_id in client.lrange("rq:queue:default", 0, -1)]
    return queued, {text(job_id) for job_id in client.zrange("rq:failed:default", 0, -1)}


@pytest.mark.slow
@pytest.mark.drill
def test_twenty_kills_of_a_process_that_requeues_ten_thousand_lose_and_double_nothing(stage: Stage) -> None:
    """I4: killed anywhere, each job is in exactly one place; the same batch, run again, ends it."""
    dice = random.Random(20)
    with stage.client as client:
        ids = fill(client, MANY)
        cut = 0
        for kill in range(KILLS):
            die_again(client, ids)
            pid = _child(lambda kill=kill: _requeue(stage.url, ids, f"b{kill}"))  # type: ignore[misc]
            reached = dice.randrange(MANY - 600)
            eventually(lambda reached=reached: client.llen("rq:queue:default") > reached, every_s=0.0005)  # type: ignore[misc]
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            # What it had sent before its death is still carried out, until the broker has noticed.
            eventually(lambda: CALLER not in {each["name"] for each in client.client_list()})
            queued, left = _places(client)
            assert len(queued) == len(set(queued))
            assert set(queued) | left == set(ids)
            assert not set(queued) & left
            cut += bool(left)
            again = stage.engine.requeue_dead("default", ids, batch_id=f"b{kill}")
            assert (again.moved, again.already, again.remaining) == (len(left), len(queued), 0)
            assert Counter(_places(client)[0]) == dict.fromkeys(ids, 1)
            assert client.hget(f"rq:job:{ids[-1]}", "levqor_flushes") == str(kill + 1).encode()
    assert cut >= KILLS // 2, "the kills came too late to prove anything"


@pytest.mark.drill
def test_a_broker_that_is_killed_while_dead_letters_are_requeued_loses_and_doubles_nothing(
    valkey: Valkey, stage_on: Callable[[str, Path], Stage], tmp_path: Path
) -> None:
    stage = stage_on(valkey.url, tmp_path)
    with valkey.client as client:
        ids = fill(client, MANY)
        pid = _child(lambda: _requeue(stage.url, ids, "b"))
        eventually(lambda: client.llen("rq:queue:default") > 2_000, every_s=0.0005)
    valkey.kill()
    os.waitpid(pid, 0)
    valkey.start()
    with valkey.client as client:
        queued, left = _places(client)
        assert sorted([*queued, *left]) == sorted(ids)
        stage.engine.requeue_dead("default", ids, batch_id="b")
        assert Counter(_places(client)[0]) == dict.fromkeys(ids, 1)
