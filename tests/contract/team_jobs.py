"""Jobs of a team's own: functions that any version of RQ imports, and that take pickled arguments."""

import os
import signal
import threading
from decimal import Decimal
from pathlib import Path

from rq import Retry


def add(first: Decimal, second: Decimal) -> Decimal:
    """Arguments that only pickle carries."""
    return first + second


def wait_for(path: Path) -> str:
    """Runs until the file is there."""
    pause = threading.Event()
    for _ in range(2_000):
        if path.exists():
            return "seen"
        pause.wait(0.02)
    raise TimeoutError(str(path))


def need(path: Path) -> str:
    """Fails until the file is there."""
    if not path.exists():
        raise LookupError("nothing there yet")
    return "found"


def die() -> None:
    """Takes the process that runs it along."""
    os.kill(os.getpid(), signal.SIGKILL)


def come_again(times: int) -> object:
    """Asks RQ for another try, as RQ 2 and later understand it."""
    return Retry(max=times)
