"""A team with its own broker, its own version of RQ, and workers that know nothing of Levqor."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
INSTALLED = "3.0"
"""The venv's own; the others are beside it (`make test` puts them there)."""

VERSIONS = ("1.16", "2.12", INSTALLED)


@dataclass
class Team:
    """Everything is done by processes of that version. `environment` is theirs as well."""

    version: str
    url: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    @property
    def log(self) -> str:
        return (self.folder / "workers.log").read_text(encoding="utf-8")

    def do(self, what: str, orders: list[Any]) -> list[Any]:
        command = [sys.executable, str(ROOT / "tests/contract/team_rq.py"), self.url, what]
        done = subprocess.run(
            command, input=json.dumps(orders), capture_output=True, text=True, env=self._environment(), timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    def enqueue(self, *orders: dict[str, Any]) -> list[str]:
        return self.do("enqueue", list(orders))

    def fetch(self, *job_ids: str) -> list[dict[str, str]]:
        return self.do("fetch", list(job_ids))

    def begin_worker(self, *arguments: str, queues: tuple[str, ...] = ("default",)) -> subprocess.Popen[bytes]:
        """`rq worker` as a team starts it, in a process group of its own."""
        command = [sys.executable, "-m", "rq.cli", "worker", "--url", self.url, *arguments, *queues]
        with (self.folder / "workers.log").open("ab") as log:
            self.started.append(
                subprocess.Popen(command, cwd=ROOT, env=self._environment(), start_new_session=True, stdout=log, stderr=log)
            )
        return self.started[-1]

    def end(self, worker: subprocess.Popen[bytes]) -> None:
        """Worker and work horse, at once."""
        for pid in (*_children(worker.pid), worker.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        worker.wait(10)

    def close(self) -> None:
        for worker in self.started:
            self.end(worker)

    def status(self, job_id: str, prefix: str = "rq") -> str:
        with self.client as client:
            return (client.hget(f"{prefix}:job:{job_id}", "status") or b"").decode()

    def until(self, job_id: str, *statuses: str, prefix: str = "rq") -> None:
        eventually(lambda: self.status(job_id, prefix) in statuses, 15, what=f"{statuses} of {job_id}: {self.log[-2000:]}")

    def _environment(self) -> dict[str, str]:
        places = [str(ROOT)] if self.version == INSTALLED else [str(_place_of(self.version)), str(ROOT)]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LEVQOR_", "RQ_"))}
        # A team's hosts are somewhere in the world; what they write into the broker is UTC all the same.
        return {**inherited, "PYTHONPATH": os.pathsep.join(places), "TZ": "Asia/Tokyo", **self.environment}


def make_team(version: str, url: str, folder: Path, **environment: str) -> Team:
    folder.mkdir(exist_ok=True)
    (folder / "workers.log").touch()
    return Team(version, url, folder, environment)


def _place_of(version: str) -> Path:
    place = Path(sys.prefix) / f"rq-{version}"
    if not place.exists():
        pytest.fail(f"RQ {version} is not installed in {place}: `make test` does it")
    return place


def _children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        return [int(child) for child in children.read_text(encoding="ascii").split()]
    except OSError:
        return []


assert installed_version("rq").startswith(INSTALLED)
