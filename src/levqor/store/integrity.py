"""Is the database sound? What it says of itself, and rows that contradict one another (spec V2). Reads only."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, exists, func, not_, or_, select, text

from levqor.store import schema
from levqor.store.database import Database
from levqor.store.schema import SCHEMA

PATIENCE_MS = 300_000

INVALID_INDEXES = """
    SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND NOT (i.indisvalid AND i.indisready)
"""
UNPROVEN_CONSTRAINTS = """
    SELECT c.conname FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
    WHERE n.nspname = :schema AND NOT c.convalidated
"""
CHECKSUM_FAILURES = "SELECT coalesce(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()"


def engine_problems(database: Database) -> list[str]:
    """What the database finds wrong with its own files, indexes and constraints. Raises DatabaseDown."""
    with _patient(database) as connection:
        return _sqlite_problems(connection) if database.is_sqlite else _postgresql_problems(connection)


@contextmanager
def _patient(database: Database) -> Iterator[Connection]:
    """A read that may take longer than those that people wait for."""
    with database.read() as connection:
        if not database.is_sqlite:
            connection.execute(text(f"SET LOCAL statement_timeout = {PATIENCE_MS}"))
        yield connection


def _sqlite_problems(connection: Connection) -> list[str]:
    said = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(20)")]
    problems = [line for line in said if line != "ok"]
    problems += [f"{row[0]}: a row refers to {row[2]} that is not there" for row in connection.exec_driver_sql("PRAGMA foreign_key_check")]
    return problems


def _postgresql_problems(connection: Connection) -> list[str]:
    values = {"schema": SCHEMA}
    problems = [f"index {name} is not valid" for name in connection.execute(text(INVALID_INDEXES), values).scalars()]
    problems += [f"constraint {name} was never proven" for name in connection.execute(text(UNPROVEN_CONSTRAINTS), values).scalars()]
    failures = connection.execute(text(CHECKSUM_FAILURES)).scalar_one()
    return problems + ([f"{failures} pages had a wrong checksum"] if failures else [])


def row_problems(database: Database) -> list[str]:
    """Rows that no code of this version writes: orphans, impossible figures. Raises DatabaseDown."""
    with _patient(database) as connection:
        return [f"{count} {what}" for what, table, where in _contradictions() if (count := _count(connection, table, where))]


def _count(connection: Connection, table: Table, where: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(where)).scalar_one())


def _lacks(child: Any, parent: Any) -> ColumnElement[bool]:
    """A row of the child's table that names no row of the parent's."""
    return and_(child.is_not(None), not_(exists(select(parent).where(parent == child).correlate(child.table))))


def _contradictions() -> list[tuple[str, Table, ColumnElement[bool]]]:
    days = schema.analytics_aggregates
    unfit = or_(days.c.dau < 0, days.c.dau > days.c.wau, days.c.wau > days.c.mau)
    return [
        ("recoveries without an incident", schema.recoveries, _lacks(schema.recoveries.c.incident_id, schema.incidents.c.id)),
        ("steps without a recovery", schema.recovery_steps, _lacks(schema.recovery_steps.c.recovery_id, schema.recoveries.c.id)),
        ("deliveries without an alert", schema.alert_deliveries, _lacks(schema.alert_deliveries.c.alert_id, schema.alerts.c.id)),
        ("active days of nobody", schema.activity, _lacks(schema.activity.c.user_id, schema.users.c.id)),
        ("days whose counts do not fit into one another", days, unfit),
        ("timers below zero", schema.timers, schema.timers.c.accrued_s < 0),
        ("worker-hours below zero", schema.worker_usage, schema.worker_usage.c.worker_s < 0),
        ("minutes of work below zero", schema.work_minutes, schema.work_minutes.c.covered_s < 0),
        ("action totals below zero", schema.action_totals, schema.action_totals.c.total < 0),
    ]
