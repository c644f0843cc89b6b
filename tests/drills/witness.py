"""A job that leaves its trace outside of Levqor: lost, doubled and cut jobs are counted from this log alone."""

import os
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

HANDLER = "witness"
REGISTERED = f"{HANDLER}=tests.drills.witness:append"


def append(log: str, job: str, seconds: float = 0.0) -> None:
    """One line when it starts, one when it ends; whoever kills it in between leaves the first one alone."""
    _write(log, "start", job)
    threading.Event().wait(seconds)
    _write(log, "end", job)


def _write(log: str, word: str, job: str) -> None:
    """One write with O_APPEND, so that lines of several processes never mix. The last number is the worker's pid."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, f"{word} {job} {os.getpid()} {os.getppid()}\n".encode())
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Tally:
    """What the log says of each job."""

    starts: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    runners: dict[str, int] = field(default_factory=dict)
    """The worker's pid by job, of the run that began last."""
    workers: tuple[int, ...] = ()
    """Pids of workers in the order of their first job."""

    def lost(self, jobs: Iterable[str]) -> list[str]:
        """Never finished."""
        return [job for job in jobs if not self.ends[job]]

    def doubled(self, jobs: Iterable[str]) -> list[str]:
        """Finished more than once."""
        return [job for job in jobs if self.ends[job] > 1]

    def cut(self, jobs: Iterable[str]) -> list[str]:
        """Begun more often than finished."""
        return [job for job in jobs if self.starts[job] > self.ends[job]]


def read(log: Path) -> Tally:
    tally = Tally()
    workers: dict[int, None] = {}
    for line in log.read_text(encoding="ascii").splitlines() if log.exists() else ():
        word, job, _, worker = line.split(" ")
        if word == "start":
            tally.starts[job] += 1
            tally.runners[job] = int(worker)
            workers.setdefault(int(worker))
        else:
            tally.ends[job] += 1
    return Tally(tally.starts, tally.ends, tally.runners, tuple(workers))
