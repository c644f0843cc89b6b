"""The running service: start, idle cost, `dryrun` under load, and a spike of jobs from the first to the new worker's first job."""

import asyncio
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
READY_LIMIT_S = 5.0
PSS_LIMIT_MB = 250.0
CPU_LIMIT_PERCENT = 3.0
DRYRUN_P99_LIMIT_MS = 25.0
DRYRUN_RATE = 100
DRYRUN_SECONDS = 15
CONNECTIONS = 20
TARGET_LIMIT_S = 5.0
JOB_LIMIT_S = 5.0
SPIKE_JOBS = 200
IDLE_S = 30.0


class Service:
    """`levqor up` in a scratch folder."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.folder, self.url = folder, f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Seconds until /readyz answers 200."""
        places = {f"LEVQOR_{name.upper()}": str(self.folder / name) for name in ("data", "logs")}
        environment = {**os.environ, **places, "LEVQOR_FLAGS": str(self.folder / "flags.json"), "LEVQOR_PORT": str(self.port)}
        started = time.monotonic()
        self.process = subprocess.Popen([sys.executable, str(ROOT / "run.py")], env=environment, stdout=subprocess.DEVNULL)
        wait_for(lambda: self.answers("/readyz"), 30)
        return time.monotonic() - started

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self.url + path, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict[str, Any], method: str = "POST") -> Any:
        token = (self.folder / "data" / "admin_token").read_text(encoding="ascii").strip()
        headers = {"Content-Type": "application/json", "X-ADMIN-TOKEN": token}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def processes(self) -> list[psutil.Process]:
        """Everything but the workers."""
        assert self.process is not None
        root = psutil.Process(self.process.pid)
        return [found for found in (root, *root.children(recursive=True)) if "levqor.client.rq" not in " ".join(found.cmdline())]


def wait_for(condition: Callable[[], bool], within_s: float) -> float:
    """Seconds until it came true."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > within_s:
            raise TimeoutError(f"not within {within_s} s")
        time.sleep(0.05)
    return time.monotonic() - started


def idle_cost(service: Service) -> tuple[float, float]:
    """Memory (PSS, MB) and processor share (per cent of one core) of all but the workers."""
    found = service.processes()

    def spent() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in found)

    before, since = spent(), time.monotonic()
    time.sleep(IDLE_S)
    share = (spent() - before) / (time.monotonic() - since) * 100
    return sum(process.memory_full_info().pss for process in found) / 1e6, share


async def timed_requests(port: int, path: str) -> list[float]:
    """An open loop at DRYRUN_RATE a second over kept connections: latencies in ms, counted from when each request was due."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    connections: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        connections.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    start = time.perf_counter()

    async def one(number: int) -> float:
        due = start + number / DRYRUN_RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        reader, writer = await connections.get()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path} answered {head[:40]!r}")
        await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head.lower())[0]))
        connections.put_nowait((reader, writer))
        return (time.perf_counter() - due) * 1000

    latencies = list(await asyncio.gather(*(one(number) for number in range(DRYRUN_RATE * DRYRUN_SECONDS))))
    while not connections.empty():
        connections.get_nowait()[1].close()
    return latencies


def spike(service: Service) -> tuple[float, float]:
    """Seconds from the first of 200 jobs to the moved target, and from there to the new worker's first job."""
    before = {worker["name"] for worker in service.get("/ops/queue_health")["workers"]}
    target = service.get("/status")["target"]
    started = time.monotonic()
    with httpx.Client(base_url=service.url) as client:
        for _ in range(SPIKE_JOBS):
            client.post("/api/v1/intake", json={"handler": "sleep", "payload": {"seconds": 1}}).raise_for_status()
    wait_for(lambda: service.get("/status")["target"] > target, 60)
    moved = time.monotonic() - started

    def new_worker_is_busy() -> bool:
        workers = service.get("/ops/queue_health")["workers"]
        return any(worker["name"] not in before and worker["job"] for worker in workers)

    return moved, wait_for(new_worker_is_busy, 60)


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def row(what: str, figure: float, limit: float, unit: str) -> bool:
    print(f"   {what:58} {figure:8.2f} {unit:5} at most {limit:g} {unit} {'' if figure <= limit else '  MISSED'}")
    return figure <= limit


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        service = Service(Path(name))
        first = service.start()
        service.stop()
        second = service.start()
        try:
            print(f"   first start, with migrations, until ready                  {first:8.2f} s")
            held = [row("second start until ready", second, READY_LIMIT_S, "s")]
            pss, share = idle_cost(service)
            held.append(row("idle memory beyond the workers (PSS)", pss, PSS_LIMIT_MB, "MB"))
            held.append(row("idle processor share of one core", share, CPU_LIMIT_PERCENT, "%"))
            dryrun = asyncio.run(timed_requests(service.port, "/ops/autoscale/dryrun"))
            livez = asyncio.run(timed_requests(service.port, "/livez"))
            held.append(row("dryrun P99 at 100 requests/s", p99(dryrun), DRYRUN_P99_LIMIT_MS, "ms"))
            print(f"   beside it: /livez P99 {p99(livez):.2f} ms; dryrun/livez at the median {median_ratio(dryrun, livez):.1f}x")
            service.post("/ops/flags/AUTOSCALE_ENABLED", {"value": True}, "PUT")
            moved, took = spike(service)
            held.append(row("spike of 200 one-second jobs: target moves after", moved, TARGET_LIMIT_S, "s"))
            held.append(row("the new worker takes a job after that within", took, JOB_LIMIT_S, "s"))
        finally:
            service.stop()
    return 0 if all(held) else 1


def median_ratio(ours: list[float], beside: list[float]) -> float:
    return statistics.median(ours) / statistics.median(beside)


if __name__ == "__main__":
    sys.exit(main())
