"""Events a second over HTTP in batches of 10,000, on SQLite: the running service beside a bare FastAPI route that only inserts."""

import gzip
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from bench.service import Service, wait_for

BATCH = 10_000
BATCHES = 20
USERS = 50_000
SEED = 20_261_122
LIMIT_EVENTS_PER_S = 20_000
EVENTS = "/api/v1/events"

PEER = """
import sqlite3, sys, threading
import uvicorn
from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool

database = sqlite3.connect(sys.argv[1], check_same_thread=False, isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.execute("PRAGMA synchronous=FULL")
database.execute("CREATE TABLE events (id TEXT, user_id TEXT, ts TEXT, kind TEXT)")
lock = threading.Lock()
app = FastAPI()


def insert(events):
    with lock:
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", [(e["id"], e["user_id"], e["ts"], e["kind"]) for e in events])
        database.execute("COMMIT")


@app.post("/api/v1/events")
async def take(request: Request):
    events = (await request.json())["events"]
    await run_in_threadpool(insert, events)
    return {"accepted": len(events)}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), loop="asyncio", http="h11", log_level="warning")
"""
"""No validation, no exactly-once, no counting: the least that any service in Python does to keep what it is sent."""


def batches(days: int, count: int, seed: int) -> Iterator[list[dict[str, str]]]:
    """Events of the last `days` days, by people of whom few are very active."""
    dice, now = random.Random(seed), datetime.now(UTC)
    for _ in range(count):
        yield [
            {
                "id": str(uuid.UUID(int=dice.getrandbits(128), version=4)),
                "user_id": f"user-{min(USERS, int(dice.paretovariate(0.6)))}-{dice.randrange(8)}",
                "ts": (now - timedelta(seconds=dice.random() * days * 86_400)).isoformat(timespec="milliseconds"),
                "kind": "view",
            }
            for _ in range(BATCH)
        ]


def as_json(events: list[dict[str, str]]) -> tuple[bytes, dict[str, str]]:
    return json.dumps({"events": events}).encode(), {"Content-Type": "application/json"}


def as_packed_lines(events: list[dict[str, str]]) -> tuple[bytes, dict[str, str]]:
    lines = "\n".join(json.dumps(event) for event in events).encode()
    return gzip.compress(lines, 6), {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}


def events_per_s(url: str, requests: list[tuple[bytes, dict[str, str]]]) -> float:
    """One connection, one batch after the other; each is answered after its commit."""
    with httpx.Client(base_url=url, timeout=60) as client:
        started = time.perf_counter()
        for body, headers in requests:
            answer = client.post(EVENTS, content=body, headers=headers).raise_for_status().json()
            if answer["accepted"] != BATCH:
                raise RuntimeError(f"only {answer['accepted']} of {BATCH} were taken")
        return len(requests) * BATCH / (time.perf_counter() - started)


@contextmanager
def peer(folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen([sys.executable, "-c", PEER, str(folder / "peer.db"), str(port)])

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for(answers, 20)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def main() -> int:
    live = [list(batches(1, BATCHES, SEED + turn)) for turn in range(3)]
    past = list(batches(60, BATCHES, SEED + 3))
    with tempfile.TemporaryDirectory() as name:
        with peer(Path(name)) as url:
            bare = events_per_s(url, [as_json(events) for events in live[0]])
        service = Service(Path(name) / "levqor")
        service.start()
        try:
            figures = {
                "JSON, events of the last day": events_per_s(service.url, [as_json(events) for events in live[1]]),
                "gzip NDJSON, events of the last day": events_per_s(service.url, [as_packed_lines(events) for events in live[2]]),
                "JSON, events of the last 60 days": events_per_s(service.url, [as_json(events) for events in past]),
            }
        finally:
            service.stop()
    print(f"   {'batches of 10,000 on SQLite, one connection':56}{'events/s':>10}{'of the bare route':>20}")
    print(f"   {'bare FastAPI route: inserts and commits, no more':56}{bare:>10,.0f}{1:>20.2f}")
    for what, figure in figures.items():
        missed = "" if figure >= LIMIT_EVENTS_PER_S else f"   MISSED {LIMIT_EVENTS_PER_S:,}"
        print(f"   {what:56}{figure:>10,.0f}{figure / bare:>20.2f}{missed}")
    return 0 if min(figures.values()) >= LIMIT_EVENTS_PER_S else 1


if __name__ == "__main__":
    sys.exit(main())
