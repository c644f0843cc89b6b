"""Where a drill plays: a running service, its processes, a witness's file, and what the drill may ask and do."""

import json
import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import redis

from levqor.lab.receiver import Receiver
from levqor.lab.team import Team
from levqor.lab.verdicts import Jobs
from levqor.lab.witness import Testimony, read_testimony
from levqor.ports import Clock

T = TypeVar("T")

ASK_TIMEOUT_S = 5.0
PATIENCE_S = 45.0
WORKER_MODULE = "levqor.client.rq"
SERVING = frozenset({"idle", "busy"})

Begin = Callable[[str, list[str], Mapping[str, str]], Any]
"""Begins a child of the scratch folder by name, command and environment; the answer has an `identity.pid`."""


@dataclass(slots=True)
class Stage:
    """One `levqor up` in its scratch folder."""

    url: str
    headers: dict[str, str]
    folder: Path
    clock: Clock
    receiver: Receiver
    begin: Begin
    app_port: int
    up_pid: int
    team: Team | None = None
    """Whose queue it is, where that is not Levqor's own."""
    outage_s: float = 20.0
    """How long drills that have something go away keep it away."""
    accepted: dict[str, str] = field(default_factory=dict)
    """Job ids of accepted jobs by the witness's word."""
    refused: int = 0
    _pause: threading.Event = field(default_factory=threading.Event)

    # Asking

    def get(self, path: str) -> dict[str, Any] | None:
        """The answer's document; None where nothing answers or the answer is no success."""
        try:
            answer = httpx.get(self.url + path, headers=self.headers, timeout=ASK_TIMEOUT_S, trust_env=False)
            document = answer.json() if answer.is_success else None
        except (httpx.HTTPError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def post(self, path: str, body: dict[str, Any], timeout_s: float = ASK_TIMEOUT_S) -> dict[str, Any] | None:
        try:
            answer = httpx.post(self.url + path, json=body, headers=self.headers, timeout=timeout_s, trust_env=False)
            document = answer.json() if answer.is_success else None
        except (httpx.HTTPError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def is_ready(self) -> bool:
        return (self.get("/readyz") or {}).get("ok") is True

    def target(self) -> int | None:
        return (self.get("/status") or {}).get("target")

    def workers(self) -> list[dict[str, Any]] | None:
        """As the service lists them; None: unknown."""
        return (self.get("/ops/queue_health") or {}).get("workers")

    def serving(self) -> frozenset[int]:
        """Process ids of the workers that serve; empty while that is unknown."""
        return frozenset(worker["pid"] for worker in self.workers() or [] if worker["state"] in SERVING)

    def steps(self) -> list[str]:
        """Applied moves of the target, the oldest first."""
        rows = (self.get("/ops/autoscale/decisions?limit=200") or {}).get("decisions") or []
        moved = [row.get("decision", row) | {"applied": row.get("applied")} for row in rows]
        return [f"{row['action']} {row['current']} -> {row['target']}" for row in reversed(moved) if row["applied"]]

    def episodes(self) -> list[dict[str, Any]]:
        """Open and closed ones, the oldest first."""
        return list(reversed((self.get("/ops/episodes?open_only=false") or {}).get("episodes") or []))

    def open_episodes(self) -> list[str]:
        return [episode["key"] for episode in self.episodes() if episode["closed_at"] is None]

    def opened_alerts(self) -> list[str]:
        """Alerts that arrived at the receiver and tell of something wrong."""
        return [message.line for message in self.receiver.arrived if message.kind not in ("resolved", "test", "reminder")]

    def incidents(self) -> list[dict[str, Any]]:
        """The oldest first, each with its recoveries and their steps."""
        rows = reversed((self.get("/ops/incidents") or {}).get("incidents") or [])
        return [self.get(f"/ops/incidents/{row['id']}") or row for row in rows]

    def recoveries(self) -> list[dict[str, Any]]:
        return [recovery for incident in self.incidents() for recovery in incident.get("recoveries") or []]

    def refusals(self) -> list[str]:
        """Which guards said no, from the file that outlives everything."""
        path = self.folder / "logs" / "incidents.log"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [found["refused"] for line in lines if (found := json.loads(line)).get("refused")]

    def actions(self) -> list[str]:
        """What was done: moves of the target, and the steps of recoveries."""
        return [*self.steps(), *map(_told, self.recoveries())]

    def store_url(self) -> str:
        place = self.folder / "data" / "store"
        password, port = ((place / name).read_text(encoding="ascii").strip() for name in ("password", "port"))
        return f"redis://:{password}@127.0.0.1:{port}/0"

    def store_pid(self) -> int | None:
        """The process that answers as the store; None: none does."""
        try:
            with redis.Redis.from_url(self.store_url(), socket_timeout=1, socket_connect_timeout=1) as client:
                return int(client.info("server")["process_id"])
        except redis.RedisError:
            return None

    # Waiting

    def pause(self, seconds: float) -> None:
        self._pause.wait(seconds)

    def find(self, question: Callable[[], T | None], within_s: float, every_s: float = 0.1) -> T | None:
        """The first answer there is; None: there was none in time."""
        deadline = self.clock.monotonic() + within_s
        while True:
            answer = question()
            if answer is not None or self.clock.monotonic() >= deadline:
                return answer
            self._pause.wait(every_s)

    def until(self, condition: Callable[[], object], within_s: float, every_s: float = 0.1) -> float | None:
        """Seconds until the condition came true; None: it did not in time."""
        begin = self.clock.monotonic()
        return self.find(lambda: self.clock.monotonic() - begin if condition() else None, within_s, every_s)

    # Jobs and their witness

    @property
    def witness(self) -> Path:
        return self.folder / "witness"

    def testimony(self) -> Testimony:
        return read_testimony(self.witness)

    def submit(self, handler: str = "witnessed", **payload: object) -> str | None:
        """One job of the witness's; its word if it was accepted."""
        if self.team is not None:
            word, job_id = self.team.enqueue(self.witness, float(str(payload.get("seconds", 0.0))))
            self.accepted[word] = job_id
            return word
        word = uuid.uuid4().hex
        answer = self.post("/api/v1/intake", {"handler": handler, "payload": {"path": str(self.witness), "word": word, **payload}})
        if answer is None or "job_id" not in answer:
            self.refused += 1
            return None
        self.accepted[word] = str(answer["job_id"])
        return word

    @contextmanager
    def stream(self, rate_per_s: float, seconds: float) -> Iterator[None]:
        """Jobs of this length, steadily, for as long as the block lasts."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(1 / rate_per_s):
                self.submit(seconds=seconds)

        thread = threading.Thread(target=run, name="jobs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(2 * ASK_TIMEOUT_S)

    def wait_for_jobs(self, patience_s: float = PATIENCE_S) -> Jobs:
        """Wait until the witness has seen every accepted job end and the queue is empty, so that a second run is seen too."""
        words = tuple(self.accepted)
        self.until(lambda: not self.testimony().lost(words), patience_s, 0.3)
        self.until(self._is_idle, ASK_TIMEOUT_S, 0.3)
        seen = self.testimony()
        return Jobs(len(words), seen.lost(words), seen.doubled(words), seen.cut)

    def _is_idle(self) -> bool:
        health = self.get("/ops/queue_health") or {}
        return health.get("depth") == 0 and health.get("running") == 0

    def ended_statuses(self) -> list[dict[str, Any]]:
        """What the service says of each accepted job, once it says that all have ended; {} where it does not know one."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = [self.get(f"/api/v1/status/{job_id}") or {} for job_id in self.accepted.values()]
            return all(status.get("status") in ("succeeded", "dead") for status in found)

        self.until(look, ASK_TIMEOUT_S, 0.5)
        return found

    # Faults

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """One process alone; that it has ended by itself meanwhile is no fault of the drill's."""
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return

    def kill_family(self, pid: int) -> None:
        """A process and all that descend from it."""
        try:
            members = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        except psutil.Error:
            return
        for member in members:
            self.kill(member)

    @contextmanager
    def killing_workers(self) -> Iterator[list[int]]:
        """Every worker is killed as soon as it is there, for as long as the block lasts; the list is of those killed."""
        stop, killed = threading.Event(), list[int]()

        def run() -> None:
            while not stop.wait(0.1):
                for pid in self._worker_processes():
                    self.kill_family(pid)
                    killed.append(pid)

        thread = threading.Thread(target=run, name="killing", daemon=True)
        thread.start()
        try:
            yield killed
        finally:
            stop.set()
            thread.join(ASK_TIMEOUT_S)

    def _worker_processes(self) -> list[int]:
        """The agent's children that are workers, known by their command line."""
        found = []
        for child in psutil.Process(self.up_pid).children():
            try:
                if WORKER_MODULE in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child.pid)
            except psutil.Error:
                continue
        return found

    # The sample app

    @property
    def app_url(self) -> str:
        return f"http://127.0.0.1:{self.app_port}"

    @property
    def app_pid_file(self) -> Path:
        return self.folder / "app.pid"

    def begin_app(self) -> bool:
        """The sample app as its own process, reporting to this service's store; True once it serves."""
        argv = [sys.executable, "-m", "levqor.lab.sample_app", "--port", str(self.app_port), "--pid-file", str(self.app_pid_file)]
        self.begin("app", argv, {"LEVQOR_REDIS_URL": self.store_url()})
        return self.until(lambda: self._app_answers("/readyz"), 20.0) is not None

    def switch_fault(self, **fault: float) -> None:
        httpx.post(f"{self.app_url}/fault", json=fault, timeout=ASK_TIMEOUT_S, trust_env=False).raise_for_status()

    def _app_answers(self, path: str) -> bool:
        try:
            return httpx.get(self.app_url + path, timeout=1.0, trust_env=False).is_success
        except httpx.HTTPError:
            return False


def _told(recovery: dict[str, Any]) -> str:
    steps = ", ".join(f"{step['name']} {step['status']}" for step in recovery["steps"])
    return f"recovery {recovery['id']} by {recovery['actor']}: {steps}; verified: {recovery['verified'] or 'not yet'}"
