"""Handlers that leave a trace outside the system: one line per run, appended in one write."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path


def _append(path: str, line: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def note(path: str, word: str, seconds: float = 0.0) -> None:
    """Begins, lasts, ends; a cut job leaves its beginning only."""
    _append(path, f"begin {word} {os.getpid()}")
    threading.Event().wait(seconds)
    _append(path, f"end {word} {os.getpid()}")


def die(path: str, word: str) -> None:
    """The process that runs the job is killed."""
    _append(path, f"begin {word} {os.getpid()}")
    os.kill(os.getpid(), signal.SIGKILL)


def slip_away(path: str, word: str) -> None:
    """The process that runs the job ends without a word, as if all were well."""
    _append(path, f"begin {word} {os.getpid()}")
    os._exit(0)


def stubborn(seconds: float) -> None:
    """Swallows whatever should end it."""
    enough = threading.Event()
    try:
        enough.wait(seconds)
    except BaseException:  # noqa: BLE001 (the fault that it stands for)
        enough.wait(seconds)


def leave() -> None:
    sys.exit("left")


def shell(command: str) -> None:
    """Runs a program; raises when it fails."""
    subprocess.run(["sh", "-c", command], check=True)


def words(path: Path, kind: str) -> list[str]:
    """The words of all lines of a kind, in order."""
    if not path.exists():
        return []
    return [line.split()[1] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(kind + " ")]


def pids(path: Path) -> set[int]:
    return {int(line.split()[2]) for line in path.read_text(encoding="utf-8").splitlines()} if path.exists() else set()
