"""A log file that several processes share and that stays small (spec P5)."""

import fcntl
import logging
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from logging.handlers import WatchedFileHandler
from pathlib import Path

MAX_BYTES = 10_000_000
KEPT_FILES = 5
SLACK = timedelta(days=1)
"""Kept on top, so that a wall clock that jumps by hours removes nothing (spec P1)."""

_ROTATED = re.compile(r"\.log\.\d+$")


class SharedRotatingFile(WatchedFileHandler):
    """A log that several processes write and one of them rotates; none writes on into a file that was moved away."""

    _is_torn = False
    """The disk was full in the midst of a line: the next one begins on a line of its own."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}{self.terminator}".encode("utf-8", "backslashreplace")
            self.reopenIfNeeded()
            if os.fstat(self._descriptor()).st_size >= MAX_BYTES:
                self._rotate()
            self._append(line)
        except Exception:  # noqa: BLE001 (as every handler of logging: a log that cannot be written ends nothing)
            self.handleError(record)

    def _descriptor(self) -> int:
        if self.stream is None:
            self.stream = self._open()
        return self.stream.fileno()

    def _append(self, line: bytes) -> None:
        """One write for a whole line, whatever its length: the kernel lets no other process's bytes into it."""
        left = b"\n" + line if self._is_torn else line
        while left:
            written = os.write(self._descriptor(), left)
            left = left[written:]
            self._is_torn = bool(left)

    def _rotate(self) -> None:
        path = Path(self.baseFilename)
        with path.with_name(f"{path.name}.lock").open("a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists() and path.stat().st_size >= MAX_BYTES:
                for number in range(KEPT_FILES - 1, 0, -1):
                    older = path.with_name(f"{path.name}.{number}")
                    if older.exists():
                        older.replace(path.with_name(f"{path.name}.{number + 1}"))
                path.replace(path.with_name(f"{path.name}.1"))
        self.reopenIfNeeded()


def turn_over_output(path: Path, max_bytes: int | None = None) -> bool:
    """Set aside what programs that know nothing of rotation have written; was it too long?

    They go on writing to the same file, so it is copied and then emptied; what they write in between is lost.
    """
    if not path.exists() or path.stat().st_size < (MAX_BYTES if max_bytes is None else max_bytes):
        return False
    with path.open("rb") as source, path.with_name(f"{path.name}.1").open("wb") as kept:
        shutil.copyfileobj(source, kept)
        os.truncate(path, 0)
    return True


def drop_old(folder: Path, now: datetime, keep: timedelta) -> list[str]:
    """Remove rotated logs that were written to last before `keep` and a day; their names. A log in use stays, however old."""
    gone = []
    for path in sorted(folder.glob("*.log.*")):
        if _ROTATED.search(path.name) and datetime.fromtimestamp(path.stat().st_mtime, UTC) < now - keep - SLACK:
            path.unlink(missing_ok=True)
            gone.append(path.name)
    return gone
