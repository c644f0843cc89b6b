"""`levqor look` at a real RQ: what it shows, that its lines mend what they name, and that it writes nothing (spec X4, P7)."""

import json
import os
import pickle
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue, Retry
from tests.conftest import Valkey
from tests.waiting import eventually

from levqor.cli import main
from levqor.client.rq_scripts import text
from levqor.engines.rq_findings import findings
from levqor.engines.rq_look import look
from levqor.host import SystemClock

TOOLS = Path(sys.executable).parent
FORBIDDEN = {"scan", "keys", "randomkey", "eval", "evalsha", "fcall", "sort", "debug", "monitor", "flushall"}


@contextmanager
def worker(valkey: Valkey, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real `rq worker` in a session of its own."""
    command = [str(TOOLS / "rq"), "worker", "--url", valkey.url, "--quiet", *options]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """The worker and its work horse, whatever state they are in."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def bury(valkey: Valkey) -> None:
    """Three jobs that divide by zero, one that misses a key, by a real worker."""
    with valkey.client as client:
        queue = Queue("broken", connection=client)
        for number in range(3):
            queue.enqueue("operator.truediv", 1, 0, job_id=f"divided-{number}")
        queue.enqueue("operator.getitem", {}, "pass-word-of-a-customer", job_id="missed")
    with worker(valkey, "--burst", "--worker-class", "rq.SimpleWorker", "broken") as process:
        assert process.wait(30) == 0


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A team's broker: a busy worker, an idle one, dead jobs, a queue that nobody serves, a retry without a scheduler."""
    valkey = Valkey(tmp_path_factory.mktemp("team"))
    valkey.start()
    bury(valkey)
    with valkey.client as client, worker(valkey, "--name", "busy", "high"), worker(valkey, "--name", "idle", "default", "high"):
        eventually(lambda: b"rq:worker:busy" in client.smembers("rq:workers"), what="the first worker")
        eventually(lambda: state(client, "idle") == "idle" and state(client, "busy") == "idle", what="two idle workers")
        Queue("high", connection=client).enqueue("time.sleep", 600, job_id="long", job_timeout=900)
        eventually(lambda: "busy" in (state(client, "busy"), state(client, "idle")), what="a busy worker")
        mail = Queue("mail", connection=client)
        mail.enqueue("operator.add", 1, 2, job_id="first")
        mail.enqueue("operator.add", 1, 2, job_id="second")
        client.hset("rq:job:first", "enqueued_at", "2020-01-01T00:00:00.000000Z")
        Queue("default", connection=client).enqueue_in(timedelta(hours=1), "operator.add", 1, 2)
        yield valkey
    valkey.stop()


def state(client: redis.Redis, name: str) -> str:
    return text(client.hget(f"rq:worker:{name}", "state") or b"")


def answer(capsys: pytest.CaptureFixture[str], url: str, *options: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["look", url, "--json", *options]) == 0
    return dict(json.loads(capsys.readouterr().out))


def severities(valkey: Valkey) -> dict[str, str]:
    return {finding.code: finding.severity for finding in findings(look(valkey.url, clock=SystemClock()))}


def line_of(valkey: Valkey, code: str) -> str:
    """What a finding tells to type."""
    mend = next(finding.mend for finding in findings(look(valkey.url, clock=SystemClock())) if finding.code == code)
    found = re.match(r"`(.+?)`", mend)
    assert found is not None, mend
    return found[1]


def environment(valkey: Valkey) -> dict[str, str]:
    return {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}", "REDIS_URL": valkey.url}


# What it shows


def test_the_queues_are_shown_with_their_figures(team: Valkey, capsys: pytest.CaptureFixture[str]) -> None:
    queues = {queue["name"]: queue for queue in answer(capsys, team.url)["queues"]}
    assert set(queues) == {"high", "default", "mail", "broken"}
    assert (queues["mail"]["waiting"], queues["mail"]["running"], queues["broken"]["dead"]) == (2, 0, 4)
    assert queues["mail"]["oldest_wait_s"] > 4 * 365 * 86_400
    assert (queues["high"]["running"], queues["high"]["waiting"], queues["high"]["oldest_wait_s"]) == (1, 0, None)
    assert queues["default"]["delayed"] == 1


def test_the_workers_are_shown_with_what_they_do(team: Valkey, capsys: pytest.CaptureFixture[str]) -> None:
    workers = {worker["name"]: worker for worker in answer(capsys, team.url)["workers"]}
    busy = next(worker for worker in workers.values() if worker["state"] == "busy")
    idle = next(worker for worker in workers.values() if worker["state"] == "idle")
    assert (busy["job_id"], busy["function"]) == ("long", "time.sleep")
    assert (idle["job_id"], idle["function"]) == (None, None)
    assert workers["idle"]["queues"] == ["default", "high"]
    for worker in workers.values():
        assert worker["host"]
        assert worker["pid"]
        assert worker["heard_at"]
        assert worker["rq_version"].startswith("3.")
        assert worker["python_version"].startswith("3.")


def test_dead_jobs_are_grouped_by_exception_and_function(team: Valkey, capsys: pytest.CaptureFixture[str]) -> None:
    dead = answer(capsys, team.url)["dead"]
    assert (dead["total"], dead["read"], dead["is_sample"]) == (4, 4, False)
    assert [(group["function"], group["error"], group["count"]) for group in dead["groups"]] == [
        ("operator.truediv", "ZeroDivisionError", 3),
        ("operator.getitem", "KeyError", 1),
    ]
    first, second = dead["groups"]
    assert first["sample"] in {"divided-0", "divided-1", "divided-2"}
    assert first["oldest"] <= first["newest"]
    assert (second["sample"], second["queues"]) == ("missed", ["broken"])


def test_each_finding_comes_with_the_line_that_mends_it(team: Valkey, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, team.url)
    by_code = {finding["code"]: finding for finding in found["findings"]}
    assert {code for code, finding in by_code.items() if finding["severity"] == "fail"} == {"unserved", "scheduler"}
    assert by_code["takes_back"]["severity"] == "warn"
    assert "up to 810 s" in by_code["takes_back"]["text"]
    assert by_code["scheduler"]["mend"] == '`rq worker --url "$REDIS_URL" --with-scheduler default`'
    assert by_code["unserved"]["mend"] == '`rq worker --url "$REDIS_URL" mail`'
    assert [(row["queue"], row["waiting"]) for row in found["unserved"]] == [("mail", 2)]
    assert all(finding["mend"] for finding in by_code.values() if finding["severity"] != "ok")
    assert team.password not in json.dumps(found)


def test_people_get_it_in_words(team: Valkey, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["look", team.url]) == 0
    said = capsys.readouterr()
    for words in ("oldest wait", "time.sleep", "ZeroDivisionError", "jobs wait in mail, which no worker serves", "found well: "):
        assert words in said.out
    assert '-> `rq worker --url "$REDIS_URL" --worker-ttl 30 --maintenance-interval 15 --job-monitoring-interval 5 ' in said.out
    assert team.password not in said.out + said.err
    assert "nothing was written" in said.err


def test_queues_can_be_named(team: Valkey, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, team.url, "--queues", "mail, nobody")
    assert [queue["name"] for queue in found["queues"]] == ["mail", "nobody"]
    assert found["dead"]["total"] == 0
    assert "nobody" in next(finding["text"] for finding in found["findings"] if finding["code"] == "missing")


# That it writes nothing


def dump(client: redis.Redis) -> dict[bytes, tuple[Any, bool]]:
    """Every key's content, and whether it goes away by itself."""
    return {key: (client.dump(key), client.pttl(key) > 0) for key in client.scan_iter()}


@contextmanager
def frozen(client: redis.Redis) -> Iterator[None]:
    """The team's workers stand still, so that only what looks can change anything."""
    groups = [int(client.hget(f"rq:worker:{name}", "pid") or 0) for name in ("busy", "idle")]
    for group in groups:
        os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        for group in groups:
            os.killpg(group, signal.SIGCONT)


def heard(team: Valkey, act: Callable[[], object]) -> list[str]:
    """Every command that the server's monitor heard while `act` ran."""
    with team.client as watcher, team.client as other, watcher.monitor() as monitor:
        act()
        other.echo("that was all")
        commands: list[str] = []
        while "that was all" not in (command := str(monitor.next_command()["command"])):
            commands.append(command)
    return commands


def counted(client: redis.Redis) -> dict[str, int]:
    """How often each command was called, by the server's own count: also those that a monitor is not shown."""
    return {name.removeprefix("cmdstat_"): int(figures["calls"]) for name, figures in client.info("commandstats").items()}


def flags_of(client: redis.Redis, command: str) -> set[str]:
    """A command's flags in the server's own table; `config|get` is one of its own."""
    [facts] = client.execute_command("COMMAND INFO", command)  # type: ignore[no-untyped-call]
    return {flag.decode() if isinstance(flag, bytes) else str(flag) for flag in facts[2]}


def test_no_command_writes_and_none_walks_over_all_keys(team: Valkey, capsys: pytest.CaptureFixture[str]) -> None:
    """P7: its whole command stream, by the server's monitor and by its counters."""
    with team.client as client, frozen(client):
        commands = heard(team, lambda: answer(capsys, team.url))
        client.config_resetstat()
        answer(capsys, team.url)
        calls = counted(client)
        seen = {command.split()[0].lower() for command in commands} - {"monitor"}
        called = set(calls) - {"config|resetstat"}
        assert {"smembers", "hmget", "zrevrange", "llen"} <= seen
        assert {"config|get", "auth", "info"} <= called
        for name in seen | called:
            flags = flags_of(client, name)
            assert not flags & {"write", "may_replicate", "pubsub"}, name
        assert not {name.partition("|")[0] for name in seen | called} & FORBIDDEN
        assert called <= seen | {"auth", "config|get", "info", "ping"}


def test_every_key_is_the_same_before_and_after(team: Valkey, capsys: pytest.CaptureFixture[str]) -> None:
    with team.client as client, frozen(client):
        before, size = dump(client), client.dbsize()
        answer(capsys, team.url)
        answer(capsys, team.url, "--queues", "high,nobody")
        main(["look", team.url])
        assert (dump(client), client.dbsize()) == (before, size)


def test_nothing_is_written_here_either(team: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings file, no data folder, no database; a broken settings file of somebody's is not read."""
    (tmp_path / "levqor.toml").write_text("this is [ not toml", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["look", team.url, "--json"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["levqor.toml"]


class Bomb:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_nothing_that_was_pickled_is_opened(valkey: Valkey, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """X4: a dead job whose payload and result would act when they are unpickled."""
    trap = tmp_path / "sprung"
    bomb = pickle.dumps(Bomb(trap))
    with valkey.client as client:
        client.sadd("rq:queues", "rq:queue:q")
        client.hset(
            "rq:job:x",
            mapping={"status": "failed", "data": bomb, "result": bomb, "meta": bomb, "description": "shop.f(1)", "exc_info": bomb},
        )
        client.zadd("rq:failed:q", {"x": time.time() + 31_536_000})
        client.xadd("rq:results:x", {"type": "2", "return_value": bomb, "exc_string": bomb})
    [group] = answer(capsys, valkey.url)["dead"]["groups"]
    assert (group["function"], group["error"], group["sample"]) == ("shop.f", "unknown", "x")
    assert not trap.exists()


# That its lines mend


def test_the_lines_for_queues_and_retries_mend_them(team: Valkey) -> None:
    """Typed as they stand: afterwards the queue is served, and the retry has a scheduler."""
    lines = [line_of(team, "unserved"), line_of(team, "scheduler")]
    shells = [subprocess.Popen(f"exec {line} --quiet", shell=True, env=environment(team), start_new_session=True) for line in lines]  # noqa: S602
    try:
        eventually(lambda: {severities(team)[code] for code in ("unserved", "scheduler")} == {"ok"}, within_s=20, what="both are mended")
    finally:
        for shell in shells:
            end(shell)


def test_the_line_for_abandoned_jobs_defaults_mends_it(valkey: Valkey) -> None:
    with worker(valkey, "--name", "default", "high"):
        eventually(lambda: severities(valkey).get("takes_back") == "warn", what="a worker with RQ's defaults")
        line = line_of(valkey, "takes_back")
    with valkey.client as client:
        client.delete("rq:worker:default", "rq:workers")
    with subprocess.Popen(f"exec {line} --quiet", shell=True, env=environment(valkey), start_new_session=True) as shell:  # noqa: S602
        try:
            eventually(lambda: severities(valkey).get("takes_back") == "ok", what="a worker that looks soon")
        finally:
            end(shell)


def test_a_job_that_nobody_runs_is_found_and_given_back_by_the_line(valkey: Valkey) -> None:
    with valkey.client as client:
        Queue("high", connection=client).enqueue("time.sleep", 600, job_id="long", retry=Retry(1))
        with worker(valkey, "--name", "doomed", "high"):
            eventually(lambda: client.hget("rq:job:long", "status") == b"started", what="the job's start")
            assert severities(valkey)["abandoned"] == "ok"
        assert severities(valkey)["abandoned"] == "ok", "its worker may still be heard of"
        client.delete("rq:worker:doomed")
        assert {severities(valkey)[code] for code in ("abandoned", "lost")} == {"fail", "warn"}
        [entry] = client.zrange("rq:wip:high", 0, -1)
        client.zadd("rq:wip:high", {entry: time.time() - 1})
        line = line_of(valkey, "abandoned")
        assert shlex.split(line)[0] == "python"
        subprocess.run(line, shell=True, check=True, env=environment(valkey), timeout=30, capture_output=True)  # noqa: S602
        assert severities(valkey)["abandoned"] == "ok"
        assert (client.lrange("rq:queue:high", 0, -1), client.zcard("rq:wip:high")) == ([b"long"], 0)


def test_the_line_for_a_server_that_evicts_mends_it(valkey: Valkey) -> None:
    with valkey.client as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
        assert {severities(valkey)[code] for code in ("eviction", "durability")} == {"fail"}
        for code in ("eviction", "durability"):
            words = shlex.split(line_of(valkey, code))
            assert words[:3] == ["redis-cli", "-u", "$REDIS_URL"]
            client.execute_command(*words[3:])
        assert {severities(valkey)[code] for code in ("eviction", "durability")} == {"ok"}
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"], what="a server that can be ended")


# Without RQ, and with much of it


def test_an_empty_broker_is_said_to_be_empty(store_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, store_url)["note"] == "The broker is empty."
    assert main(["look", store_url]) == 0
    assert "The broker is empty." in capsys.readouterr().out


@pytest.mark.parametrize(("key", "name"), [("_kombu.binding.celery", "Celery"), ("dramatiq:default.msgs", "Dramatiq")])
def test_another_library_is_named_in_one_sentence(store_url: str, capsys: pytest.CaptureFixture[str], key: str, name: str) -> None:
    with redis.Redis.from_url(store_url) as client:
        client.sadd(key, "x")
    found = answer(capsys, store_url)
    assert found["note"] == f"{name} is at work here and RQ is not: Levqor reads RQ alone."
    assert (found["is_rq"], found["queues"]) == (False, [])


def test_of_many_dead_jobs_a_sample_is_read_and_said_to_be_one(
    store_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("levqor.engines.rq_look.MOST_DEAD", 10)
    with redis.Redis.from_url(store_url) as client:
        client.sadd("rq:queues", "rq:queue:small", "rq:queue:large")
        for queue, count in (("small", 3), ("large", 20)):
            for number in range(count):
                client.hset(f"rq:job:{queue}-{number}", mapping={"status": "failed", "description": f"shop.{queue}()"})
                client.zadd(f"rq:failed:{queue}", {f"{queue}-{number}": 2_000_000_000 + number})
    dead = answer(capsys, store_url)["dead"]
    assert (dead["total"], dead["read"], dead["is_sample"]) == (23, 10, True)
    assert {group["function"]: group["count"] for group in dead["groups"]} == {"shop.small": 3, "shop.large": 7}
    assert next(group for group in dead["groups"] if group["function"] == "shop.large")["sample"] == "large-19"
    assert main(["look", store_url]) == 0
    assert "a sample: the newest 10 of 23 dead jobs were read" in capsys.readouterr().out


def test_keys_that_are_not_what_they_should_be_are_unknown(store_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody else's keys under RQ's names, names that move the cursor, and times that are none."""
    with redis.Redis.from_url(store_url) as client:
        client.sadd("rq:queues", "rq:queue:odd", b"rq:queue:\xff\x1b[2J[red]")
        client.set("rq:queue:odd", "no list")
        client.sadd("rq:workers", "rq:worker:w")
        client.hset("rq:worker:w", mapping={"last_heartbeat": "yesterday", "birth": "1e99", "pid": "x", "version": "9.9"})
        client.hset("rq:job:d", mapping={"status": "failed", "ended_at": "never", "description": "\x1b[31m words"})
        client.zadd("rq:failed:odd", {"d": 1e300, "gone": 1})
    found = answer(capsys, store_url)
    odd = next(queue for queue in found["queues"] if queue["name"] == "odd")
    assert (odd["waiting"], odd["dead"]) == (None, 2)
    assert {finding["code"]: finding["severity"] for finding in found["findings"]}["rq_version"] == "fail"
    assert main(["look", store_url]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "unknown" in said


def test_of_more_queues_and_workers_than_anybody_can_look_at_a_draw_is_taken(
    store_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("levqor.engines.rq_look.MOST_QUEUES", 3)
    monkeypatch.setattr("levqor.engines.rq_look.MOST_WORKERS", 2)
    with redis.Redis.from_url(store_url) as client:
        for number in range(5):
            client.sadd("rq:queues", f"rq:queue:q{number}")
            client.rpush(f"rq:queue:q{number}", "x")
            client.sadd("rq:workers", f"rq:worker:w{number}")
            client.hset(f"rq:worker:w{number}", mapping={"state": "idle", "birth": "2026-01-01T00:00:00.000000Z", "queues": f"q{number}"})
    found = answer(capsys, store_url)
    assert (found["queues_unread"], len(found["workers"]), found["workers_unread"]) == (2, 2, 3)
    assert {finding["code"]: finding["severity"] for finding in found["findings"]}["unserved"] == "unknown"
    assert found["unserved"] == []
    assert main(["look", store_url]) == 0
    assert "2 were not read" in capsys.readouterr().out
