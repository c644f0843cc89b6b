"""This machine: its clock, and processes by more than a pid (spec P1, P3)."""

import os
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil


class SystemClock:
    """The real clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def _boot_id() -> str:
    """Identifies this boot and, on Linux, the process namespace, since containers of one host share its boot but not its pids."""
    path = Path("/proc/sys/kernel/random/boot_id")
    if path.exists():
        namespace = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 (follows a magic link that Path would resolve)
        return f"{path.read_text(encoding='ascii').strip()}-{namespace}"
    return f"boot-{round(psutil.boot_time() / 60)}"


def _start_mark(pid: int) -> str | None:
    """When the process started, in the kernel's own ticks where it tells them: a wall clock that jumps cannot move it."""
    try:
        if Path("/proc/self/stat").exists():
            # Field 22; the name in field 2 may hold spaces and brackets, so count from the last bracket.
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            return None if fields[0] == "Z" else fields[19]
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(round(process.create_time() * 100))
    except (OSError, IndexError, psutil.Error):
        return None


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process: host + boot id + pid + start mark. A pid alone is never enough, since pids come back."""

    host: str
    boot_id: str
    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """The identity of a living process of this machine; None where there is none (a zombie is none)."""
        started = _start_mark(pid)
        return None if started is None else cls(socket.gethostname(), _boot_id(), pid, started)

    @classmethod
    def current(cls) -> "ProcessIdentity":
        identity = cls.of(os.getpid())
        if identity is None:
            raise RuntimeError("this process cannot read its own start time")
        return identity

    @property
    def is_local(self) -> bool:
        """Is it of this host and boot, so that `is_alive` can tell?"""
        return self.host == socket.gethostname() and self.boot_id == _boot_id()

    def is_alive(self) -> bool:
        """Does exactly this process still live here?"""
        return self.is_local and _start_mark(self.pid) == self.started

    def __str__(self) -> str:
        return f"{self.host}/{self.boot_id}/{self.pid}/{self.started}"

    @classmethod
    def parse(cls, text: str) -> "ProcessIdentity":
        """The inverse of `str`. Raises ValueError for anything else."""
        host, boot_id, pid, started = text.rsplit("/", 3)
        return cls(host, boot_id, int(pid), started)
