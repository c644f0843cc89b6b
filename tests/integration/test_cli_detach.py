"""`attach` owns nothing of the team's; `detach` leaves nothing of Levqor's (spec P7)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.registry import FailedJobRegistry
from sqlalchemy import text
from tests.conftest import Valkey
from tests.fake_service import FakeService

from levqor.bootstrap.database import migrate, open_database
from levqor.cli import main
from levqor.engines.rq import RqEngine
from levqor.host import SystemClock
from levqor.settings import load


@pytest.fixture
def store(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """A store with Levqor's keys and a team's, and a database with tables of both."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", store_url)
    monkeypatch.setenv("PORT", "1")
    (tmp_path / "data").mkdir()
    migrate(load())
    with open_database(load().settings).write() as connection:
        connection.execute(text("CREATE TABLE customers (id INTEGER)"))
    client = redis.Redis.from_url(store_url)
    client.mset({f"levqor:{number}": "x" for number in range(1_201)} | {"rq:queue:default": "y", "levqorish": "z"})
    yield client
    client.close()


def tables() -> set[str]:
    query = text("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    with open_database(load().settings).read() as connection:
        return {row[0] for row in connection.execute(query)}


def test_a_dry_run_lists_every_key_and_table(store: redis.Redis, capsys: pytest.CaptureFixture[str]) -> None:
    before = tables()
    assert main(["detach", "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["dry_run"], found["removed"], len(found["keys"])) == (True, False, 1_201)
    assert {"leases", "decisions", "levqor_version"} <= set(found["tables"])
    assert "customers" not in found["tables"]
    assert store.dbsize() == 1_203
    assert tables() == before


def test_detach_removes_its_own_and_nothing_else(store: redis.Redis, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detach", "--yes"]) == 0
    assert set(store.keys()) == {b"rq:queue:default", b"levqorish"}
    assert tables() == {"customers"}
    printed = capsys.readouterr()
    assert "key    levqor:7" in printed.out
    assert "removed 1201 keys" in printed.err
    assert main(["detach", "--yes"]) == 0


def test_without_a_terminal_nothing_is_removed_unasked(store: redis.Redis, capsys: pytest.CaptureFixture[str]) -> None:
    """L1: no prompt without a terminal."""
    assert main(["detach"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert store.dbsize() == 1_203


def test_detach_refuses_while_the_service_runs(store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeService({("GET", "/livez"): (200, {"status": "ok"})})
    monkeypatch.setenv("PORT", service.url.rpartition(":")[2])
    try:
        assert main(["detach", "--yes"]) == 3
    finally:
        service.close()
    assert store.dbsize() == 1_203


def test_a_store_that_does_not_answer_is_a_dependency_down(store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert main(["detach", "--yes"]) == 69
    assert "leases" in tables()


def test_an_own_store_that_sleeps_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "1")
    assert main(["detach", "--dry-run"]) == 0
    assert str(tmp_path / "data" / "store") in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


# A broker that is not the store


def _dump(client: redis.Redis) -> dict[bytes, Any]:
    keys: list[bytes] = sorted(client.keys())  # type: ignore[arg-type]
    return {key: (client.dump(key), client.pexpiretime(key.decode())) for key in keys}


@pytest.fixture
def broker(store: redis.Redis, valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """A team's broker, where Levqor was allowed to act: dead letters of the team's, two of them quarantined."""
    monkeypatch.setenv("BROKER_URL", valkey.url)
    with valkey.client as client:
        queue = Queue("default", connection=client)
        jobs = [queue.enqueue("operator.truediv", 1, 0, meta={"b": b"\x00\xff"}, failure_ttl=3600) for _ in range(3)]
        SimpleWorker([queue], connection=client).work(burst=True, logging_level="CRITICAL")
        queue.enqueue("operator.add", 1, 1)
        client.set("shop:cart", b"\x00\x01", ex=3600)
        client.set("levqorish", "z")
        engine = RqEngine(valkey.url, clock=SystemClock())
        assert engine.quarantine("default", [job.id for job in jobs[:2]], "poison") == 2
        client.zadd("levqor:quarantined:default", {f"gone-{number}": number for number in range(600)})
        client.sadd("levqor:paused", "default")
        engine.close()
        yield client


def test_detach_leaves_a_broker_without_a_key_of_its_own(
    broker: redis.Redis, store: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """P7: the team's keys stay byte for byte, and what was quarantined is dead letters again."""
    ours = {b"levqor:paused", b"levqor:quarantined:default"}
    entries: Any = broker.zrange("levqor:quarantined:default", 600, -1)
    quarantined: set[bytes] = set(entries)
    changed = {b"rq:failed:default"} | {b"rq:job:" + job_id for job_id in quarantined}
    before = _dump(broker)
    assert len(quarantined) == 2
    assert main(["detach", "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (set(found["broker_keys"]), len(found["keys"])) == ({key.decode() for key in ours}, 1_201)
    assert _dump(broker) == before

    assert main(["detach", "--yes"]) == 0
    after = _dump(broker)
    assert set(after) == set(before) - ours
    assert {key: value for key, value in after.items() if key not in changed} == {
        key: value for key, value in before.items() if key not in changed | ours
    }
    assert set(store.keys()) == {b"rq:queue:default", b"levqorish"}
    assert tables() == {"customers"}
    failed = FailedJobRegistry("default", connection=broker)
    assert quarantined <= {job_id.encode() for job_id in failed.get_job_ids(cleanup=False)}
    job_id = quarantined.pop().decode()
    failed.requeue(job_id)
    assert Job.fetch(job_id, connection=broker).args == (1, 0), "RQ's own tools take it from here"
    assert main(["detach", "--yes"]) == 0


def test_a_broker_that_does_not_answer_keeps_all(broker: redis.Redis, store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of it would be worse than none: it is said, and can be done again."""
    monkeypatch.setenv("BROKER_URL", "redis://127.0.0.1:1/0")
    assert main(["detach", "--yes"]) == 69
    assert store.dbsize() == 1_203
    assert "leases" in tables()


def test_a_broker_that_is_the_store_is_asked_once(store: redis.Redis, store_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detach", "--dry-run", "--json", "--broker", store_url]) == 0
    assert "broker_keys" not in json.loads(capsys.readouterr().out)
