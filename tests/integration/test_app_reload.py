"""The attached app's reload by a real command and a real address (spec I5)."""

import http.server
import shlex
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from levqor.fleets.app import AppReload
from levqor.host import SystemClock


class App(http.server.BaseHTTPRequestHandler):
    status = 503

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def ready_url() -> Iterator[str]:
    App.status = 200
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/readyz"
    server.shutdown()
    server.server_close()
    thread.join(5)


def reload_of(code: str, ready_url: str | None = None, timeout_s: float = 10.0) -> AppReload:
    return AppReload(f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}", ready_url, timeout_s, SystemClock())


def test_a_command_that_works_and_an_app_that_is_ready(tmp_path: Path, ready_url: str) -> None:
    """No shell: a semicolon is an argument like any other."""
    mark = tmp_path / "mark; touch no"
    code = f"import pathlib; pathlib.Path({str(mark)!r}).touch()"
    assert reload_of(code, ready_url).run(threading.Event()) is None
    assert [path.name for path in tmp_path.iterdir()] == ["mark; touch no"]


@pytest.mark.parametrize(
    ("reload", "said"),
    [
        pytest.param(reload_of("raise SystemExit(3)"), "exit code 3", id="fails"),
        pytest.param(reload_of("import threading; threading.Event().wait(60)", timeout_s=0.5), "did not end within", id="hangs"),
        pytest.param(AppReload("/no/such/program", None, 5, SystemClock()), "cannot be run", id="is not there"),
        pytest.param(reload_of("pass", "http://127.0.0.1:9/", 1.0), "does not answer", id="is not ready"),
    ],
)
def test_what_goes_wrong_is_said(reload: AppReload, said: str) -> None:
    assert said in (reload.run(threading.Event()) or "")


def test_an_app_that_answers_503_is_not_ready(ready_url: str) -> None:
    App.status = 503
    assert "answers 503" in (reload_of("pass", ready_url, 1.0).run(threading.Event()) or "")


def test_a_leader_that_stops_waits_for_no_reload() -> None:
    stop = threading.Event()
    stop.set()
    assert "was ended" in (reload_of("import threading; threading.Event().wait(60)", timeout_s=60).run(stop) or "")
