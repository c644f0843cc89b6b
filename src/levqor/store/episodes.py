"""The journal of alerts: an episode is opened once, and closed when its cause has gone."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from levqor.store.schema import episodes

KEEP = timedelta(days=366)


def open_episodes(connection: Connection) -> dict[str, dict[str, Any]]:
    """Every open episode by its key."""
    rows = connection.execute(select(episodes).where(episodes.c.closed_at.is_(None))).mappings()
    return {row["key"]: dict(row) for row in rows}


def sync_episodes(connection: Connection, now: datetime, wanted: dict[str, tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Open what is wanted and not open, close what is open and no longer wanted; the keys opened and closed.

    `wanted` maps an episode's key to its severity and summary.
    """
    current = open_episodes(connection)
    opened = [key for key in wanted if key not in current]
    closed = [key for key in current if key not in wanted]
    for key in opened:
        severity, summary = wanted[key]
        connection.execute(insert(episodes).values(key=key[:200], severity=severity, summary=summary[:500], opened_at=now))
    if closed:
        ids = [current[key]["id"] for key in closed]
        connection.execute(update(episodes).where(episodes.c.id.in_(ids)).values(closed_at=now))
    return opened, closed


def list_episodes(connection: Connection, *, open_only: bool, limit: int = 200) -> list[dict[str, Any]]:
    """Episodes, the newest first."""
    query = select(episodes).order_by(episodes.c.id.desc()).limit(limit)
    if open_only:
        query = query.where(episodes.c.closed_at.is_(None))
    return [
        {**row, "opened_at": row["opened_at"].isoformat(), "closed_at": row["closed_at"] and row["closed_at"].isoformat()}
        for row in connection.execute(query).mappings()
    ]


def purge_episodes(connection: Connection, now: datetime) -> None:
    connection.execute(delete(episodes).where(episodes.c.closed_at < now - KEEP))
