"""Memory for one more worker: what the host or the cgroup leaves free, and how large a worker is (spec A13)."""

from collections import deque
from collections.abc import Iterable, Iterator
from math import ceil
from pathlib import Path

import psutil

from levqor.domain.fleet import Room

DEFAULT_WORKER_BYTES = 64 * 1024 * 1024
"""Taken for a worker's size until one was measured."""

SAMPLES_KEPT = 100

_NO_LIMIT = 1 << 60
"""The first cgroup version writes 'no limit' as a number near the largest."""


def free_bytes(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """What can still be allocated here: the tightest of the machine's and every enclosing cgroup's limit."""
    return min([psutil.virtual_memory().available, *_left_in_cgroups(proc, cgroups)])


def stalled_percent(proc: Path = Path("/proc")) -> float | None:
    """Share of the last 10 s in which all tasks were stalled on memory; None where the kernel does not tell."""
    try:
        lines = (proc / "pressure" / "memory").read_text(encoding="ascii").splitlines()
        full = next(line for line in lines if line.startswith("full "))
        return float(dict(word.split("=") for word in full.split()[1:])["avg10"])
    except (OSError, StopIteration, ValueError, KeyError):
        return None


def _left_in_cgroups(proc: Path, cgroups: Path) -> Iterator[int]:
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _left(cgroups, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            yield from _left(cgroups / "memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _left(mount: Path, path: str, limit_file: str, usage_file: str, cache_key: str) -> Iterator[int]:
    """Walks up to the root: a limit of any ancestor binds. File cache that nobody uses is given back under pressure."""
    folder = mount / path.lstrip("/")
    for group in (folder, *folder.parents):
        limit, usage = _number(group / limit_file), _number(group / usage_file)
        if limit is not None and usage is not None and limit < _NO_LIMIT:
            yield max(0, limit - max(0, usage - _cache(group / "memory.stat", cache_key)))
        if group == mount:
            return


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _cache(path: Path, key: str) -> int:
    try:
        rows = dict(line.split() for line in path.read_text(encoding="ascii").splitlines())
        return int(rows.get(key, 0))
    except (OSError, ValueError):
        return 0


class WorkerSizes:
    """The last sizes of workers, their forked jobs included."""

    def __init__(self) -> None:
        self._samples: deque[int] = deque(maxlen=SAMPLES_KEPT)

    def sample(self, pids: Iterable[int]) -> None:
        self._samples.extend(size for pid in pids if (size := _tree_bytes(pid)) is not None)

    def add(self, size_bytes: int) -> None:
        self._samples.append(size_bytes)

    def p95(self) -> int:
        if not self._samples:
            return DEFAULT_WORKER_BYTES
        ordered = sorted(self._samples)
        return ordered[ceil(0.95 * len(ordered)) - 1]


def measure(sizes: WorkerSizes) -> Room:
    return Room(free_bytes=free_bytes(), worker_p95_bytes=sizes.p95(), stalled_percent=stalled_percent())


def _tree_bytes(pid: int) -> int | None:
    try:
        process = psutil.Process(pid)
        return sum(_bytes(member) for member in (process, *process.children(recursive=True)))
    except psutil.Error:
        return None


def _bytes(process: psutil.Process) -> int:
    """The proportional size where the system tells it: pages shared with the parent are then counted once."""
    try:
        return int(getattr(process.memory_full_info(), "pss", 0)) or int(process.memory_info().rss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
