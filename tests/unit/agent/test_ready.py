"""What `levqor up` says once the service answers, or does not."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.conftest import free_port

from levqor.agent import ready
from levqor.agent.ready import Announcer, Place, missing
from levqor.host import SystemClock


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param({}, "no answer within 20 s", id="nobody answered"),
        pytest.param({"checks": {"store": {"ok": False, "detail": "hangs"}, "database": {"ok": True}}}, "store (hangs)", id="one fails"),
        pytest.param({"checks": {"store": {"ok": False, "detail": None}}}, "store (down)", id="without a word"),
        pytest.param({"checks": {}}, "it does not say what is missing", id="nothing named"),
    ],
)
def test_what_is_missing_is_named(body: dict[str, object], said: str) -> None:
    assert missing(body) == said


def announce(url: str, monkeypatch: pytest.MonkeyPatch, stop: threading.Event | None = None) -> tuple[str, bool]:
    monkeypatch.setattr(ready, "PATIENCE_S", 0.3)
    said: list[str] = []
    announcer = Announcer(Place(url, Path("here"), Path("here/admin_token")), said.append, SystemClock())
    announcer.run(stop or threading.Event())
    return "\n".join(said), announcer.is_up.is_set()


def test_after_its_patience_it_says_what_is_missing_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    said, is_up = announce(f"http://127.0.0.1:{free_port()}", monkeypatch)
    assert "is not ready: no answer" in said
    assert "Ctrl-C stops everything" in said
    assert is_up


def test_a_stop_while_it_waits_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    stop.set()
    assert announce(f"http://127.0.0.1:{free_port()}", monkeypatch, stop) == ("", False)


class NotJson(BaseHTTPRequestHandler):
    """Answers 200 with something else than was asked for."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def test_readiness_is_the_status_and_no_answer_makes_it_stumble(monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), NotJson) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said, is_up = announce(f"http://127.0.0.1:{server.server_port}", monkeypatch)
        server.shutdown()
    assert said.startswith("Levqor is ready at")
    assert "here/admin_token" in said
    assert is_up
