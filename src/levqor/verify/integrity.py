"""What the nightly check adds: the database, the newest backup, the logs, the schedule (spec V2)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from levqor.ports import Clock
from levqor.store.database import Database
from levqor.store.integrity import engine_problems, row_problems
from levqor.store.verifications import has_run
from levqor.verify import logs
from levqor.verify.checks import Check, NotApplicable, NotAsExpected, Stage, must

LIMIT_S = 600.0
MOST_NAMED = 5
BACKUP_JOBS = ("backup", "backup-cycle")


@dataclass(frozen=True, slots=True)
class Premises:
    """What is this machine's own; `bootstrap` hands it in. None: not there."""

    database: Database | None
    logs: Path
    clock: Clock
    verify_backup: Callable[[], dict[str, Any]] | None
    """Restores the newest backup into a scratch place: `ok`, `name` (None: there is none), `how`, `rows`, `problems`."""
    schedule_gaps: Callable[[], tuple[int, list[str]]] | None
    """How many due times were looked at, and those of which nothing is known."""


def integrity(premises: Premises, *, is_local: bool) -> tuple[Stage, ...]:
    """Four stages; nothing of them can be seen from another machine."""

    def check(name: str, expected: str, look: Callable[[Database], str]) -> Check:
        return Check(name, expected, lambda: _here(premises, look, is_local=is_local), LIMIT_S)

    rows = "no row that contradicts another: no orphans, no impossible figures"
    return (
        Stage(
            "database",
            (
                check("database_engine", "the database finds nothing wrong with its own files and constraints", _engine),
                check("database_rows", rows, _rows),
            ),
        ),
        Stage("backup", (check("backup", "the newest backup is restored into a scratch place", lambda _: _backup(premises)),)),
        Stage(
            "logs",
            (
                check("log_lines", "every line of the logs is a whole object of JSON", lambda _: logs.whole_lines(premises.logs)),
                check(
                    "log_continuity",
                    "every recovery of the last 7 days is told in incidents.log",
                    lambda database: logs.continuity(premises.logs, database, premises.clock.now()),
                ),
            ),
        ),
        Stage(
            "schedule",
            (
                check(
                    "schedule_gaps",
                    "every due time of the last two days was kept, or is known to have been missed",
                    lambda _: _schedule(premises),
                ),
            ),
        ),
    )


def _here(premises: Premises, look: Callable[[Database], str], *, is_local: bool) -> str:
    if not is_local:
        raise NotApplicable("it is on another machine")
    if premises.database is None:
        raise NotAsExpected("there is no database yet: `levqor up` makes it")
    return look(premises.database)


def _engine(database: Database) -> str:
    return _none(engine_problems(database), "sound")


def _rows(database: Database) -> str:
    return _none(row_problems(database), "consistent")


def _none(problems: list[str], well: str) -> str:
    more = f" and {len(problems) - MOST_NAMED} more" if len(problems) > MOST_NAMED else ""
    must(not problems, "; ".join(problems[:MOST_NAMED]) + more)
    return well


def _backup(premises: Premises) -> str:
    if premises.verify_backup is None:
        raise NotApplicable("this installation makes no backups")
    found = premises.verify_backup()
    if found["name"] is None:
        raise _no_backup(premises)
    must(found["ok"] is True, f"{found['name']}: {'; '.join(found['problems'])}")
    return f"{found['name']} {found['how']}, {found['rows']} rows"


def _no_backup(premises: Premises) -> Exception:
    """Before the first one is due there is nothing to restore; after it, its absence is what is wrong."""
    if premises.database is not None:
        with premises.database.read() as connection:
            if has_run(connection, BACKUP_JOBS):
                return NotAsExpected("no backup, although the schedule has run them")
    return NotApplicable("there is no backup yet: `levqor backup create` makes one")


def _schedule(premises: Premises) -> str:
    if premises.schedule_gaps is None:
        raise NotApplicable("this installation has no schedule")
    looked_at, gaps = premises.schedule_gaps()
    _none([f"nothing is known of {gap}" for gap in gaps], "")
    return f"{looked_at} due times, all accounted for"
