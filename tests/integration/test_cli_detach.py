"""`attach` owns nothing of the team's; `detach` leaves nothing of Levqor's (spec P7)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import text
from tests.fake_service import FakeService

from levqor.bootstrap.database import migrate, open_database
from levqor.cli import main
from levqor.cli.attach import attach_options
from levqor.domain.errors import UsageError
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


def test_attach_owns_no_worker_and_takes_no_job() -> None:
    settings = load(attach_options("redis://:pw@broker:6379/2", "high,default", None, None, None), environ={}).settings
    assert (settings.fleet_kind, settings.intake_enabled, settings.queues) == ("none", False, ["high", "default"])
    assert settings.redis_url is None
    assert settings.broker_url is not None
    assert settings.broker_url.get_secret_value() == "redis://:pw@broker:6379/2"
    with pytest.raises(UsageError):
        attach_options("http://broker", "default", None, None, None)
