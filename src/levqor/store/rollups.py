"""Roll-ups of telemetry: minutes for 24 hours, hours for 30 days, days for a year."""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Counts:
    """What a span held: requests, those that failed and that took too long, probes and those that failed."""

    requests: int = 0
    failed: int = 0
    slow: int = 0
    probes: int = 0
    probes_failed: int = 0


def sum_counts(connection: Connection, resolution: str, since: datetime, until: datetime, slow_ms: float) -> Counts:
    """The counts of the roll-ups that start in [since, until), added up where they lie: a month of sketches is megabytes to read."""
    paths = (("http", "total"), ("http", "failed"), ("http", "over", repr(float(slow_ms))), ("probes", "total"), ("probes", "failed"))
    sums = [func.coalesce(func.sum(rollups.c.data[path].as_integer()), 0) for path in paths]
    this = (rollups.c.resolution == resolution, rollups.c.start >= since, rollups.c.start < until)
    return Counts(*(int(total) for total in connection.execute(select(*sums).where(*this)).one()))


def list_starts(connection: Connection, resolution: str, since: datetime, until: datetime) -> list[datetime]:
    """When the roll-ups in [since, until) start, the oldest first."""
    query = select(rollups.c.start).where(rollups.c.resolution == resolution, rollups.c.start >= since, rollups.c.start < until)
    return [row.start for row in connection.execute(query.order_by(rollups.c.start))]


def last_rollup(connection: Connection, resolution: str, before: datetime) -> datetime | None:
    """The start of the newest roll-up before a moment."""
    query = select(func.max(rollups.c.start)).where(rollups.c.resolution == resolution, rollups.c.start < before)
    start: datetime | None = connection.execute(query).scalar_one()
    return start


def purge_rollups(connection: Connection, now: datetime) -> None:
    for resolution, (_width, keep) in RESOLUTIONS.items():
        connection.execute(delete(rollups).where(rollups.c.resolution == resolution, rollups.c.start < now - keep - SLACK))
