"""Roll-ups of telemetry: minutes for 24 hours, hours for 30 days, days for a year."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from levqor.store.schema import rollups

RESOLUTIONS: dict[str, tuple[timedelta, timedelta]] = {
    "minute": (timedelta(minutes=1), timedelta(hours=24)),
    "hour": (timedelta(hours=1), timedelta(days=30)),
    "day": (timedelta(days=1), timedelta(days=366)),
}
"""Width of a roll-up and how long it is kept."""

SLACK = timedelta(days=1)
"""Kept on top, so that a wall clock that jumps by hours purges nothing (spec P1)."""


def floor_to(resolution: str, at: datetime) -> datetime:
    """The start of the roll-up that holds a moment."""
    if resolution == "day":
        return at.replace(hour=0, minute=0, second=0, microsecond=0)
    if resolution == "hour":
        return at.replace(minute=0, second=0, microsecond=0)
    return at.replace(second=0, microsecond=0)


def put_rollup(connection: Connection, resolution: str, start: datetime, data: dict[str, Any]) -> None:
    """Write or replace one roll-up."""
    this = (rollups.c.resolution == resolution) & (rollups.c.start == start)
    if connection.execute(update(rollups).where(this).values(data=data)).rowcount == 0:
        connection.execute(insert(rollups).values(resolution=resolution, start=start, data=data))


def list_rollups(connection: Connection, resolution: str, since: datetime, until: datetime) -> list[tuple[datetime, dict[str, Any]]]:
    """Roll-ups that start in [since, until), the oldest first. A gap is a gap."""
    query = select(rollups.c.start, rollups.c.data).where(
        rollups.c.resolution == resolution, rollups.c.start >= since, rollups.c.start < until
    )
    return [(row.start, row.data) for row in connection.execute(query.order_by(rollups.c.start))]


def last_rollup(connection: Connection, resolution: str, before: datetime) -> datetime | None:
    """The start of the newest roll-up before a moment."""
    query = select(func.max(rollups.c.start)).where(rollups.c.resolution == resolution, rollups.c.start < before)
    start: datetime | None = connection.execute(query).scalar_one()
    return start


def purge_rollups(connection: Connection, now: datetime) -> None:
    for resolution, (_width, keep) in RESOLUTIONS.items():
        connection.execute(delete(rollups).where(rollups.c.resolution == resolution, rollups.c.start < now - keep - SLACK))
