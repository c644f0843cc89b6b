"""Several web processes are one service to whoever measures it (spec S1, S2)."""

import contextlib
import http.client
import json
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator

import psutil
import pytest
from tests.drills.stack import Stack, exchange, report
from tests.waiting import eventually

from levqor.host import ProcessIdentity

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(120)]

FAST = 30
SLOW = 6
STOPPED_S = 0.5

Lines = dict[int, list[http.client.HTTPConnection]]


@pytest.fixture
def lines(stack: Stack) -> Iterator[Lines]:
    """Kept connections by the pid of the process that answers them, some to each."""
    pids = {stack.child(name).pid for name in ("web-1", "web-2")}
    found: Lines = defaultdict(list)
    with contextlib.ExitStack() as opened:

        def both() -> bool:
            connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)
            opened.callback(connection.close)
            exchange(connection, "GET", "/livez")
            found[pid_behind(connection, pids)].append(connection)
            return all(len(found[pid]) >= SLOW for pid in pids)

        eventually(both, 30, every_s=0.0, what="connections to both processes")
        yield found


def pid_behind(connection: http.client.HTTPConnection, pids: set[int]) -> int:
    """Who holds the other end."""
    own = connection.sock.getsockname()[1]
    return next(pid for pid in pids for end in psutil.Process(pid).net_connections("tcp") if end.raddr and end.raddr.port == own)


def stop_in_the_middle(stack: Stack, slow: list[http.client.HTTPConnection], process: ProcessIdentity) -> None:
    """Requests that the process has begun when it is stopped for a while, and that it then answers."""
    body = json.dumps(stack.job("slow", 0)).encode()
    for connection in slow:
        connection.putrequest("POST", "/api/v1/intake")
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Expect", "100-continue")):
            connection.putheader(name, value)
        connection.endheaders()
        # "100 Continue" comes when the app asks for the body: from here on the request is being measured.
        assert connection.sock.recv(1000).startswith(b"HTTP/1.1 100")
    os.kill(process.pid, signal.SIGSTOP)
    threading.Timer(STOPPED_S, os.kill, (process.pid, signal.SIGCONT)).start()
    for connection in slow:
        connection.send(body)
    for connection in slow:
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 202


@pytest.mark.parametrize("stack", [{"WEB_WORKERS": "2", "PROBE_PERIOD_S": "5"}], indirect=True)
def test_one_slow_process_shows_in_what_each_of_them_says(stack: Stack, lines: Lines) -> None:
    slow, fast = stack.child("web-1"), stack.child("web-2")
    stop_in_the_middle(stack, lines[slow.pid][:SLOW], slow)
    for _ in range(FAST):
        assert exchange(lines[fast.pid][0], "GET", "/api/v1/status/nobody").status == 404

    def told(pid: int) -> dict[str, float | None]:
        signals = exchange(lines[pid][0], "GET", "/status").json["signals"]
        return {name: signals[name]["value"] for name in ("requests", "slow_requests", "p50_ms", "p95_ms", "p99_ms")}

    eventually(lambda: told(slow.pid)["requests"] == SLOW + FAST, 20, what="all requests in the window")
    eventually(lambda: told(slow.pid) == told(fast.pid), 10, what="one answer from both")
    both = told(slow.pid)
    report(str(both))
    assert both["requests"] == SLOW + FAST
    assert both["p95_ms"] is not None
    assert both["p50_ms"] is not None
    assert both["p95_ms"] >= STOPPED_S * 1000 * 0.9, "the slow process is in it"
    assert both["p50_ms"] < STOPPED_S * 1000, "and so is the fast one"
