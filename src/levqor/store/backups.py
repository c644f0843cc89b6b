"""The folder of backups. A backup is a folder of its own, which has its final name only once it is whole and on the disk."""

import fcntl
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from levqor.domain.backups import Backup, BackupFailed, How
from levqor.domain.errors import GuardRefused, NotFound
from levqor.store.manifest import MANIFEST, FileFacts, Manifest, sync, write_private

CHECK = "verified.json"
"""What the last check found; written beside the manifest and bound to it by its checksum."""

LOCK = ".lock"
UNFINISHED = ".unfinished-"
LATEST = "latest"
_STAMP = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"(\d{8}T\d{6}Z)(?:-\d+)?")
_LOCK_WAIT_S = 30.0
_LOCK_POLL_S = 0.1


def name_of(at: datetime) -> str:
    """UTC time to the second, such as `20260214T020000Z`."""
    return at.astimezone(UTC).strftime(_STAMP)


@dataclass(frozen=True, slots=True)
class Contents:
    """A backup's manifest, where it can be trusted, and what is wrong with its files."""

    manifest: Manifest | None
    problems: list[str]


class BackupFolder:
    """Backups by name. Whoever changes anything holds the lock, so what is unfinished under the lock was left by a crash."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def backups(self) -> list[Backup]:
        """Every backup, the oldest first. Raises BackupFailed where the folder cannot be read."""
        try:
            names = [entry.name for entry in self.path.iterdir() if _NAME.fullmatch(entry.name) and entry.is_dir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BackupFailed(f"folder {self.path} cannot be read: {error.strerror}") from error
        found = [self._read(name) for name in names]
        return sorted(found, key=lambda backup: (backup.at, backup.name))

    def find(self, name: str) -> Backup:
        """One backup by its name, or the newest (`latest`). Raises NotFound."""
        backups = self.backups()
        found = backups[-1:] if name == LATEST else [backup for backup in backups if backup.name == name]
        if not found:
            raise NotFound(f"there is no backup {'yet' if name == LATEST else 'of that name'} in {self.path}; `levqor backup list`")
        return found[0]

    def contents(self, name: str) -> Contents:
        """Is each file there, of its size and checksum, and no other file beside it?"""
        folder = self.path / name
        try:
            manifest = Manifest.parse((folder / MANIFEST).read_bytes())
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            return Contents(None, [f"{MANIFEST}: {why}"])
        there = {entry.name for entry in folder.iterdir()} - {MANIFEST, CHECK}
        problems = [f"{extra} does not belong to it" for extra in sorted(there - set(manifest.files))]
        for file, facts in sorted(manifest.files.items()):
            problems += _compare(folder / file, facts)
        return Contents(manifest, problems)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One command at a time works in the folder, which is made if it is missing. Raises GuardRefused, BackupFailed."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise BackupFailed(f"cannot write in folder {self.path}: {error.strerror}") from error
        try:
            _await_lock(descriptor, self.path)
            self._sweep()
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def unfinished(self, what: str) -> Iterator[Path]:
        """A private folder to work in, under the lock; whatever is left in it goes at the end."""
        place = self.path / f"{UNFINISHED}{what}"
        try:
            place.mkdir(mode=0o700)
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def publish(self, place: Path, at: datetime) -> str:
        """Give a whole backup its final name: contents first, then the name, each on the disk."""
        sync(place)
        name, number = name_of(at), 1
        while (self.path / name).exists():
            number += 1
            name = f"{name_of(at)}-{number}"
        place.rename(self.path / name)
        sync(self.path)
        return name

    def remove(self, name: str) -> None:
        """The name goes first, so that no half of a backup is ever taken for one."""
        leaving = self.path / f"{UNFINISHED}removed-{name}"
        (self.path / name).rename(leaving)
        sync(self.path)
        shutil.rmtree(leaving)

    def note_check(self, name: str, manifest: Manifest | None, note: dict[str, Any]) -> None:
        """Write down what a check found. Raises OSError, and the earlier note stands."""
        folder = self.path / name
        scratch = self.path / f"{UNFINISHED}check-{name}"
        scratch.unlink(missing_ok=True)
        write_private(scratch, json.dumps({**note, "manifest": manifest and manifest.checksum}, indent=2).encode())
        scratch.replace(folder / CHECK)
        sync(folder)

    def _sweep(self) -> None:
        for entry in self.path.glob(f"{UNFINISHED}*"):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    def _read(self, name: str) -> Backup:
        folder = self.path / name
        stamp = _NAME.fullmatch(name)
        at = datetime.strptime(stamp[1], _STAMP).replace(tzinfo=UTC) if stamp else datetime.fromtimestamp(0, UTC)
        bare = Backup(name, at, size=folder_size(folder), verified=False)
        with suppress(OSError, ValueError):
            manifest = Manifest.parse((folder / MANIFEST).read_bytes())
            known = replace(bare, database=manifest.database, revision=manifest.revision, version=manifest.version, verified=None)
            return self._with_check(known, manifest)
        return bare

    def _with_check(self, backup: Backup, manifest: Manifest) -> Backup:
        try:
            note = json.loads((self.path / backup.name / CHECK).read_bytes())
            if note["manifest"] != manifest.checksum:
                return backup
            at, how = datetime.fromisoformat(note["at"]), How(note["how"]) if note["how"] else None
            return replace(backup, verified=note["ok"] is True, verified_at=at, how=how)
        except (OSError, ValueError, KeyError, TypeError):
            return backup  # never looked at, as far as anybody can tell


def folder_size(folder: Path) -> int:
    """Bytes of all files in it; what goes away meanwhile counts nothing."""
    total = 0
    for place, _, files in os.walk(folder):
        for file in files:
            with suppress(OSError):
                total += (Path(place) / file).lstat().st_size
    return total


def _compare(path: Path, facts: FileFacts) -> list[str]:
    try:
        if path.is_symlink() or not path.is_file():
            return [f"{path.name} is missing"]
        found = FileFacts.of(path)
    except OSError as error:
        return [f"{path.name} cannot be read: {error.strerror}"]
    if found.size != facts.size:
        return [f"{path.name} has {found.size} bytes, its manifest says {facts.size}"]
    return [] if found.sha256 == facts.sha256 else [f"{path.name} is not what was written: its checksum differs"]


def _await_lock(descriptor: int, path: Path) -> None:
    pause = threading.Event()
    for _ in range(int(_LOCK_WAIT_S / _LOCK_POLL_S)):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        pause.wait(_LOCK_POLL_S)
    raise GuardRefused(f"another backup command works in {path}; try again when it has ended")
