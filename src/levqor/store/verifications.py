"""Verifications and their reports: which is under way, and what the last ones found."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, insert, select, text, update

from levqor.store.schema import SCHEMA, recoveries, schedule_runs, verifications

KEEP = timedelta(days=90)


class VerificationState(StrEnum):
    """`broken`: it ended without a report."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"


def one_at_a_time(connection: Connection) -> None:
    """Whoever looks and then begins does so alone; on SQLite a write transaction is alone from its start."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {SCHEMA}.{verifications.name} IN SHARE ROW EXCLUSIVE MODE"))


def begin_verification(connection: Connection, now: datetime, suite: str, actor: str) -> int:
    """Write down that one begins; its id."""
    values = {"at": now, "suite": suite, "actor": actor[:200], "state": VerificationState.RUNNING.value}
    return int(connection.execute(insert(verifications).values(**values).returning(verifications.c.id)).scalar_one())


def end_verification(connection: Connection, number: int, state: VerificationState, report: dict[str, Any]) -> bool:
    """Write down what it came to; False where that is written already, or nobody began it."""
    this = (verifications.c.id == number) & (verifications.c.state == VerificationState.RUNNING.value)
    return connection.execute(update(verifications).where(this).values(state=state.value, report=report)).rowcount == 1


def running_verification(connection: Connection, since: datetime) -> dict[str, Any] | None:
    """The newest that began at `since` or later and has not ended; an older one has died."""
    is_running = (verifications.c.state == VerificationState.RUNNING.value) & (verifications.c.at >= since)
    return _first(connection, is_running)


def read_verification(connection: Connection, number: int) -> dict[str, Any] | None:
    return _first(connection, verifications.c.id == number)


def latest_verification(connection: Connection) -> dict[str, Any] | None:
    """The newest that has ended."""
    return _first(connection, verifications.c.state != VerificationState.RUNNING.value)


def _first(connection: Connection, where: Any) -> dict[str, Any] | None:
    query = select(verifications).where(where).order_by(verifications.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def purge_verifications(connection: Connection, now: datetime) -> None:
    connection.execute(delete(verifications).where(verifications.c.at < now - KEEP))


def ended_recoveries(connection: Connection, since: datetime, until: datetime) -> Sequence[tuple[int, datetime]]:
    """Number and start of each recovery that began at `since` or later and ended by `until`."""
    between = (recoveries.c.started_at >= since) & (recoveries.c.ended_at <= until)
    rows = connection.execute(select(recoveries.c.id, recoveries.c.started_at).where(between).order_by(recoveries.c.id))
    return [(row.id, row.started_at) for row in rows]


def has_run(connection: Connection, jobs: Sequence[str]) -> bool:
    """Has the schedule ever begun one of these jobs?"""
    begun = schedule_runs.c.job.in_(jobs) & schedule_runs.c.started_at.is_not(None)
    return connection.execute(select(schedule_runs.c.id).where(begun).limit(1)).first() is not None
