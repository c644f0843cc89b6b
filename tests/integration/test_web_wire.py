"""The served application on a real socket: slow, large, cut and repeated requests (spec E4), and its end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tests.unit.web.fakes import Installation, installation
from tests.waiting import eventually

from levqor.domain.errors import StoreDown, UsageError
from levqor.web.app import create_app
from levqor.web.server import listen, serve

MEGABYTE = b"x" * 1_000_000


@dataclass
class Served:
    """A server in a thread of its own."""

    installation: Installation
    port: int
    stop: threading.Event
    thread: threading.Thread

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def end(self) -> None:
        self.stop.set()
        self.thread.join(30)
        assert not self.thread.is_alive()


def started(given: Installation) -> Served:
    listener = listen("127.0.0.1", 0)
    port, stop = listener.getsockname()[1], threading.Event()
    options = {"fd": listener.detach(), "stop": stop}
    thread = threading.Thread(target=serve, args=(create_app(given.services), given.services.settings), kwargs=options)
    thread.start()
    eventually(lambda: is_alive(port), what="the server")
    return Served(given, port, stop, thread)


def is_alive(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def served() -> Iterator[Served]:
    server = started(installation(head_timeout_s=1, body_timeout_s=1, body_max_bytes=1_000_000, header_max_bytes=4096))
    yield server
    server.end()


def heard(connection: socket.socket) -> bytes:
    """All that the server says until it closes."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def one_answer(connection: socket.socket) -> bytes:
    """The next answer on a connection that is kept."""
    answer = b""
    while not re.search(rb"\r\n\r\n{.*}$", answer):
        part = connection.recv(65_536)
        assert part, "closed early"
        answer += part
    return answer


