"""Availability is what a client outside sees, through the listening socket (spec S4)."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.conftest import free_port
from tests.waiting import eventually

from levqor.client.recorder import Recorder
from levqor.host import SystemClock
from levqor.monitors.prober import SERIES, Prober
from levqor.store.telemetry import Counts


class Answers(BaseHTTPRequestHandler):
    """The path says the status; `/drip` never ends its answer."""

    asked: list[str]
    release: threading.Event

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/drip":
            return self._drip()
        self.send_response(int(self.path[1:]))
        self.send_header("Location", "/200")
        self.send_header("Content-Length", "0")
        return self.end_headers()

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "60000")
        self.end_headers()
        while not self.release.wait(0.02):
            try:
                self.wfile.write(b"x")
            except OSError:
                return

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    handler = type("Handler", (Answers,), {"asked": [], "release": threading.Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        handler.release.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


def probed(url: str, timeout_s: float = 5.0) -> tuple[bool, int, int]:
    """What one probe says, and what it records: total and failed."""
    recorder = Recorder()
    answer = Prober(url, recorder, SystemClock(), timeout_s=timeout_s).probe_once()
    counts = Counts.of(recorder.drain()[SERIES])
    return answer, counts.total, counts.failed


@pytest.mark.parametrize(
    ("status", "is_up"),
    [(200, True), (204, True), (299, True), (301, False), (307, False), (404, False), (429, False), (500, False), (503, False)],
)
def test_only_a_2xx_is_up_and_no_redirect_is_followed(server: ThreadingHTTPServer, status: int, is_up: bool) -> None:
    """S4."""
    assert probed(f"http://127.0.0.1:{server.server_port}/{status}") == (is_up, 1, 0 if is_up else 1)
    assert server.RequestHandlerClass.asked == [f"/{status}"]  # type: ignore[attr-defined]


def test_a_refused_connection_is_a_failure() -> None:
    """S4."""
    assert probed(f"http://127.0.0.1:{free_port()}/livez") == (False, 1, 1)


def test_a_port_that_accepts_and_says_nothing_is_a_failure() -> None:
    """S4: a hung service is down, although its socket still listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert probed(f"http://127.0.0.1:{listener.getsockname()[1]}/livez", timeout_s=0.2) == (False, 1, 1)


def test_an_answer_that_drips_is_a_failure(server: ThreadingHTTPServer) -> None:
    """S4: each byte resets a socket's timeout; the probe's own deadline holds."""
    assert probed(f"http://127.0.0.1:{server.server_port}/drip", timeout_s=0.2) == (False, 1, 1)


def test_what_is_not_http_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def say_nonsense() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"220 mail ready\r\n")

        thread = threading.Thread(target=say_nonsense)
        thread.start()
        assert probed(f"http://127.0.0.1:{listener.getsockname()[1]}/livez") == (False, 1, 1)
        thread.join()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1/", "http:///livez"])
def test_a_url_that_cannot_be_probed_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="expected an http"):
        Prober(url, Recorder(), SystemClock())


def test_probes_go_on_until_stopped(server: ThreadingHTTPServer) -> None:
    """S4."""
    recorder = Recorder()
    prober = Prober(f"http://127.0.0.1:{server.server_port}/200", recorder, SystemClock(), period_s=0.02)
    stop = threading.Event()
    thread = threading.Thread(target=prober.run, args=(stop,))
    thread.start()
    asked: list[str] = server.RequestHandlerClass.asked  # type: ignore[attr-defined]
    eventually(lambda: len(asked) >= 3)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert Counts.of(recorder.drain()[SERIES]).total >= 3


class NoWait(threading.Event):
    """Records the waits it is asked for, and ends after some of them."""

    def __init__(self, ends_after: int) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._ends_after = ends_after

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        if len(self.waits) >= self._ends_after:
            self.set()
        return self.is_set()


def test_waits_vary_and_are_never_longer_than_the_period() -> None:
    """S4: at least every 15 s."""
    stop = NoWait(ends_after=20)
    Prober(f"http://127.0.0.1:{free_port()}/", Recorder(), SystemClock(), period_s=15.0).run(stop)
    assert len(stop.waits) == 20
    assert all(10.0 <= wait <= 15.0 for wait in stop.waits)
    assert len(set(stop.waits)) > 1
