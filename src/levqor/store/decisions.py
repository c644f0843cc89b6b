"""Decision records: every tick's can be replayed, changes and acts are kept for 90 days (spec A11)."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from levqor.store.schema import action_totals, decisions

KEEP_CHANGES = timedelta(days=90)
KEEP_TICKS = timedelta(days=1)
SLACK = timedelta(days=1)
"""Kept on top, so that a wall clock that jumps by hours purges nothing (spec P1)."""


def record_decision(
    connection: Connection, *, at: datetime, fleet: str, term: int, applied: bool, is_change: bool, record: dict[str, Any]
) -> int:
    """Write one record; its id. A change of action or an act also counts in the totals by action."""
    action = record["decision"]["action"]
    values = {"at": at, "fleet": fleet, "term": term, "action": action, "applied": applied, "is_change": is_change, "record": record}
    number = int(connection.execute(insert(decisions).values(**values).returning(decisions.c.id)).scalar_one())
    if is_change:
        _count_action(connection, action)
    return number


def _count_action(connection: Connection, action: str) -> None:
    counted = update(action_totals).where(action_totals.c.action == action).values(total=action_totals.c.total + 1)
    if connection.execute(counted).rowcount == 0:
        connection.execute(insert(action_totals).values(action=action, total=1))


def count_actions(connection: Connection) -> dict[str, int]:
    """How often each action began or was taken, since the installation's first day."""
    return {row.action: row.total for row in connection.execute(select(action_totals))}


def list_decisions(
    connection: Connection, *, limit: int, since: datetime | None = None, until: datetime | None = None, changes: bool = True
) -> list[dict[str, Any]]:
    """Records, the newest first."""
    query = select(decisions).order_by(decisions.c.id.desc()).limit(limit)
    if changes:
        query = query.where(decisions.c.is_change)
    if since is not None:
        query = query.where(decisions.c.at >= since)
    if until is not None:
        query = query.where(decisions.c.at <= until)
    return _rows(connection, query)


def decision_at(connection: Connection, at: datetime) -> dict[str, Any] | None:
    """The decision in force at a moment: the last one recorded at or before it."""
    query = select(decisions).where(decisions.c.at <= at).order_by(decisions.c.at.desc(), decisions.c.id.desc()).limit(1)
    rows = _rows(connection, query)
    return rows[0] if rows else None


def decision_by_id(connection: Connection, number: int) -> dict[str, Any] | None:
    """One record."""
    rows = _rows(connection, select(decisions).where(decisions.c.id == number))
    return rows[0] if rows else None


def purge_decisions(connection: Connection, now: datetime) -> int:
    """Drop what has been kept long enough; how many rows."""
    ticks = delete(decisions).where(decisions.c.is_change.is_(False), decisions.c.at < now - KEEP_TICKS - SLACK)
    changes = delete(decisions).where(decisions.c.at < now - KEEP_CHANGES - SLACK)
    return connection.execute(ticks).rowcount + connection.execute(changes).rowcount


def _rows(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [
        {"id": row.id, "at": row.at.isoformat(), "fleet": row.fleet, "term": row.term, "is_change": row.is_change, **row.record}
        for row in connection.execute(query)
    ]
