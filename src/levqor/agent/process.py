"""Child processes: begun in sessions of their own, known by more than a pid, ended together with all they began (spec P3)."""

import logging
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import psutil

from levqor.host import ProcessIdentity
from levqor.settings import PROCESS_MARK, secret_variables

log = logging.getLogger(__name__)

MARK = PROCESS_MARK
"""Every process that descends from a child carries the child's mark in its environment, whatever session it moved to.

A store server is the exception: it writes its title over its environment. It forks within its session, which tells as much.
"""

LOG_MAX_BYTES = 10_000_000
"""A log of raw output that is longer is set aside when the next child starts."""

EXIT_UNSEEN = -1_000
"""How an adopted child ended: only its parent could know, and that was another agent."""

NEEDED = frozenset(f"LEVQOR_{name}{suffix}" for name in ("REDIS_URL", "BROKER_URL") for suffix in ("", "_FILE"))
"""Secrets that a worker cannot do without."""


@dataclass(frozen=True, slots=True)
class Command:
    """How to begin a child. `output` None: it writes to our own terminal."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    output: Path | None = None
    hides_secrets: bool = False


class Child:
    """A process that we began, or that an earlier agent began and we adopted."""

    def __init__(self, role: str, name: str, identity: ProcessIdentity, mark: str, process: subprocess.Popen[bytes] | None = None) -> None:
        self.role = role
        self.name = name
        self.identity = identity
        self.mark = mark
        self._process = process

    @classmethod
    def spawn(cls, role: str, name: str, mark: str, command: Command) -> "Child":
        """Begin a child in its own session. Raises OSError when the program cannot be run."""
        output = _open_log(command.output)
        try:
            process = subprocess.Popen(
                list(command.argv),
                env=_environment(command, mark),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output and subprocess.STDOUT,
                pass_fds=command.pass_fds,
                start_new_session=True,
            )
        finally:
            if output is not None:
                output.close()
        identity = ProcessIdentity.of(process.pid) or replace(ProcessIdentity.current(), pid=process.pid, started="ended at once")
        return cls(role, name, identity, mark, process)

    @property
    def is_adopted(self) -> bool:
        return self._process is None

    @property
    def exit_code(self) -> int | None:
        """None while it lives. Asking also takes a dead child off the process table."""
        if self._process is not None:
            return self._process.poll()
        return None if self.identity.is_alive() else EXIT_UNSEEN

    @property
    def is_alive(self) -> bool:
        return self.exit_code is None

    def terminate(self) -> None:
        """Ask it, and it alone, to finish. One that was stopped could not hear it, hence SIGCONT."""
        if self.is_alive:
            _signal(self.identity.pid, signal.SIGTERM)
            _signal(self.identity.pid, signal.SIGCONT)

    def kill_family(self) -> bool:
        """SIGKILL to whatever is left of it and of all that it began; True once nothing is."""
        alive = self.is_alive
        if alive:
            _signal(self.identity.pid, signal.SIGKILL)
        return _kill(family(self.mark, self.identity)) and not alive


def kill_marked(mark: str) -> bool:
    """SIGKILL to whatever a child left behind when itself is long gone; True once nothing is."""
    return _kill(family(mark, None))


def _kill(members: Sequence[ProcessIdentity]) -> bool:
    for member in members:
        _signal(member.pid, signal.SIGKILL)
    return not members


def _environment(command: Command, mark: str) -> dict[str, str]:
    hidden = secret_variables() - NEEDED if command.hides_secrets else frozenset()
    passed = {name: value for name, value in {**os.environ, **command.environment}.items() if name not in hidden}
    return {**passed, "PYTHONUNBUFFERED": "1", MARK: mark}


def _open_log(path: Path | None) -> IO[bytes] | None:
    if path is None:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_MAX_BYTES:
        path.replace(path.with_suffix(path.suffix + ".1"))
    return path.open("ab")


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        log.debug("process %d had ended before signal %s", pid, number.name)


def family(mark: str, head: ProcessIdentity | None) -> list[ProcessIdentity]:
    """Living processes with the child's mark or in the session that it heads, the child apart."""
    session = None if head is None else _session_headed_by(head)
    apart = (os.getpid(), head.pid if head is not None else 0)
    return _living(pid for pid in psutil.pids() if pid not in apart and _belongs(pid, mark, session))


def _session_headed_by(head: ProcessIdentity) -> int | None:
    """A session's id is not given to a new process while anybody is left in it, so a stranger with that pid proves it empty."""
    current = ProcessIdentity.of(head.pid)
    return head.pid if head.pid > 1 and (current is None or current == head) else None


def marked(mark_begins: str) -> list[tuple[ProcessIdentity, str]]:
    """Heads of sessions whose mark begins so, with their marks: children of a killed agent that its record may have missed."""
    found: list[tuple[ProcessIdentity, str]] = []
    for pid in psutil.pids():
        mark = _mark_of(pid)
        if mark is not None and mark.startswith(mark_begins) and _session_of(pid) == pid and pid != os.getpid():
            found += [(identity, mark) for identity in _living([pid])]
    return found


def is_marked(pid: int, mark: str) -> bool:
    """Does the process with this pid carry exactly this mark?"""
    return _mark_of(pid) == mark


def command_line(pid: int) -> list[str]:
    try:
        return psutil.Process(pid).cmdline()
    except (psutil.Error, OSError):
        return []


def reap_strangers(is_ours: Callable[[int], bool]) -> int:
    """Take dead processes that fell to us (we are then process 1 of a container) off the process table."""
    reaped = 0
    for process in psutil.Process().children():
        try:
            if not is_ours(process.pid) and process.status() == psutil.STATUS_ZOMBIE:
                reaped += os.waitpid(process.pid, os.WNOHANG)[0] == process.pid
        except (psutil.Error, ChildProcessError):
            continue
    return reaped


def _living(pids: Iterable[int]) -> list[ProcessIdentity]:
    return [identity for pid in pids if (identity := ProcessIdentity.of(pid)) is not None]


def _belongs(pid: int, mark: str, session: int | None) -> bool:
    return (session is not None and _session_of(pid) == session) or _mark_of(pid) == mark


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _mark_of(pid: int) -> str | None:
    try:
        return psutil.Process(pid).environ().get(MARK)
    except (psutil.Error, OSError):
        return None
