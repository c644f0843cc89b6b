"""A desk for backups over a test's database, and rows to be found again."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import text
from tests.clock import ManualClock

from levqor.monitors.backups import BackupDesk, BackupParts
from levqor.monitors.restore import Restore
from levqor.store.backup_postgresql import PostgresKeeper
from levqor.store.backup_sqlite import SqliteKeeper
from levqor.store.backups import BackupFolder
from levqor.store.database import VERSION_TABLE, Database
from levqor.store.schema import SCHEMA

FLAGS = '{"AUTOSCALE_ENABLED": true, "WORKER_COUNT": 3}\n'


@dataclass(frozen=True)
class Place:
    """A folder with a database, a flags file and backups."""

    folder: Path
    database: Database
    clock: ManualClock
    parts: BackupParts

    @property
    def desk(self) -> BackupDesk:
        return BackupDesk(self.parts)

    @property
    def restore(self) -> Restore:
        return Restore(self.desk, self.parts, lambda _holder: True, lambda: Database(self.database.url), watch_s=0.0)

    def restored(self, name: str = "latest", *, keep_flags: bool = False) -> dict[str, Any]:
        return self.restore.run(self.restore.plan(name, keep_flags=keep_flags), "ana")

    def with_free(self, free: int) -> "Place":
        return replace(self, parts=replace(self.parts, free=lambda _folder: free))

    def backup(self, name: str) -> Path:
        return self.parts.folder.path / name


def place_of(database: Database, folder: Path) -> Place:
    flags = folder / "config" / "flags.json"
    flags.parent.mkdir(exist_ok=True)
    flags.write_text(FLAGS, encoding="utf-8")
    clock = ManualClock()
    sqlite = database.is_sqlite
    keeper = SqliteKeeper(Path(str(database.url.database))) if sqlite else PostgresKeeper(database.url, dict(os.environ), clock)
    parts = BackupParts(BackupFolder(folder / "backups"), keeper, flags, clock, "0.1.0", daily=7, weekly=4)
    return Place(folder, database, clock, parts)


def named(database: Database, table: str) -> str:
    return table if database.is_sqlite else f"{SCHEMA}.{table}"


def fill(database: Database, rows: int = 3) -> None:
    """Rows that every version of the schema has a place for."""
    audit, at = named(database, "audit"), "2026-03-01 12:00:00"
    words = "A line\nof two, with a tab\tand a \\. of its own"
    with database.write() as connection:
        for number in range(rows):
            query = text(f"INSERT INTO {audit} (at, actor, what, note) VALUES (:at, 'ana', :what, :note)")
            connection.execute(query, {"at": at, "what": f"change {number}", "note": words})


def notes(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        query = text(f"SELECT what, note FROM {named(database, 'audit')} WHERE what LIKE 'change%' ORDER BY id")
        return [(row[0], row[1]) for row in connection.execute(query)]


def set_revision(database: Database, revision: str) -> None:
    with database.write() as connection:
        connection.execute(text(f"UPDATE {named(database, VERSION_TABLE)} SET version_num = '{revision}'"))


def drop_aside(database: Database) -> None:
    """What restores set aside on a server that other tests use too."""
    if not database.is_sqlite:
        with database.write() as connection:
            found = connection.execute(text(f"SELECT nspname FROM pg_namespace WHERE nspname LIKE '{SCHEMA}_before%'")).all()
            for (name,) in found:
                connection.execute(text(f'DROP SCHEMA "{name}" CASCADE'))
