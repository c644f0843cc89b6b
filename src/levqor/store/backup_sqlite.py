"""Copies of the SQLite database by the engine's own backup call, and the way back."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL, update

from levqor.domain.backups import BackupFailed, Examined, How, Taken
from levqor.domain.errors import DatabaseDown, LevqorError, NotFound
from levqor.store.database import VERSION_TABLE, Database
from levqor.store.manifest import create_private, sync
from levqor.store.schema import leases

BUSY_S = 5.0
_HEADER = b"SQLite format 3\x00"
BESIDE = ("-wal", "-shm", "-journal")
"""What belongs to the database that it lies beside; under a restored one, its old pages would be replayed into it."""

TERMS_AHEAD = 100_000
"""A restored database's term leaps ahead: the store may have seen terms that the backup does not know, and refuses older ones."""


class SqliteKeeper:
    """Takes, examines and puts back copies of one SQLite file."""

    kind = "sqlite"
    file = "levqor.db"

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def label(self) -> str:
        return str(self._path)

    def size(self) -> int:
        """Bytes that a copy takes at most. Raises NotFound where there is no database."""
        if not self._path.exists():
            raise NotFound(f"there is no database yet at {self._path}")
        return sum(place.stat().st_size for place in (self._path, Path(f"{self._path}-wal")) if place.exists())

    def take(self, folder: Path) -> Taken:
        """Write a copy as it is at one moment; writers go on. It is one file, checked. Raises BackupFailed."""
        copy = folder / self.file
        create_private(copy)
        with _failing(f"copying {self._path}"), closing(_open(self._path)) as source, closing(_open(copy)) as target:
            source.backup(target)  # all pages in one step: a step at a time, each write meanwhile would start it anew
            target.execute("PRAGMA journal_mode=DELETE")
            damage = _damage(target)
            taken = Taken(_revision(target), _counts(target))
        if damage:
            raise BackupFailed(f"the database {self._path} is itself damaged: {damage[0]}; earlier backups stand")
        sync(copy)
        return taken

    def examine(self, file: Path, scratch: Path) -> Examined:
        """Open a copy of the copy, check and count it, and bring it to this version's schema. Raises SchemaError where it is newer."""
        trial = scratch / "trial.db"
        with _failing(f"copying {file}"):
            shutil.copyfile(file, trial)
        try:
            with closing(_open(trial)) as opened:
                damage = _damage(opened)
                if damage:
                    return Examined(How.RESTORED, None, {}, damage)
                found = Examined(How.RESTORED, _revision(opened), _counts(opened))
        except sqlite3.DatabaseError as error:
            return Examined(How.RESTORED, None, {}, [f"cannot be opened: {error}"])
        _migrated(trial)
        return found

    def is_readable(self) -> bool:
        """Is there a SQLite file? Anything else is not even opened: SQLite might drop the log that lies beside it."""
        try:
            with self._path.open("rb") as file:
                return file.read(len(_HEADER)) == _HEADER
        except OSError:
            return False

    def in_use(self) -> str | None:
        """Who holds the database open, in words; None where nobody does. Changes nothing."""
        if not self.is_readable():
            return None
        try:
            with closing(_open(self._path, timeout_s=0.5)) as connection:
                # In this mode the first access needs the file for itself, even from processes that are idle.
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            return f"another process has {self._path} open" if "locked" in str(error) else None
        except sqlite3.DatabaseError:
            return None  # damaged: that is why it is to be replaced
        return None

    def aside(self, mark: str) -> str | None:
        """What the present database will be called; None where there is none."""
        return f"{self._path}.{mark}" if self._path.exists() else None

    def put_back(self, file: Path, scratch: Path, mark: str) -> None:
        """Put a copy in the database's place, at this version's schema. At every moment there is a whole database in that place."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        ready = self._path.with_name(f".{self._path.name}.{mark}")
        with _failing(f"restoring {self._path}"):
            trial = scratch / "restored.db"
            shutil.copyfile(file, trial)
            _migrated(trial, least_term=self._term())
            with closing(_open(trial)) as opened:
                opened.execute("PRAGMA journal_mode=DELETE")
            try:
                ready.unlink(missing_ok=True)
                create_private(ready)
                shutil.copyfile(trial, ready)
                sync(ready)
                self._keep(mark)
                ready.replace(self._path)
            finally:
                ready.unlink(missing_ok=True)
            sync(self._path.parent)

    def _term(self) -> int:
        """The newest term that the present database knows; 0 where it cannot be read."""
        if not self.is_readable():
            return 0
        try:
            with closing(_open(self._path)) as connection:
                return int(connection.execute("SELECT max(term) FROM leases").fetchone()[0] or 0)
        except sqlite3.DatabaseError:
            return 0

    def _keep(self, mark: str) -> None:
        """Give what is there a second name, with its log beside it where it cannot be folded in; then the log's own name goes."""
        if not self._path.exists():
            return
        self._fold_log()
        for suffix in ("", *BESIDE):
            present = Path(f"{self._path}{suffix}")
            if present.exists():
                _second_name(present, Path(f"{self._path}.{mark}{suffix}"))
        sync(self._path.parent)
        for suffix in BESIDE:
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)

    def _fold_log(self) -> None:
        """Raises OperationalError where another process has the database open; a damaged one stays as it is, with its log."""
        if self.is_readable():
            try:
                with closing(_open(self._path)) as connection:
                    connection.execute("PRAGMA journal_mode=DELETE")
            except sqlite3.DatabaseError as error:
                if "locked" in str(error):
                    raise


