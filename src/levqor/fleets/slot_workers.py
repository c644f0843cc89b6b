"""Which of the engine's workers runs in which slot: by host, process and the process's age (spec P3)."""

import socket
from collections.abc import Sequence

import psutil

from levqor.domain.fleet import Worker, WorkerState

CLOCKS_AGREE_S = 5.0
"""A worker's own word of its birth may differ so much from its process's."""


def worker_of(pid: int, workers: Sequence[Worker]) -> Worker | None:
    """The worker that this process, or one that it began, runs as; None where the engine lists none."""
    here = [worker for worker in workers if worker.host == socket.gethostname() and worker.pid is not None and _is_born(worker)]
    exact = [worker for worker in here if worker.pid == pid]
    found = exact or [worker for worker in here if worker.pid is not None and _descends(worker.pid, pid)]
    return max(found, key=lambda worker: worker.started_at or 0.0, default=None)


def is_listed_dead(pid: int, workers: Sequence[Worker]) -> bool:
    """Does the engine still list a worker of this process, which has gone? One that was asked to stop takes itself off the list."""
    return any(worker.host == socket.gethostname() and worker.pid == pid for worker in workers) and not psutil.pid_exists(pid)


def _is_born(worker: Worker) -> bool:
    """A pid that came back belongs to a process that is younger than the worker that had it before."""
    try:
        created = psutil.Process(worker.pid).create_time()
    except (psutil.Error, OSError):
        return False
    return worker.state is not WorkerState.LOST and (worker.started_at is None or worker.started_at + CLOCKS_AGREE_S >= created)


def _descends(pid: int, ancestor: int) -> bool:
    try:
        return any(parent.pid == ancestor for parent in psutil.Process(pid).parents())
    except (psutil.Error, OSError):
        return False
