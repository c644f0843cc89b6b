"""`levqor attach` beside a team's own broker: advice from reading alone (spec A12, P6, P7, E3)."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue
from rq.worker import Worker as PlainWorker
from tests.conftest import Valkey
from tests.integration.running import Installation
from tests.waiting import eventually

from levqor.cli.attach import attach_options
from levqor.domain.errors import UsageError
from levqor.settings import load

READING = {
    "TIME", "LLEN", "LRANGE", "ZCARD", "HMGET", "HGETALL", "SMEMBERS", "ZRANGE", "PING", "INFO", "HELLO", "CLIENT", "AUTH", "SELECT",
}  # fmt: skip
LOOKS = 40
"""Readings of the queues that are watched: more than a minute of ticks of the default length."""

TOML = """
broker_url = "{url}"
queues = ["high", "default"]
fleet_kind = "none"
intake_enabled = false
"""


@pytest.fixture
def broker(valkey: Valkey) -> Iterator[redis.Redis]:
    """A team's own: three jobs wait where a worker is, one where none is, and one is dead."""
    with valkey.client as client:
        for name in ("default", "default", "default", "high"):
            Queue(name, connection=client).enqueue("operator.add", 1, 1)
        PlainWorker(["default"], name="shop-1", connection=client).register_birth()  # type: ignore[no-untyped-call]
        client.hset("rq:worker:shop-1", "state", "busy")
        client.zadd("rq:failed:default", {"dead": 4e9})
        yield client


def _dump(client: redis.Redis) -> dict[bytes, Any]:
    keys: list[bytes] = sorted(client.keys())  # type: ignore[arg-type]
    return {key: (client.dump(key), client.pexpiretime(key.decode())) for key in keys}


def _begin(installation: Installation, url: str, how: str) -> None:
    options = ["--port", str(installation.port), "--data", str(installation.data)]
    if how == "attach":
        process = installation.start("attach", "--redis", url, "--queues", "high,default", *options)
    else:
        (installation.folder / "levqor.toml").write_text(TOML.format(url=url), encoding="utf-8")
        process = installation.start("up", *options)
    eventually(lambda: "is ready at" in installation.output or process.poll() is not None, 30, what="the ready line")
    assert process.poll() is None, installation.output


@pytest.mark.parametrize("how", ["attach", "levqor.toml"])
def test_a_teams_broker_is_advised_on_and_never_written(broker: redis.Redis, valkey: Valkey, tmp_path: Path, how: str) -> None:
    """P6, P7: by the command stream of many ticks; a start by command and one by file do the same."""
    installation = Installation(tmp_path / "levqor", TICK_S="0.1")
    before = _dump(broker)
    seen: list[tuple[str, str]] = []
    with redis.Redis.from_url(valkey.url, socket_timeout=50) as watcher, watcher.monitor() as monitor:
        watching = threading.Thread(target=lambda: seen.extend(_until_looks(monitor)))
        watching.start()
        try:
            _begin(installation, valkey.url, how)
            watching.join(30)
            assert not watching.is_alive(), "the queues were not read often enough"
            status, health = installation.get("/status"), installation.get("/ops/queue_health")
            decisions = installation.admin("/ops/autoscale/decisions")["decisions"]
        finally:
            installation.stop()
    assert {command for command, _ in seen} <= READING
    assert not any(kind == "lua" for _, kind in seen)
    assert _dump(broker) == before

    assert (status["fleet_kind"], status["queues"], status["running"]) == ("none", ["high", "default"], 1)
    signals = status["signals"]
    assert (signals["queue_depth"]["value"], signals["dead"]["value"], signals["running"]["value"]) == (4, 1, 0)
    assert signals["oldest_wait_s"]["value"] > 0
    assert signals["failures_5m"]["state"] == "not_configured", "workers that do not report are no trouble"
    assert "1 job waits in queue 'high' and no worker serves it: start one with `rq worker high`" in status["advice"][0]
    assert [(worker["name"], worker["state"]) for worker in health["workers"]] == [("shop-1", "busy")]
    assert decisions, "each decision leaves a record"
    assert {decision["applied"] for decision in decisions} == {False}


def _until_looks(monitor: Any) -> Iterator[tuple[str, str]]:
    looks = 0
    for each in monitor.listen():
        command = each["command"].split()[0].upper()
        looks += each["command"].endswith(":queue:high") and command == "LLEN"
        yield command, each["client_type"]
        if looks == LOOKS:
            return


@pytest.mark.parametrize("how", ["attach", "levqor.toml"])
def test_an_unknown_major_is_refused_at_the_start(broker: redis.Redis, valkey: Valkey, tmp_path: Path, how: str) -> None:
    broker.hset("rq:worker:shop-1", "version", "4.0.0")
    installation = Installation(tmp_path / "levqor")
    if how == "attach":
        code, output = installation.refused("attach", "--redis", valkey.url, "--port", str(installation.port))
    else:
        (installation.folder / "levqor.toml").write_text(TOML.format(url=valkey.url), encoding="utf-8")
        code, output = installation.refused("up", "--port", str(installation.port))
    assert code == 3
    assert output.strip() == (
        "levqor: workers run RQ 4.0.0, which this Levqor does not know: it reads RQ 1.16 to 3.x; "
        "upgrade Levqor, or run those workers with RQ 3.x"
    )
    assert [path.name for path in installation.folder.iterdir()] in (["output"], ["levqor.toml", "output"], ["output", "levqor.toml"])


def test_attach_spawns_no_worker_and_takes_no_job() -> None:
    settings = load(attach_options("redis://:pw@broker:6379/2", "high,default"), environ={}).settings
    assert (settings.fleet_kind, settings.intake_enabled, settings.queues, settings.scale_rule) == (
        "none",
        False,
        ["high", "default"],
        "threshold",
    )
    assert settings.redis_url is None
    assert settings.broker_url is not None
    assert settings.broker_url.get_secret_value() == "redis://:pw@broker:6379/2"
    with pytest.raises(UsageError):
        attach_options("http://broker", "default")


def test_the_same_lines_in_the_file_are_the_same_settings(tmp_path: Path) -> None:
    (tmp_path / "levqor.toml").write_text(TOML.format(url="redis://broker:6379/2"), encoding="utf-8")
    by_file = load(environ={}, folder=tmp_path).settings
    assert by_file == load(attach_options("redis://broker:6379/2", "high,default"), environ={}, folder=tmp_path / "none").settings


def test_other_kinds_and_rules_pass_through() -> None:
    settings = load(attach_options("redis://broker", "default", "external", "wait"), environ={}).settings
    assert (settings.fleet_kind, settings.scale_rule, settings.intake_enabled) == ("external", "wait", False)


@pytest.mark.parametrize("prefix", ["", "a b", "a*", "é", "x" * 101, "levqor", "levqor:jobs"])
def test_a_prefix_that_rq_would_not_take_is_refused(prefix: str) -> None:
    """F2: RQ_KEY_PREFIX, by RQ's own rule; and P7, since `detach` removes what begins with `levqor:`."""
    with pytest.raises(UsageError, match="RQ_KEY_PREFIX"):
        load({"rq_key_prefix": prefix}, environ={})
    assert load({"rq_key_prefix": "levqors"}, environ={}).settings.rq_key_prefix == "levqors"
    assert load({"rq_key_prefix": "shop:{1}.a-b_c"}, environ={}).settings.rq_key_prefix == "shop:{1}.a-b_c"
