"""The whole product in a scratch folder: begun as an operator begins it, hurt from outside, and ended without a trace."""

import contextlib
import http.client
import itertools
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from tests.drills import witness
from tests.integration.running import Installation
from tests.waiting import eventually

from levqor.agent.premises import agent_id
from levqor.agent.process import MARK, family
from levqor.host import ProcessIdentity

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 20.0
JOB_RAISED = "exception raised while executing"
ADMIN = "X-ADMIN-TOKEN"


class Stack(Installation):
    """One `levqor up`, whatever dies of it, and the witness of its jobs."""

    def __init__(self, folder: Path, **environment: str) -> None:
        settings = {"TICK_S": "0.5", "PROBE_PERIOD_S": "1", "HANDLERS": witness.REGISTERED, "PYTHONPATH": str(ROOT), **environment}
        super().__init__(folder, **settings)
        self.witness_log = folder / "witness"
        self._numbers = itertools.count()
        self._lives = itertools.count()

    # Its life

    def up(self, *arguments: str) -> "Stack":
        """Begin `levqor up` and wait until it says that it is ready. What an earlier life printed is kept."""
        output = self.folder / "output"
        if output.exists():
            output.rename(self.folder / f"output.{next(self._lives)}")
        process = self.start("up", "--port", str(self.port), "--data", str(self.data), *arguments)
        eventually(lambda: process.poll() is not None or "is ready at" in self.output, READY_WITHIN_S, what="the ready line")
        assert process.poll() is None, self.output
        assert self.is_ready(), self.output
        return self

    def is_ready(self) -> bool:
        return self.get("/readyz").get("ok") is True

    def end(self) -> None:
        """SIGTERM; exit code 0, and nobody whom it began is left."""
        everyone = self.everyone()
        code = self.stop()
        left = [identity for identity in [*everyone, *self.everyone()] if identity.is_alive()]
        assert (code, left) == (0, []), self.output

    @property
    def agent(self) -> ProcessIdentity:
        assert self.process is not None
        identity = ProcessIdentity.of(self.process.pid)
        assert identity is not None, self.output
        return identity

    def everyone(self) -> list[ProcessIdentity]:
        """Every living process that descends from an agent of this folder: by the mark that descendants inherit, and by the record.

        The store writes its title over its environment, mark included.
        """
        if not self.data.exists():
            return []
        begin = f"{agent_id(self.data)}/"
        marked = (pid for pid in psutil.pids() if mark_of(pid).startswith(begin))
        found = [identity for pid in marked if (identity := ProcessIdentity.of(pid)) is not None]
        return [*found, *self.children("store").values()]

    def child(self, name: str) -> ProcessIdentity:
        """The living process of the control plane or the store that has this name."""
        found = eventually(lambda: {**self.children("control"), **self.children("store")}.get(name), what=f"a process of {name}")
        assert found is not None
        return found

    def kill_group(self, identity: ProcessIdentity) -> None:
        """SIGKILL to a process and all that it began, as a host that fails would do it."""
        for member in [identity, *family(mark_of(identity.pid), identity)]:
            kill(member)

    # What it says

    def logs(self) -> str:
        """All that was printed or logged in all of its lives."""
        paths = [*self.folder.glob("output*"), *(path for path in (self.folder / "logs").rglob("*") if path.is_file())]
        return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in paths)

    def tracebacks(self) -> list[str]:
        """Where something failed in a way that nobody foresaw; a job's own exception belongs into the workers' log."""
        lines = self.logs().splitlines()
        return [after for before, after in pairwise(lines) if "Traceback" in after and JOB_RAISED not in before]

    @property
    def token(self) -> str:
        return (self.data / "admin_token").read_text(encoding="ascii").strip()

    def ask(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None, timeout_s: float = 15.0) -> "Answer":
        """One request with exactly these headers. Raises OSError or http.client.HTTPException when there is no answer."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)) as connection:
            return exchange(connection, method, path, body, headers)

    def order(self, method: str, path: str, body: object = None, **headers: str) -> "Answer":
        """The same with the admin's token."""
        return self.ask(method, path, body, {ADMIN: self.token, **headers})

    def sql(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(f"file:{self.data / 'levqor.db'}?mode=ro", uri=True, timeout=5)) as connection:
            return connection.execute(query, arguments).fetchall()

    def target(self) -> int:
        rows = self.sql("SELECT value FROM flags WHERE name = 'WORKER_COUNT'")
        return int(rows[0][0]) if rows else 2

    def term(self) -> int:
        return int(self.sql("SELECT term FROM leases WHERE name = 'autopilot'")[0][0])

    def calm_s(self) -> float:
        """The quiet timer as it is in the database."""
        rows = self.sql("SELECT accrued_s FROM timers WHERE name LIKE 'quiet%'")
        return float(rows[0][0]) if rows else 0.0

    def ticks(self) -> int:
        return int(self.sql("SELECT count(*) FROM decisions")[0][0])

    def steps(self) -> list[str]:
        """Actions of the decisions that were put in force."""
        return [str(row[0]) for row in self.sql("SELECT action FROM decisions WHERE applied ORDER BY id")]

    def worker_pids(self) -> set[int]:
        return {identity.pid for identity in self.children("worker").values()}

    def is_settled(self, target: int) -> bool:
        """Do exactly so many workers live, and does the fleet say so?"""
        return len(self.children("worker")) == target and self.get("/status").get("running") == target

    # Its jobs

    def names(self, count: int) -> list[str]:
        return [f"job-{next(self._numbers)}" for _ in range(count)]

    def submit_witness(self, job: str, seconds: float) -> str:
        """The id of an accepted job. Raises when it was not accepted."""
        answer = self.ask("POST", "/api/v1/intake", self.job(job, seconds))
        if answer.status != 202:
            raise ConnectionError(f"not accepted: {answer}")
        return str(answer.json["job_id"])

    def job(self, job: str, seconds: float) -> dict[str, object]:
        return {"handler": witness.HANDLER, "payload": {"log": str(self.witness_log), "job": job, "seconds": seconds}}

    def accept(self, job: str, seconds: float, within_s: float = 20.0) -> str:
        """Try until the job is accepted; each try is a job of its own name, so that none is doubled by us."""

        def attempt() -> str:
            name = f"{job}.{next(self._numbers)}"
            try:
                self.submit_witness(name, seconds)
            except (OSError, http.client.HTTPException):
                return ""
            return name

        return eventually(attempt, within_s, what=f"the acceptance of {job}")

    def seen(self) -> witness.Tally:
        return witness.read(self.witness_log)

    def finish(self, jobs: Iterable[str], within_s: float = 60.0) -> witness.Tally:
        """Wait until none of the jobs is lost any more, and answer the tally."""
        jobs = list(jobs)
        eventually(lambda: not self.seen().lost(jobs), within_s, every_s=0.2, what=f"the end of {len(jobs)} jobs")
        return self.seen()


class Answer:
    """A whole HTTP answer."""

    def __init__(self, status: int, headers: dict[str, str], body: str) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"{self.status} {self.body}"


def exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> Answer:
    """One request on a connection that the caller keeps."""
    text = None if body is None else body if isinstance(body, str) else json.dumps(body)
    content = {} if text is None else {"Content-Type": "application/json"}
    connection.request(method, path, text, {**content, **(headers or {})})
    answer = connection.getresponse()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode())


def report(figures: str) -> None:
    """What a drill saw, for whoever runs it with `-s`."""
    sys.stdout.write(f"\n  {figures}\n")


def mark_of(pid: int) -> str:
    """The mark by which an agent knows what descends from it; empty for everybody else."""
    try:
        return str(psutil.Process(pid).environ().get(MARK, ""))
    except (psutil.Error, OSError):
        return ""


def kill(identity: ProcessIdentity, number: signal.Signals = signal.SIGKILL) -> None:
    """A signal to exactly this process, if it still lives."""
    if identity.is_alive():
        os.kill(identity.pid, number)


@contextlib.contextmanager
def stopped(identity: ProcessIdentity) -> Iterator[None]:
    """The process stands still meanwhile."""
    os.kill(identity.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        kill(identity, signal.SIGCONT)
