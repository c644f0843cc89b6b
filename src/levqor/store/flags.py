"""Flags in the database, their truth, and the file that is their door (spec F1)."""

import json
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select, update

from levqor.domain.errors import Conflict, UsageError
from levqor.domain.flags import DEFAULTS, WORKER_COUNT, FlagsFileState, FlagValue
from levqor.policies.flags import check_flag, merge_flags
from levqor.store.audit import record_change
from levqor.store.schema import flags
from levqor.store.timers import forget_timer, quiet_timer

DEFAULT_FLEET = "default"
"""The fleet whose target WORKER_COUNT is."""

MAX_FILE_BYTES = 64 * 1024
FILE_ACTOR = "flags file"


def read_flags(connection: Connection) -> dict[str, FlagValue]:
    """Every flag's value in force; the default where it was never written."""
    rows = connection.execute(select(flags.c.name, flags.c.value)).all()
    return {**DEFAULTS, **{row.name: row.value for row in rows if row.name in DEFAULTS}}


def flag_rows(connection: Connection) -> dict[str, dict[str, Any]]:
    """Every written flag with who changed it and when."""
    rows = connection.execute(select(flags).order_by(flags.c.name)).mappings()
    return {row["name"]: {**row, "updated_at": row["updated_at"].isoformat()} for row in rows}


def write_flag(
    connection: Connection, now: datetime, name: str, value: FlagValue, actor: str, *, expected: FlagValue | None = None
) -> bool:
    """Write a flag and its audit line; did it change? Raises Conflict where it is no longer as `expected`."""
    before = connection.execute(select(flags.c.value).where(flags.c.name == name)).scalar_one_or_none()
    current = DEFAULTS[name] if before is None else before
    if expected is not None and current != expected:
        raise Conflict(f"{name} is {current} by now, not {expected}")
    if before == value:
        return False
    values = {"value": value, "updated_at": now, "updated_by": actor[:200]}
    if before is None:
        connection.execute(insert(flags).values(name=name, version=1, **values))
    else:
        connection.execute(update(flags).where(flags.c.name == name).values(version=flags.c.version + 1, **values))
    if current != value:
        record_change(connection, now, actor, f"flag {name}", current, value)
        if name == WORKER_COUNT:
            # Any step, whoever makes it, starts the calm before a step down again (spec A3).
            forget_timer(connection, quiet_timer(DEFAULT_FLEET))
    return current != value


@dataclass(frozen=True, slots=True)
class _Content:
    """The file as read: every key, and which version of the file it was."""

    keys: dict[str, Any]
    mark: tuple[int, int, int] | None


class FlagsFile:
    """`config/flags.json`: read with suspicion, written atomically, unknown keys kept."""

    def __init__(self, path: Path, min_workers: int, max_workers: int) -> None:
        self.path, self._min, self._max = path, min_workers, max_workers

    def look(self) -> FlagsFileState:
        """What the file says now, without changing anything."""
        return self._parse({})[0]

    def sync(self, connection: Connection, now: datetime) -> FlagsFileState:
        """Import what a person edited, export what the database changed. Call it within the leader's transaction.

        The file is written before the commit: after a crash in between both hold the same value, and the next sync
        finds nothing to do. A broken file is left as it is for a person to mend.
        """
        rows = {row.name: row for row in connection.execute(select(flags))}
        database = {name: row.value for name, row in rows.items() if name in DEFAULTS}
        synced = {name: row.synced for name, row in rows.items()}
        state, content = self._parse(synced)
        if content is None:
            return state
        wanted = self._bounded(merge_flags(database if state.values is None else state.values, synced, database))
        if content.keys != {**content.keys, **wanted}:
            try:
                if not self._replace(content, wanted):
                    return state
            except OSError as error:
                return FlagsFileState("broken", error=f"{self.path}: cannot be written: {error}")
        for name, value in wanted.items():
            write_flag(connection, now, name, value, FILE_ACTOR)
            if name not in rows or rows[name].synced != value:
                connection.execute(update(flags).where(flags.c.name == name).values(synced=value))
        return FlagsFileState("ok", wanted)

    def _parse(self, synced: dict[str, Any]) -> tuple[FlagsFileState, _Content | None]:
        try:
            content = self._read()
            return FlagsFileState("ok", self._known(content.keys, synced)), content
        except FileNotFoundError:
            return FlagsFileState("missing"), _Content({}, None)
        except (OSError, ValueError, RecursionError, UsageError) as error:
            return FlagsFileState("broken", error=f"{self.path}: {error}"), None

    def _bounded(self, values: dict[str, FlagValue]) -> dict[str, FlagValue]:
        """A target from before WORKERS_MIN or WORKERS_MAX were changed moves to the nearest one allowed."""
        return {**values, WORKER_COUNT: max(self._min, min(self._max, int(values[WORKER_COUNT])))}

    def _read(self) -> _Content:
        with self.path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
            status = os.fstat(file.fileno())
        if len(data) > MAX_FILE_BYTES:
            raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
        keys = json.loads(data, parse_constant=_refuse_constant)
        if not isinstance(keys, dict):
            raise ValueError("expected a JSON object")
        return _Content(keys, (status.st_ino, status.st_mtime_ns, status.st_size))

    def _known(self, keys: dict[str, Any], synced: dict[str, Any]) -> dict[str, FlagValue]:
        """The flags that the file names. A count that was in bounds when it was synced is no mistake of the file's."""
        return {
            name: keys[name] if name in synced and _same(keys[name], synced[name]) else check_flag(name, keys[name], self._min, self._max)
            for name in DEFAULTS
            if name in keys
        }

    def _replace(self, read: _Content, wanted: dict[str, FlagValue]) -> bool:
        """Write, fsync, rename, fsync the folder; False, and nothing written, where somebody edited the file meanwhile."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**read.keys, **wanted}, indent=2) + "\n"
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            if self._mark() != read.mark:
                return False
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return (status.st_ino, status.st_mtime_ns, status.st_size)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON knows")


def _same(value: object, other: object) -> bool:
    """Equal and of one type: `True == 1`, yet a count of `true` is a mistake."""
    return type(value) is type(other) and value == other
