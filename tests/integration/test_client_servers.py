"""The client in real servers' processes: what their workers served is what the store holds, and no request hears of the store (spec S1)."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.conftest import Valkey, free_port
from tests.waiting import eventually

from levqor.client.flush import PREFIX, connect
from levqor.client.recorder import Series
from levqor.store.telemetry import Telemetry

ROOT = Path(__file__).resolve().parents[2]
APPS = "tests.integration.client_apps"
REQUESTS = 300


class Server:
    """A server's process with its workers, in a group of its own."""

    def __init__(self, folder: Path, store_url: str | None) -> None:
        self.port = free_port()
        self.log = folder / "server.log"
        self._environment = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "LEVQOR_REDIS_URL")}
        self._environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}
        if store_url is not None:
            self._environment["LEVQOR_REDIS_URL"] = store_url
        self.process: subprocess.Popen[bytes] | None = None

    def gunicorn(self, app: str, *options: str) -> None:
        self._start(
            "-m", "gunicorn", f"{APPS}:{app}()", "-b", f"127.0.0.1:{self.port}", "--no-control-socket", "--log-level", "info", *options
        )

    def uvicorn(self, app: str, *options: str) -> None:
        self._start("-m", "uvicorn", f"{APPS}:{app}", "--factory", "--port", str(self.port), *options)

    def _start(self, *arguments: str) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        eventually(self._listens, within_s=20, what=f"the server ({self.log.read_text()})")

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def get(self, path: str = "/items/1") -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200, (answer.status, self.log.read_text())
            return answer.read().decode()
        finally:
            connection.close()

    def get_many(self, n: int = REQUESTS) -> Counter[str]:
        """What the answers were: the ids of the processes that served."""
        with ThreadPoolExecutor(8) as threads:
            return Counter(threads.map(lambda _: self.get(), range(n)))

    def stop(self) -> int:
        """The graceful end: the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(20)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


@pytest.fixture
def server(tmp_path: Path, store_url: str) -> Iterator[Server]:
    server = Server(tmp_path, store_url)
    yield server
    server.end()


def stored(url: str) -> dict[Series, int]:
    with connect(url) as client:
        return {series: counts.total for series, counts in Telemetry(client).totals().histograms.items()}


def writers(url: str) -> int:
    with connect(url) as client:
        return int(client.zcard(f"{PREFIX}writers:http"))


FLASK: Series = ("http", "service", "GET", "/items/<int:item>")
DJANGO: Series = ("http", "service", "GET", "/items/<int:item>")
FASTAPI: Series = ("http", "service", "GET", "/items/{item}")


@pytest.mark.parametrize(
    ("app", "options"),
    [
        pytest.param("flask", ["--preload"], id="sync, preloaded"),
        pytest.param("flask", ["-k", "gthread", "--threads", "4"], id="gthread"),
        pytest.param("flask", ["-k", "gevent", "--preload"], id="gevent, preloaded"),
        pytest.param("warm", ["-k", "gevent", "--preload"], id="gevent, preloaded by a master that served"),
        pytest.param("flask", ["--max-requests", "40"], id="workers that end after 40 requests"),
        pytest.param("django_wsgi", [], id="Django"),
    ],
)
def test_every_request_of_every_gunicorn_worker_is_counted(server: Server, store_url: str, app: str, options: list[str]) -> None:
    server.gunicorn(app, "-w", "2", *options)
    pids = server.get_many()
    eventually(lambda: len(pids) > 1 or pids.update(server.get_many(20)), what="both workers serve")
    assert server.stop() == 0, server.log.read_text()
    assert stored(store_url) == {FLASK: pids.total() + (app == "warm")}, server.log.read_text()
    assert writers(store_url) == 0, "all have signed off: their silence is no news"
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(
    ("app", "series", "options"),
    [
        pytest.param("fastapi", FASTAPI, ["--workers", "2"], id="FastAPI, two workers"),
        pytest.param("django_asgi", DJANGO, ["--workers", "2"], id="Django, which knows no lifespan"),
    ],
)
def test_every_request_of_every_uvicorn_worker_is_counted(
    server: Server, store_url: str, app: str, series: Series, options: list[str]
) -> None:
    server.uvicorn(app, *options)
    server.get_many()
    server.stop()
    assert stored(store_url) == {series: REQUESTS}, server.log.read_text()
    assert writers(store_url) == 0


def test_with_preload_no_thread_of_ours_lives_in_the_master(server: Server) -> None:
    server.gunicorn("flask", "-w", "2", "--preload")
    server.get_many(20)
    assert server.process is not None
    assert len(os.listdir(f"/proc/{server.process.pid}/task")) == 1  # noqa: PTH208 (a count of threads)


def test_a_child_forked_after_the_first_request_counts_its_own(server: Server, store_url: str) -> None:
    server.gunicorn("forking", "-w", "1")
    server.get()
    server.get("/fork")
    server.get("/fork")
    server.stop()
    assert stored(store_url) == {FLASK: 3, ("http", "service", "GET", "/fork"): 2}


def test_a_client_that_leaves_in_mid_answer_is_counted_and_no_failure(server: Server, store_url: str) -> None:
    server.gunicorn("slow_start", "-w", "1")
    with socket.create_connection(("127.0.0.1", server.port), 10) as leaving:
        leaving.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert leaving.recv(1000)
    server.get()
    server.stop()
    with connect(store_url) as client:
        (counts,) = Telemetry(client).totals().histograms.values()
    assert (counts.total, counts.failed) == (2, 0)


@pytest.mark.parametrize(
    ("worker", "does_end_first"),
    [
        pytest.param("sync", False, id="sync, and gets its counts later"),
        pytest.param("gevent", False, id="gevent, and gets its counts later"),
        pytest.param("sync", True, id="sync, not even at the worker's end"),
        pytest.param("gevent", True, id="gevent, not even at the worker's end"),
    ],
)
def test_a_store_that_hangs_is_not_heard_of(tmp_path: Path, valkey: Valkey, worker: str, does_end_first: bool) -> None:
    """P5: requests are served, one line is said, and a worker's end waits for a moment at most."""
    server = Server(tmp_path, valkey.url)
    try:
        server.gunicorn("flask", "-w", "1", "-k", worker)
        valkey.pause()
        server.get_many(100)
        eventually(lambda: "telemetry does not reach its store (TimeoutError)" in server.log.read_text(), within_s=20, what="the one line")
        server.get_many(100)
        if does_end_first:
            assert server.stop() == 0
        valkey.resume()
        server.stop()
        assert stored(valkey.url) == ({} if does_end_first else {FLASK: 200})
        assert "Traceback" not in server.log.read_text()
    finally:
        valkey.resume()
        server.end()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param(None, "set LEVQOR_REDIS_URL or REDIS_URL", id="none"),
        pytest.param("htp://x:secret@nowhere", "ValueError", id="no store's"),
        pytest.param("redis://:secret@127.0.0.1:1/0", "ConnectionRefusedError", id="nobody there"),
    ],
)
def test_a_store_url_that_is_wrong_costs_one_line(tmp_path: Path, url: str | None, said: str) -> None:
    """X2: without the URL, which may hold a password."""
    server = Server(tmp_path, url)
    try:
        server.gunicorn("flask", "-w", "1")
        server.get_many(20)
        eventually(lambda: said in server.log.read_text(), within_s=20, what=said)
        assert server.stop() == 0
        log = server.log.read_text()
        assert log.count(said) == 1
        assert "secret" not in log
        assert "Traceback" not in log
    finally:
        server.end()
