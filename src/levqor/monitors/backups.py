"""Backups: made, looked at, counted and dropped. What a backup is stays whole whatever happens to us meanwhile."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from levqor.domain.backups import Backup, BackupFailed, Examined
from levqor.domain.errors import NotFound
from levqor.policies.backups import superfluous
from levqor.ports import Clock, Keeper
from levqor.store.backups import LATEST, BackupFolder, Contents
from levqor.store.database import SchemaError, known_revisions
from levqor.store.manifest import MANIFEST, FileFacts, Manifest, write_private

FLAGS = "flags.json"
FLAGS_MAX_BYTES = 65_536
ROOM_SPARE_BYTES = 16_000_000
"""Left free beyond what a copy takes: a full disk takes more down than a backup."""


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class BackupParts:
    """What the desk works with; `bootstrap` hands it in."""

    folder: BackupFolder
    keeper: Keeper
    flags: Path
    clock: Clock
    version: str
    daily: int
    weekly: int
    free: Callable[[Path], int] = _free


def last_backup(folder: Path) -> Backup | None:
    """The newest backup in a folder. Raises BackupFailed where the folder cannot be read."""
    found = BackupFolder(folder).backups()
    return found[-1] if found else None


class BackupDesk:
    """What the command line, the daily summary and the nightly integrity check ask."""

    def __init__(self, parts: BackupParts) -> None:
        self._parts = parts

    def latest(self) -> Backup | None:
        """The newest backup. Raises BackupFailed where the folder cannot be read."""
        return last_backup(self._parts.folder.path)

    def listing(self) -> dict[str, Any]:
        """Every backup, the newest first."""
        found = [backup.as_dict() for backup in reversed(self._parts.folder.backups())]
        return {"folder": str(self._parts.folder.path), "backups": found}

    def plan(self) -> dict[str, Any]:
        """What `create` would do, and whether there is room."""
        folder, need = self._parts.folder.path, self._room()
        return {"folder": str(folder), "database": self._parts.keeper.label, "bytes": need, "free_bytes": self._free_at(folder)}

    def create(self) -> dict[str, Any]:
        """Make one. Raises BackupFailed, NotFound, DatabaseDown, GuardRefused; the earlier ones stand."""
        parts = self._parts
        need = self._room()
        with parts.folder.locked():
            self._claim_room(need)
            now = parts.clock.now()
            try:
                with parts.folder.unfinished("create") as place:
                    manifest = self._fill(place, now)
                    name = parts.folder.publish(place, now)
            except OSError as error:
                raise BackupFailed(f"folder {parts.folder.path}: {error.strerror or error}") from error
        made = parts.folder.find(name)
        return {**made.as_dict(), "path": str(parts.folder.path / name), "rows": sum(manifest.rows.values()), "tables": len(manifest.rows)}

    def verify(self, name: str = LATEST) -> dict[str, Any]:
        """Restore one in a scratch place and compare. Raises NotFound, SchemaError where it is newer, and what keeps us from looking."""
        parts = self._parts
        backup = parts.folder.find(name)
        with parts.folder.locked():
            contents = parts.folder.contents(backup.name)
            _refuse_newer(backup)
            examined = self._examine(backup, contents)
            problems = [*contents.problems, *self._compare(contents, examined)]
            now = parts.clock.now()
            report: dict[str, Any] = {
                "ok": not problems,
                "name": backup.name,
                "at": backup.at.isoformat(),
                "age_s": round((now - backup.at).total_seconds()),
                "size": backup.size,
                "database": backup.database,
                "revision": backup.revision,
                "how": examined.how if examined else None,
                "rows": sum(examined.rows.values()) if examined else None,
                "problems": problems,
                "checked_at": now.isoformat(),
            }
            return {**report, "noted": self._note(backup.name, contents.manifest, report, now)}

    def verify_newest(self) -> dict[str, Any]:
        """As `verify`; where there is no backup yet that is the problem."""
        try:
            return self.verify()
        except NotFound as error:
            return {"ok": False, "name": None, "at": None, "how": None, "problems": [str(error)]}

    def prune(self, *, dry_run: bool = False) -> list[str]:
        """Delete what BACKUP_KEEP_DAILY and BACKUP_KEEP_WEEKLY leave over; the names."""
        parts = self._parts
        with parts.folder.locked():
            names = [backup.name for backup in superfluous(parts.folder.backups(), daily=parts.daily, weekly=parts.weekly)]
            if not dry_run:
                try:
                    for name in names:
                        parts.folder.remove(name)
                except OSError as error:
                    raise BackupFailed(f"folder {parts.folder.path}: {error.strerror or error}") from error
        return names

    def cycle(self) -> dict[str, Any]:
        """Make one, verify it, and only if it is good drop what is superfluous."""
        made = self.create()
        report = self.verify(made["name"])
        deleted = self.prune() if report["ok"] else []
        kept = len(self._parts.folder.backups())
        return {"ok": report["ok"], "backup": made, "verified": report, "deleted": deleted, "kept": kept}

    def open(self, name: str) -> tuple[Backup, dict[str, Any]]:
        """A backup of this kind of database that was just verified, to be restored. Raises BackupFailed where it is not whole."""
        backup = self._parts.folder.find(name)
        if backup.database is not None and backup.database != self._parts.keeper.kind:
            raise BackupFailed(f"{backup.name} is of a {backup.database} database, this installation has {self._parts.keeper.label}")
        report = self.verify(backup.name)
        if not report["ok"]:
            raise BackupFailed(f"{backup.name} is not whole, nothing was touched: {'; '.join(report['problems'])}")
        return backup, report

    def _fill(self, place: Path, now: datetime) -> Manifest:
        parts = self._parts
        taken = parts.keeper.take(place)
        files = [parts.keeper.file]
        flags = _read_flags(parts.flags)
        if flags is not None:
            write_private(place / FLAGS, flags)
            files.append(FLAGS)
        manifest = Manifest(
            created_at=now,
            version=parts.version,
            revision=taken.revision,
            database=parts.keeper.kind,
            rows=taken.rows,
            files={file: FileFacts.of(place / file) for file in files},
        )
        write_private(place / MANIFEST, manifest.render())
        return manifest

    def _examine(self, backup: Backup, contents: Contents) -> Examined | None:
        """None where there is nothing to look into, or nothing that this installation can."""
        parts, manifest = self._parts, contents.manifest
        if (
            manifest is None
            or parts.keeper.file not in manifest.files
            or any(parts.keeper.file in problem for problem in contents.problems)
        ):
            return None
        self._claim_room(manifest.files[parts.keeper.file].size)
        try:
            with parts.folder.unfinished("verify") as scratch:
                return parts.keeper.examine(parts.folder.path / backup.name / parts.keeper.file, scratch)
        except OSError as error:
            raise BackupFailed(f"{backup.name} could not be looked into: {error.strerror or error}") from error

    def _compare(self, contents: Contents, examined: Examined | None) -> list[str]:
        manifest, keeper = contents.manifest, self._parts.keeper
        if manifest is None:
            return []
        if manifest.database != keeper.kind:
            raise BackupFailed(f"it is of a {manifest.database} database, this installation has {keeper.label}: it cannot be restored here")
        if examined is None:
            return [] if keeper.file in manifest.files else [f"{keeper.file} is not in its manifest"]
        problems = list(examined.problems)
        if not problems and examined.revision != manifest.revision:
            problems.append(f"its schema is {examined.revision}, its manifest says {manifest.revision}")
        if not problems and dict(examined.rows) != dict(manifest.rows):
            tables = sorted({*examined.rows, *manifest.rows})
            other = [table for table in tables if examined.rows.get(table) != manifest.rows.get(table)]
            problems.append(f"other row counts than its manifest says in {', '.join(other[:5])}")
        return problems

    def _note(self, name: str, manifest: Manifest | None, report: dict[str, Any], now: datetime) -> bool:
        """Write down beside the backup what was found; False where that place cannot be written."""
        note = {"ok": report["ok"], "at": now.isoformat(), "how": report["how"], "problems": report["problems"]}
        try:
            self._parts.folder.note_check(name, manifest, note)
        except OSError:
            return False
        return True

    def _room(self) -> int:
        return self._parts.keeper.size() + FLAGS_MAX_BYTES

    def _free_at(self, folder: Path) -> int:
        while not folder.exists():
            folder = folder.parent
        return self._parts.free(folder)

    def _claim_room(self, need: int) -> None:
        folder = self._parts.folder.path
        free = self._free_at(folder)
        if free < need + ROOM_SPARE_BYTES:
            needed = f"{(need + ROOM_SPARE_BYTES) / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free"
            raise BackupFailed(f"not enough room in {folder}: {needed}; earlier backups stand")


def _refuse_newer(backup: Backup) -> None:
    known = known_revisions()
    if backup.revision is not None and backup.revision not in known:
        raise SchemaError(f"{backup.name} has schema {backup.revision}, newer than this Levqor ({known[-1]}): install the newer version")


def _read_flags(path: Path) -> bytes | None:
    """The flags file as it is; None where there is none, or none that Levqor would read."""
    try:
        with path.open("rb") as file:
            data = file.read(FLAGS_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    return None if len(data) > FLAGS_MAX_BYTES else data
