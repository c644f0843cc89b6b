"""A log file that several processes share and that stays small (spec P5)."""

import fcntl
import logging
import os
from logging.handlers import WatchedFileHandler
from pathlib import Path

MAX_BYTES = 10_000_000
KEPT_FILES = 5


class SharedRotatingFile(WatchedFileHandler):
    """A log that several processes write and one of them rotates; none writes on into a file that was moved away."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.reopenIfNeeded()
            if self.stream is not None and os.fstat(self.stream.fileno()).st_size >= MAX_BYTES:
                self._rotate()
        except OSError:
            self.handleError(record)
        super().emit(record)

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
