"""The work that came in each minute, and the workers that were there for it: what the advice report plays again."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, case, delete, func, insert, select, update

from levqor.store.schema import work_minutes

KEEP = timedelta(days=31)
SLACK = timedelta(days=1)
"""Kept on top, so that a wall clock that jumps by hours purges nothing (spec P1)."""


@dataclass(frozen=True, slots=True)
class Work:
    """What was seen of `covered_s` seconds: jobs that came, worker-seconds, a job's mean length, the oldest wait. None: not known."""

    covered_s: float
    arrivals: float
    worker_s: float
    mean_service_s: float | None
    oldest_wait_s: float | None


def add_work(connection: Connection, now: datetime, fleet: str, seen: Work) -> None:
    """Add to the current minute. Its mean length is the last one known, its oldest wait the longest."""
    minute = now.replace(second=0, microsecond=0)
    table = work_minutes.c
    grown = {
        "covered_s": table.covered_s + seen.covered_s,
        "arrivals": table.arrivals + seen.arrivals,
        "worker_s": table.worker_s + seen.worker_s,
        "mean_service_s": func.coalesce(seen.mean_service_s, table.mean_service_s),
        "oldest_wait_s": table.oldest_wait_s,
    }
    if seen.oldest_wait_s is not None:
        is_longer = func.coalesce(table.oldest_wait_s, -1.0) < seen.oldest_wait_s
        grown["oldest_wait_s"] = case((is_longer, seen.oldest_wait_s), else_=table.oldest_wait_s)
    this = and_(table.minute == minute, table.fleet == fleet)
    if connection.execute(update(work_minutes).where(this).values(**grown)).rowcount == 0:
        values = {"covered_s": seen.covered_s, "arrivals": seen.arrivals, "worker_s": seen.worker_s}
        known = {"mean_service_s": seen.mean_service_s, "oldest_wait_s": seen.oldest_wait_s}
        connection.execute(insert(work_minutes).values(minute=minute, fleet=fleet, **values, **known))


def list_work(connection: Connection, fleet: str, since: datetime, until: datetime) -> list[tuple[datetime, Work]]:
    """The minutes that began in [since, until), the oldest first. A minute that nobody saw is not among them."""
    table = work_minutes.c
    within = and_(table.fleet == fleet, table.minute >= since, table.minute < until)
    rows = connection.execute(select(work_minutes).where(within).order_by(table.minute))
    return [(row.minute, Work(row.covered_s, row.arrivals, row.worker_s, row.mean_service_s, row.oldest_wait_s)) for row in rows]


def purge_work(connection: Connection, now: datetime) -> None:
    connection.execute(delete(work_minutes).where(work_minutes.c.minute < now - KEEP - SLACK))
