"""An engine on a real Valkey, and real worker processes."""

import contextlib
import itertools
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from tests.contract import witness
from tests.waiting import eventually

from levqor.engines.rq import JobStatus, RqEngine
from levqor.host import SystemClock

ROOT = Path(__file__).parents[2]
HANDLERS = {name: f"tests.contract.witness:{name}" for name in ("note", "die", "slip_away", "stubborn", "leave", "shell")}


@dataclass
class WorkerProcess:
    """A worker in a process group of its own, as a supervisor starts it."""

    name: str
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    def children(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in children.read_text(encoding="ascii").split()] if children.exists() else []

    def send(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(10)


@dataclass
class Stage:
    """A broker, an engine on it, and the workers that a test starts."""

    url: str
    folder: Path
    engine: RqEngine
    outcomes: list[tuple[str, ...]]
    started: list[WorkerProcess] = field(default_factory=list)

    @property
    def witness(self) -> Path:
        return self.folder / "witness"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def begun(self) -> list[str]:
        return witness.words(self.witness, "begin")

    def ended(self) -> list[str]:
        return witness.words(self.witness, "end")

    def submit(self, handler: str, payload: dict[str, Any] | None = None, queue: str = "default", **options: Any) -> str:
        job_id = str(options.pop("job_id", uuid4().hex))
        chosen: dict[str, Any] = {"max_attempts": 3, "backoff": [0.1, 0.1], "timeout_s": 30.0, "keep_s": 600.0, **options}
        self.engine.submit(job_id, handler, payload or {}, queue, **chosen)
        return job_id

    def note(self, word: str, seconds: float = 0.0, **options: Any) -> str:
        return self.submit("note", {"path": str(self.witness), "word": word, "seconds": seconds}, **options)

    def child_of(self, worker: WorkerProcess) -> int:
        """The process that runs the job, once the job has begun."""
        eventually(lambda: self.begun() and worker.children())
        return worker.children()[0]

    def worker(self, queues: Sequence[str] = ("default",), await_start: bool = True) -> WorkerProcess:
        name = f"worker-{len(self.started)}-{uuid4().hex[:6]}"
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self.engine.worker_command(name, queues),
                cwd=ROOT,
                env={**os.environ, "LEVQOR_REDIS_URL": self.url},
                start_new_session=True,
                stdout=log,
                stderr=log,
            )
        worker = WorkerProcess(name, process)
        self.started.append(worker)
        if await_start:
            eventually(lambda: any(known.name == name for known in self.engine.workers()), what="the worker")
        return worker

    def status(self, job_id: str) -> JobStatus:
        job = self.engine.job(job_id)
        assert job is not None
        return job

    def until(self, job_id: str, status: str, within_s: float = 15.0) -> JobStatus:
        """The job once it has the status; retries that become due are promoted, as the agent does."""

        def reached() -> bool:
            self.engine.promote_due(["default"])
            return self.status(job_id).status == status

        eventually(reached, within_s=within_s, what=f"{status}, now {self.status(job_id)}")
        return self.status(job_id)

    def commands(self, act: Callable[[], object], from_scripts: bool = True) -> list[str]:
        """The commands that the broker sees while something is done."""
        with self.client as watcher, self.client as client, watcher.monitor() as monitor:
            client.ping()
            act()
            client.echo("that was all")
            seen = list(itertools.takewhile(lambda each: not each["command"].startswith("ECHO"), monitor.listen()))
        after = next(at for at, each in enumerate(seen) if each["command"] == "PING") + 1
        return [each["command"].split()[0].upper() for each in seen[after:] if from_scripts or each["client_type"] != "lua"]

    def close(self) -> None:
        for worker in self.started:
            worker.kill_group()
        self.engine.close()


def _stage(url: str, folder: Path) -> Stage:
    outcomes: list[tuple[str, ...]] = []
    return Stage(url, folder, RqEngine(url, clock=SystemClock(), handlers=HANDLERS, on_outcome=outcomes.append), outcomes)


@pytest.fixture
def stage(store_url: str, tmp_path: Path) -> Iterator[Stage]:
    """On the shared broker, emptied."""
    stage = _stage(store_url, tmp_path)
    yield stage
    stage.close()


@pytest.fixture
def stage_on() -> Iterator[Callable[[str, Path], Stage]]:
    """On a broker of the test's own."""
    stages: list[Stage] = []

    def make(url: str, folder: Path) -> Stage:
        stages.append(_stage(url, folder))
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()
