"""Putting a backup back: refused while anybody works on the data, and what it replaces is kept under another name."""

import json
import os
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from levqor.domain.backups import BackupFailed
from levqor.domain.errors import DatabaseDown, GuardRefused
from levqor.monitors.backups import FLAGS, BackupDesk, BackupParts
from levqor.store.audit import record_change
from levqor.store.backup_sqlite import restored_mark
from levqor.store.database import Database
from levqor.store.leases import TTL_S, LeaseWatch
from levqor.store.manifest import sync

_LOOK_S = 0.5


class Restore:
    """One restore. The caller holds the data folder's lock, so that no `levqor up` begins meanwhile."""

    def __init__(
        self,
        desk: BackupDesk,
        parts: BackupParts,
        is_gone: Callable[[str], bool],
        open_database: Callable[[], Database],
        watch_s: float = TTL_S,
    ) -> None:
        self._desk, self._parts, self._is_gone, self._open, self._watch_s = desk, parts, is_gone, open_database, watch_s

    def plan(self, name: str, *, keep_flags: bool = False) -> dict[str, Any]:
        """What a restore would do; changes nothing. Raises what would keep it from being done."""
        backup, report = self._desk.open(name)
        parts = self._parts
        mark = restored_mark(parts.clock.now())
        has_flags = not keep_flags and (parts.folder.path / backup.name / FLAGS).exists()
        return {
            "name": backup.name,
            "at": backup.at.isoformat(),
            "database": parts.keeper.label,
            "revision": backup.revision,
            "rows": report["rows"],
            "how": report["how"],
            "kept_as": [kept for kept in (parts.keeper.aside(mark), self._flags_aside(mark) if has_flags else None) if kept],
            "with_flags": has_flags,
            "flags": self._flag_changes(backup.name) if has_flags else {},
            "in_use": self._who_works(),
        }

    def run(self, plan: dict[str, Any], actor: str) -> dict[str, Any]:
        """Do what `plan` said. Raises GuardRefused while the data is in use, BackupFailed with what was there in its place."""
        if (who := self._who_works()) is not None:
            raise GuardRefused(f"{who}: end the service first")
        parts, folder = self._parts, self._parts.folder
        now = parts.clock.now()
        mark = restored_mark(now)
        kept = [parts.keeper.aside(mark)]
        source = folder.path / plan["name"]
        with folder.locked():
            try:
                with folder.unfinished("restore") as scratch:
                    parts.keeper.put_back(source / parts.keeper.file, scratch, mark)
                if plan["with_flags"]:
                    kept.append(self._put_flags_back(source / FLAGS, mark))
            except OSError as error:
                raise BackupFailed(f"restoring {plan['name']}: {error.strerror or error}") from error
        self._record(now, actor, plan)
        return {**plan, "kept_as": [one for one in kept if one], "restored": True}

    def _who_works(self) -> str | None:
        """Connections that are open, or a leader whose lease still beats."""
        return self._parts.keeper.in_use() or self._leader()

    def _leader(self) -> str | None:
        """A leader renews its lease every two seconds: one that does not within the lease's time is gone."""
        if not self._parts.keeper.is_readable():
            return None
        database, pause = self._open(), threading.Event()
        try:
            watch = LeaseWatch(database, self._parts.clock, self._is_gone)
            first = watch.leader()
            if not first["leads"]:
                return None
            until = self._parts.clock.monotonic() + self._watch_s
            while self._parts.clock.monotonic() < until:
                pause.wait(_LOOK_S)
                now = watch.leader()
                if not now["leads"]:
                    return None
                if now["still_s"] == 0.0:
                    return f"an autopilot ({str(now['holder']).partition('/')[0]}) leads on {database.label}"
            return None
        except (DatabaseDown, DBAPIError):
            return None  # damaged, or without a lease: nobody leads on it
        finally:
            database.close()

    def _flags_aside(self, mark: str) -> str | None:
        return f"{self._parts.flags}.{mark}" if self._parts.flags.exists() else None

    def _flag_changes(self, name: str) -> dict[str, Any]:
        now, then = _flags(self._parts.flags), _flags(self._parts.folder.path / name / FLAGS)
        return {flag: [now.get(flag), then.get(flag)] for flag in sorted({*now, *then}) if now.get(flag) != then.get(flag)}

    def _put_flags_back(self, source: Path, mark: str) -> str | None:
        flags = self._parts.flags
        kept = self._flags_aside(mark)
        flags.parent.mkdir(parents=True, exist_ok=True)
        if kept is not None:
            Path(kept).write_bytes(flags.read_bytes())
        scratch = flags.with_name(f".{flags.name}.{mark}")
        scratch.write_bytes(source.read_bytes())
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        scratch.replace(flags)
        sync(flags.parent)
        return kept

    def _record(self, now: datetime, actor: str, plan: dict[str, Any]) -> None:
        database = self._open()
        try:
            with database.write() as connection:
                record_change(connection, now, actor, "restore", None, {"backup": plan["name"]})
        finally:
            database.close()


def _flags(path: Path) -> dict[str, Any]:
    """A flags file's keys; empty where it cannot be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
