"""How the command line reaches the service: refusals, tokens (spec L1, X0, X1)."""

import socket
from pathlib import Path

import pytest
from tests.fake_service import Answer, Asked, FakeService
from tests.unit.cli.conftest import Run

from levqor.cli.service import Service, checked_url, token_for
from levqor.domain.errors import DependencyDown, UsageError
from levqor.settings import load


@pytest.mark.parametrize(
    ("status", "code"), [(400, 2), (401, 2), (403, 2), (404, 1), (409, 3), (422, 2), (429, 1), (500, 1), (502, 69), (503, 69)]
)
def test_each_refusal_has_its_exit_code(run: Run, service: FakeService, status: int, code: int) -> None:
    service.routes["POST", "/ops/scale"] = (status, {"title": "No", "detail": "because of the moon"})
    said = run("scale", "3", "--url", service.url)
    assert (said.code, said.out) == (code, "")
    if status not in (401, 403):
        assert "because of the moon" in said.err
    assert len(said.err.splitlines()) == 1


def test_a_missing_token_names_where_to_get_one(run: Run, service: FakeService, tmp_path: Path) -> None:
    service.routes["POST", "/ops/scale"] = (401, {"detail": "no token"})
    said = run("scale", "3", "--url", service.url)
    assert "ADMIN_TOKEN" in said.err
    assert str(tmp_path / "data" / "admin_token") in said.err


def test_wrong_fields_are_named(run: Run, service: FakeService) -> None:
    service.routes["POST", "/ops/scale"] = (422, {"detail": "wrong", "errors": [{"field": "count", "message": "at most 4"}]})
    assert "count: at most 4" in run("scale", "9", "--url", service.url).err


def test_nobody_there_is_69_with_the_command_that_starts_it(run: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        said = run("status", "--url", url)
    assert (said.code, said.out) == (69, "")
    assert said.err == f"levqor: no service answers at {url}; start it with `levqor up`\n"


@pytest.mark.parametrize("document", [b"<html>hello</html>", b"42", b""])
def test_something_else_at_that_address_is_no_traceback(run: Run, service: FakeService, document: bytes) -> None:
    service.routes["GET", "/status"] = (200, document)
    said = run("status", "--url", service.url)
    assert said.code == 1
    assert "does not speak like Levqor" in said.err


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://", "http://host:99999", ""])
def test_an_address_that_is_none_is_usage(run: Run, url: str) -> None:
    if not url:
        with pytest.raises(UsageError):
            checked_url(url)
        return
    assert run("status", "--url", url).code == 2


@pytest.fixture
def written_token(tmp_path: Path) -> str:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "admin_token").write_text("from-the-file\n", encoding="utf-8")
    return "from-the-file"


@pytest.mark.parametrize(
    ("url", "is_sent"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
        ("http://10.0.0.7:8000", False),
        ("https://localhost.example.com", False),
        ("http://127.0.0.1@example.com", False),
    ],
)
def test_the_token_file_is_for_this_machine_only(tmp_path: Path, written_token: str, url: str, is_sent: bool) -> None:
    settings = load(environ={}, folder=tmp_path).settings
    assert token_for(settings, url) == (written_token if is_sent else None)


def test_a_token_that_was_set_is_sent_where_it_was_meant(tmp_path: Path) -> None:
    settings = load(environ={"ADMIN_TOKEN": "set-by-hand"}, folder=tmp_path).settings
    assert token_for(settings, "https://levqor.example.com") == "set-by-hand"


def test_token_and_actor_travel_as_headers(run: Run, service: FakeService, written_token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "Zoë B")
    service.routes["DELETE", "/ops/scale"] = (200, {"ended": 1, "target": 2})
    run("scale", "auto", "--url", service.url)
    headers = service.last("DELETE", "/ops/scale").headers
    assert headers["x-admin-token"] == written_token
    assert headers["x-levqor-actor"] == "Zo%C3%AB B"


def test_a_service_that_hangs_is_a_dependency_down() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Service(load(environ={}).settings, url, timeout_s=0.2) as service, pytest.raises(DependencyDown, match="did not answer"):
            service.get("/status")


def test_a_service_that_breaks_off_is_a_dependency_down(service: FakeService) -> None:
    def breaks(_: Asked) -> Answer:
        raise ConnectionAbortedError

    service.routes["GET", "/status"] = breaks
    with Service(load(environ={}).settings, service.url) as asked, pytest.raises(DependencyDown, match="broke off"):
        asked.get("/status")


def test_an_address_without_levqor_is_told(run: Run, service: FakeService) -> None:
    service.routes["GET", "/status"] = (404, b"nginx")
    assert "does Levqor answer at this address?" in run("status", "--url", service.url).err


def test_a_wrong_token_is_told_apart_from_none(run: Run, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_TOKEN", "wrong-token")
    service.routes["POST", "/ops/scale"] = (401, {})
    said = run("scale", "3", "--url", service.url)
    assert "refused the token" in said.err
    assert "wrong-token" not in said.err