def waiting_for(gate: threading.Event, at_most_s: float) -> Callable[[], None]:
    """What a handler does while its store hangs."""

    def wait() -> None:
        gate.wait(at_most_s)

    return wait


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def problem_of(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head.lower()
    problem: dict[str, Any] = json.loads(body)
    return problem


class TestHead:
    """E4: a request's head arrives within its time and size."""

    def test_a_head_that_never_ends_gets_408_and_the_connection_closes(self, served: Served) -> None:
        with served.connect() as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
            answer = heard(connection)
        assert status_of(answer) == 408
        assert problem_of(answer)["status"] == 408

    def test_drops_of_a_head_do_not_extend_its_time(self, served: Served) -> None:
        pause = threading.Event()
        with served.connect() as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
            connection.settimeout(0.2)
            answer = b""
            for number in range(100):
                try:
                    answer = connection.recv(65_536)
                    break
                except TimeoutError:
                    connection.sendall(f"X-Drop-{number}: 1\r\n".encode())
                    pause.wait(0.01)
        assert status_of(answer) == 408

    def test_the_second_head_has_its_own_time(self, served: Served) -> None:
        """From its first byte; a kept connection that says nothing is not asked to hurry."""
        pause = threading.Event()
        with served.connect() as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert status_of(one_answer(connection)) == 200
            pause.wait(1.5)
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /li")
            assert status_of(one_answer(connection)) == 200
            assert status_of(heard(connection)) == 408

    def test_a_request_that_works_longer_than_a_head_may_take_is_left_alone(self, served: Served) -> None:
        gate = threading.Event()
        served.installation.operations.before = waiting_for(gate, 1.5)
        assert httpx.get(f"{served.url}/status", timeout=20).status_code == 200
        gate.set()

    @pytest.mark.parametrize(
        "head",
        [
            pytest.param(b"X-Long: " + b"a" * 5_000 + b"\r\n\r\n", id="one long line"),
            pytest.param(b"".join(b"X-%d: %s\r\n" % (number, b"a" * 50) for number in range(100)) + b"\r\n", id="many lines"),
            pytest.param(b"X-Long: " + b"a" * 100_000, id="never ending"),
        ],
    )
    def test_a_large_head_is_431(self, served: Served, head: bytes) -> None:
        with served.connect() as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + head)
            answer = heard(connection)
        assert status_of(answer) == 431
        assert problem_of(answer)["status"] == 431

    @pytest.mark.parametrize("nonsense", [b"nonsense\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\x00\x00", b"GET /livez HTTP/1.1\r\n\r\n"])
    def test_what_is_no_http_is_400(self, served: Served, nonsense: bytes) -> None:
        with served.connect() as connection:
            connection.sendall(nonsense + b"\r\n\r\n")
            assert problem_of(heard(connection))["status"] == 400

    def test_connections_are_kept(self, served: Served) -> None:
        with httpx.Client(base_url=served.url) as client:
            for _ in range(3):
                assert client.get("/livez").status_code == 200
                assert client.post("/api/v1/intake", json={"handler": "sleep"}).status_code == 202
        with served.connect() as connection:
            connection.sendall(
                b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + b"HEAD /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            assert heard(connection).count(b"HTTP/1.1 200") == 4


class TestBody:
    """E4: a body arrives within its time and size, whether or not it says its length."""

    HEAD = b"POST /api/v1/intake HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

    def test_an_endless_chunked_body_is_cut_early(self, served: Served) -> None:
        process = psutil.Process()
        before, sent = process.memory_info().rss, 0
        with served.connect() as connection:
            connection.sendall(self.HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            try:
                for _ in range(300):
                    connection.sendall(b"F4240\r\n" + MEGABYTE + b"\r\n")
                    sent += 1
                answer = heard(connection)
            except (BrokenPipeError, ConnectionResetError):
                answer = b""
        # Whoever goes on sending for longer than the server listens may lose the answer, but never fills its memory.
        assert not answer or status_of(answer) == 413
        assert process.memory_info().rss - before < 100_000_000
        assert served.installation.engine.jobs == {}

    def test_who_stops_after_too_much_hears_413(self, served: Served) -> None:
        with served.connect() as connection:
            connection.sendall(self.HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"F4240\r\n" + MEGABYTE + b"\r\n") * 3)
            answer = heard(connection)
        assert problem_of(answer)["status"] == 413

    def test_a_body_too_large_by_its_length_is_413_before_it_comes(self, served: Served) -> None:
        with served.connect() as connection:
            connection.sendall(self.HEAD + b"Content-Length: 1000001\r\nExpect: 100-continue\r\n\r\n")
            answer = heard(connection)
        assert b"100 Continue" not in answer
        assert problem_of(answer)["status"] == 413

    @pytest.mark.parametrize("length", [b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"])
    def test_a_slow_body_is_408(self, served: Served, length: bytes) -> None:
        with served.connect() as connection:
            connection.sendall(self.HEAD + length)
            assert problem_of(heard(connection))["status"] == 408

    def test_a_refused_request_hears_why_though_its_body_is_on_the_way(self, served: Served) -> None:
        """401 before the body: the connection is not reset under the answer."""
        with served.connect() as connection:
            head = b"POST /ops/scale HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n"
            connection.sendall(head + b"x" * 500_000)
            assert problem_of(heard(connection))["status"] == 401

    def test_a_proper_body_of_just_the_limit_passes(self, served: Served) -> None:
        body = b'{"handler": "sleep"}'.ljust(1_000_000)
        answer = httpx.post(f"{served.url}/api/v1/intake", content=body, headers={"content-type": "application/json"}, timeout=20)
        assert answer.status_code == 202


def test_liveness_answers_while_every_handler_hangs_on_the_store(served: Served) -> None:
    """E3: 40 requests wait for a store that hangs; the process still says that it lives."""
    gate = threading.Event()
    served.installation.operations.before = waiting_for(gate, 30)
    connections = [served.connect() for _ in range(40)]
    try:
        for connection in connections:
            connection.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        for path in ("/livez", "/health", "/healthz"):
            assert httpx.get(served.url + path, timeout=10).status_code == 200
    finally:
        gate.set()
        assert all(b"200 OK" in heard(connection) for connection in connections)
        for connection in connections:
            connection.close()


def test_no_header_of_a_proxy_makes_a_caller_somebody_else(served: Served) -> None:
    """X0b: what passes through a proxy on this machine is not this machine's own."""
    assert httpx.get(f"{served.url}/status").status_code == 200
    for header in ({"X-Forwarded-For": "127.0.0.1"}, {"Host": "evil.example"}, {"Forwarded": "for=127.0.0.1"}):
        assert httpx.get(f"{served.url}/status", headers=header).status_code == 401


def test_an_unexpected_error_leaves_the_connection_usable(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """X3: the caller learns nothing; the log has it all."""
    served.installation.operations.error = RuntimeError("p4ssword")
    with httpx.Client(base_url=served.url) as client:
        answer = client.get("/status?query=s3cret")
        assert answer.status_code == 500
        assert "p4ssword" not in answer.text
        assert client.get("/livez").status_code == 200
    (record,) = [record for record in caplog.records if record.name == "levqor.web"]
    assert record.exc_info is not None
    assert "s3cret" not in f"{record.__dict__}"


def test_hooks_run_around_the_service_and_a_request_at_work_is_finished() -> None:
    given = installation()
    told: list[str] = []
    fields = {name: getattr(given.services, name) for name in type(given.services).__slots__}
    fields |= {"on_start": lambda: told.append("start"), "on_stop": lambda: told.append("stop")}
    given.services = type(given.services)(**fields)
    server = started(given)
    assert told == ["start"]
    at_work, gate = threading.Event(), threading.Event()

    def work() -> None:
        at_work.set()
        gate.wait(30)

    given.operations.before = work
    with server.connect() as connection:
        connection.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert at_work.wait(10)
        server.stop.set()
        gate.set()
        assert b"200 OK" in heard(connection)
    server.end()
    assert told == ["start", "stop"]


def test_a_request_that_never_ends_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("levqor.web.server.GRACE_S", 1)
    given = installation()
    server = started(given)
    at_work, gate = threading.Event(), threading.Event()

    def hang() -> None:
        at_work.set()
        gate.wait(50)

    given.operations.before = hang
    with server.connect() as connection:
        connection.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert at_work.wait(10)
        server.end()
    assert not gate.is_set()
    gate.set()


def test_a_start_that_fails_ends_the_server() -> None:
    given = installation()

    def fail() -> None:
        raise StoreDown("the store does not answer")

    fields = {name: getattr(given.services, name) for name in type(given.services).__slots__}
    given.services = type(given.services)(**(fields | {"on_start": fail}))
    with pytest.raises(SystemExit):
        serve(create_app(given.services), given.services.settings, fd=listen("127.0.0.1", 0).detach())


def test_a_busy_port_is_one_clear_line() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(UsageError, match=r"127\.0\.0\.1 port \d+: Address already in use"):
        listen("127.0.0.1", listener.getsockname()[1])
    with pytest.raises(UsageError, match=r"cannot listen on no\.such\.host\.invalid"):
        listen("no.such.host.invalid", 0)


PROGRAM = """
import sys
from levqor.web.app import create_app
from levqor.web.server import serve
from tests.unit.web.fakes import installation
given = installation()
serve(create_app(given.services), given.services.settings, fd=int(sys.argv[1]))
print("closed in order")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_seconds_though_somebody_holds_on(number: signal.Signals) -> None:
    """A kept connection and one in the middle of a head do not hold up the end; what follows `serve` still runs."""
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
    try:
        eventually(lambda: is_alive(port), within_s=20, what="the server")
        with (
            httpx.Client(base_url=f"http://127.0.0.1:{port}") as kept,
            socket.create_connection(("127.0.0.1", port)) as half,
        ):
            kept.get("/livez")
            half.sendall(b"GET /liv")
            os.kill(process.pid, number)
            output, _ = process.communicate(timeout=15)
    finally:
        process.kill()
        process.wait(10)
    assert (process.returncode, output) == (0, b"closed in order\n")
