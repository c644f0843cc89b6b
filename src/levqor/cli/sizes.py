"""How large Levqor's own data have grown, and what to do where that is much: findings of `doctor`."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from levqor.domain.errors import LevqorError
from levqor.logfile import KEPT_FILES, MAX_BYTES
from levqor.store.backups import folder_size

if TYPE_CHECKING:
    from levqor.settings import Settings

DATABASE_WARN_BYTES = 4_000_000_000
FREE_WARN_BYTES = 256_000_000
LOG_WARN_BYTES = 64_000_000
STORE_WARN_BYTES = 4_000_000_000
LOGS_WARN_BYTES = 8 * (KEPT_FILES + 1) * MAX_BYTES
BACKUP_LATE_S = 2 * 86_400
BACKUPS_SPARE = 14
"""Single backups between two cycles, and some made by hand."""

Said = tuple[str, Literal["ok", "warn"], str]
"""What was found, whether it is `ok` or `warn`, and what mends it."""


def sizes(settings: "Settings") -> Iterator[tuple[str, Said]]:
    """The sizes of everything that grows, by name."""
    yield "size: database", _database(settings)
    yield "size: logs", _folder(settings.logs, LOGS_WARN_BYTES, "something writes there beside Levqor, or LOG_KEEP_DAYS is long")
    if settings.redis_url is None:
        mend = "finished jobs are kept for JOB_KEEP_S, dead ones for a year: `levqor dead list --group`"
        yield "size: store", _folder(settings.data / "store", STORE_WARN_BYTES, mend)
    yield "size: backups", _backups(settings)
    yield "backup", _newest_backup(settings)


def _database(settings: "Settings") -> Said:
    from levqor.bootstrap.backups import backup_parts
    from levqor.host import SystemClock

    keeper = backup_parts(settings, SystemClock()).keeper
    if keeper.kind == "sqlite":
        return _file_database(Path(keeper.label))
    try:
        size = keeper.size()
    except LevqorError as error:
        return f"unknown: {error}", "warn", "see the line on the database above"
    return _judged(size, DATABASE_WARN_BYTES, "schema levqor", "see which table has grown: activity and ledger are yours to keep")


def _file_database(path: Path) -> Said:
    if not path.exists():
        return "there is none yet", "ok", ""
    log = Path(f"{path}-wal")
    size, log_size = path.stat().st_size, log.stat().st_size if log.exists() else 0
    free = _free_bytes(path)
    what = f"{_megabytes(size)}, its write-ahead log {_megabytes(log_size)}, {_megabytes(free)} of it free"
    if log_size > LOG_WARN_BYTES:
        return what, "warn", "a process keeps a read open, so the log cannot shrink: look for a tool that has the file open"
    if free > FREE_WARN_BYTES:
        return what, "warn", f'free room is given back bit by bit; all at once, while nothing runs: `sqlite3 {path} "VACUUM"`'
    if size > DATABASE_WARN_BYTES:
        return what, "warn", "PostgreSQL (DATABASE_URL) is meant for this much"
    return what, "ok", ""


def _free_bytes(path: Path) -> int:
    """Of pages that hold nothing; 0 where it cannot be read now."""
    import sqlite3

    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=1.0)) as connection:
            pages, size = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("freelist_count", "page_size"))
    except sqlite3.Error:
        return 0
    return pages * size


def _folder(folder: Path, limit: int, mend: str) -> Said:
    return _judged(folder_size(folder), limit, str(folder), mend)


def _judged(size: int, limit: int, what: str, mend: str) -> Said:
    return (f"{_megabytes(size)} in {what}", "warn", mend) if size > limit else (f"{_megabytes(size)} in {what}", "ok", "")


def _backups(settings: "Settings") -> Said:
    from levqor.store.backups import BackupFolder

    folder = settings.backup_folder
    try:
        found = BackupFolder(folder).backups()
    except LevqorError as error:
        return str(error), "warn", f"`chown {folder}` to this user, or set LEVQOR_BACKUPS"
    what = f"{len(found)} of {_megabytes(folder_size(folder))} in {folder}"
    if len(found) > settings.backup_keep_daily + settings.backup_keep_weekly + BACKUPS_SPARE:
        return what, "warn", "`levqor backup cycle` deletes what is superfluous"
    if found and shutil.disk_usage(folder).free < 2 * found[-1].size:
        return f"{what}, and no room for two more", "warn", "free some space, set BACKUP_KEEP_DAILY lower, or move LEVQOR_BACKUPS"
    return what, "ok", ""


def _newest_backup(settings: "Settings") -> Said:
    from levqor.host import SystemClock
    from levqor.monitors.backups import last_backup

    try:
        newest = last_backup(settings.backup_folder)
    except LevqorError as error:
        return str(error), "warn", "`levqor backup create`"
    if newest is None:
        return "there is none yet", "warn", "`levqor backup cycle`"
    if newest.verified is False:
        return f"{newest.name} is not whole", "warn", "`levqor backup verify` says why; `levqor backup cycle` makes another"
    age_s = (SystemClock().now() - newest.at).total_seconds()
    if age_s > BACKUP_LATE_S:
        return f"the newest is {age_s / 86_400:.0f} days old", "warn", "`levqor backup cycle`; `levqor schedule list` says why none ran"
    return f"{newest.name}, {'proven to restore' if newest.verified else 'not verified yet'}", "ok", ""


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
