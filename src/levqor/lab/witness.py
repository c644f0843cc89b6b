"""Handlers that leave their trace outside of Levqor, a line at a time: whoever counts the lines needs to trust nobody."""

import os
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BEGAN, ENDED, FAILED = "began", "ended", "failed"

HANDLERS = "witnessed=levqor.lab.witness:work,frail=levqor.lab.witness:frail,poison=levqor.lab.witness:poison"
"""The value of the setting `handlers` that lets workers run these."""


class PassingFault(RuntimeError):
    """Something that the job needs is away for a while."""


class Poison(RuntimeError):
    """This job can never succeed."""


def work(path: str, word: str, seconds: float = 0.0) -> None:
    """Begins, lasts, ends. A run that was cut leaves its beginning only."""
    _append(path, BEGAN, word)
    threading.Event().wait(seconds)
    _append(path, ENDED, word)


def frail(path: str, word: str, fault: str) -> None:
    """Fails for as long as the file `fault` exists."""
    _append(path, BEGAN, word)
    if Path(fault).exists():
        _append(path, FAILED, word)
        raise PassingFault("what this job needs is away")
    _append(path, ENDED, word)


def poison(path: str, word: str) -> None:
    """Fails each time."""
    _append(path, BEGAN, word)
    _append(path, FAILED, word)
    raise Poison("no worker can digest this job")


def _append(path: str, kind: str, word: str) -> None:
    """One write to the file's end: lines of several processes never mix."""
    line = f"{kind} {word} {os.getpid()}\n".encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Testimony:
    """What the witness saw of each job, by its word."""

    began: Counter[str]
    ended: Counter[str]
    failed: Counter[str]
    processes: dict[str, int]
    """The process of each job's last run."""

    @property
    def cut(self) -> int:
        """Runs that began and came to no end."""
        return sum((self.began - self.ended - self.failed).values())

    def under_way(self) -> set[str]:
        """Words of jobs that run now, or whose run was cut."""
        return set(self.began - self.ended - self.failed)

    def running_processes(self) -> set[int]:
        return {self.processes[word] for word in self.under_way()}

    def lost(self, words: Iterable[str]) -> int:
        """Accepted jobs that never ended well."""
        return sum(not self.ended[word] for word in words)

    def doubled(self, words: Iterable[str]) -> int:
        """Accepted jobs that ended well more than once."""
        return sum(self.ended[word] > 1 for word in words)


def read_testimony(path: Path) -> Testimony:
    """Read the witness's file; one that does not exist yet has seen nothing."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    seen: dict[str, Counter[str]] = {BEGAN: Counter(), ENDED: Counter(), FAILED: Counter()}
    processes: dict[str, int] = {}
    for kind, word, pid in (line.split() for line in lines):
        seen[kind][word] += 1
        processes[word] = int(pid)
    return Testimony(seen[BEGAN], seen[ENDED], seen[FAILED], processes)
