"""Backups, and the way back from one."""

from pathlib import Path

from levqor.bootstrap.database import open_database, version
from levqor.bootstrap.processes import is_surely_gone
from levqor.monitors.backups import BackupDesk, BackupParts
from levqor.monitors.restore import Restore
from levqor.ports import Clock
from levqor.settings import Settings, inherited_environment
from levqor.store.backup_postgresql import PostgresKeeper
from levqor.store.backup_sqlite import SqliteKeeper
from levqor.store.backups import BackupFolder
from levqor.store.database import database_url


def backup_parts(settings: Settings, clock: Clock) -> BackupParts:
    """What backups are made of; nothing is opened."""
    url = database_url(None if settings.database_url is None else settings.database_url.get_secret_value(), settings.data)
    is_sqlite = url.get_backend_name() == "sqlite"
    keeper = SqliteKeeper(Path(str(url.database))) if is_sqlite else PostgresKeeper(url, inherited_environment(), clock)
    return BackupParts(
        folder=BackupFolder(settings.backup_folder),
        keeper=keeper,
        flags=settings.flags,
        clock=clock,
        version=version(),
        daily=settings.backup_keep_daily,
        weekly=settings.backup_keep_weekly,
    )


def backup_desk(settings: Settings, clock: Clock) -> BackupDesk:
    """Backups of this installation; works with no service running."""
    return BackupDesk(backup_parts(settings, clock))


def restore_of(settings: Settings, clock: Clock) -> Restore:
    """The way back from a backup of this installation."""
    parts = backup_parts(settings, clock)
    return Restore(BackupDesk(parts), parts, is_surely_gone, lambda: open_database(settings))
