"""`incidents.log`: one line of JSON for each invocation, appended and never changed (spec I7)."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from levqor.logfile import SharedRotatingFile

NAME = "incidents.log"
TAIL_BYTES = 262_144
"""So far back it is looked whether a recovery's line was written by a leader that died right after."""


class IncidentLog:
    """Shared between processes. `mask` takes every secret out of a line (spec X2)."""

    def __init__(self, folder: Path, mask: Callable[[str], str] = lambda line: line) -> None:
        self._path, self._mask = folder / NAME, mask

    def write(self, line: dict[str, Any]) -> None:
        """Append one line; on the disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handler = SharedRotatingFile(self._path, encoding="utf-8")
        try:
            handler.emit(logging.makeLogRecord({"msg": self._mask(json.dumps(line, default=str, ensure_ascii=False))}))
            if handler.stream is not None:
                os.fsync(handler.stream.fileno())
        finally:
            handler.close()

    def write_once(self, recovery_id: int, line: dict[str, Any]) -> None:
        """Append the line of a recovery unless it is there."""
        if not self._holds(recovery_id):
            self.write({**line, "recovery_id": recovery_id})

    def _holds(self, recovery_id: int) -> bool:
        if not self._path.exists():
            return False
        with self._path.open("rb") as file:
            file.seek(max(0, self._path.stat().st_size - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
        return any(_recovery_of(line) == recovery_id for line in lines)


def _recovery_of(line: str) -> int | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found.get("recovery_id") if isinstance(found, dict) else None