def _second_name(present: Path, kept: Path) -> None:
    try:
        os.link(present, kept)
    except OSError:
        shutil.copy2(present, kept)  # no hard links here
        sync(kept)


@contextmanager
def _failing(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "unable to open" in str(error):
            raise DatabaseDown(f"{what}: {error}") from error
        raise BackupFailed(f"{what}: {error}") from error
    except (sqlite3.Error, OSError) as error:
        raise BackupFailed(f"{what}: {error}") from error


def _open(path: Path, timeout_s: float = BUSY_S) -> sqlite3.Connection:
    """A connection to a file that is there; none is made."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=timeout_s, isolation_level=None)


def _damage(connection: sqlite3.Connection) -> list[str]:
    found = [row[0] for row in connection.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
    return [*found, *(f"a row of {row[0]} refers to none" for row in connection.execute("PRAGMA foreign_key_check").fetchmany(5))]


def _revision(connection: sqlite3.Connection) -> str | None:
    """The schema's version; None in a database that was never migrated."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name=?", (VERSION_TABLE,)).fetchone():
        return None
    row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 (our own word)
    return None if row is None else str(row[0])


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    query = "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    names = [str(row[0]) for row in connection.execute(query)]
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in names}
    return {name: int(connection.execute(f"SELECT count(*) FROM {quoted[name]}").fetchone()[0]) for name in names}  # noqa: S608


def _migrated(path: Path, least_term: int | None = None) -> None:
    """Bring a scratch database to this version's schema; with `least_term`, free its leases for terms beyond it."""
    database = Database(URL.create("sqlite", database=str(path)))
    try:
        database.migrate()
        if least_term is not None:
            with database.write() as connection:
                connection.execute(update(leases).where(leases.c.term < least_term).values(term=least_term))
                connection.execute(update(leases).values(term=leases.c.term + TERMS_AHEAD, holder=None))
    except LevqorError:
        raise
    except Exception as error:
        raise BackupFailed(f"the copy cannot be brought to this version's schema: {error}") from error
    finally:
        database.close()


def restored_mark(at: datetime) -> str:
    """What the replaced is marked with."""
    return f"before-restore-{at:%Y%m%dT%H%M%SZ}"
