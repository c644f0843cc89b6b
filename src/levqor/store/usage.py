"""Worker-hours that really ran, by minute, and what they cost until the ledger takes over (spec S1, C1)."""

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, delete, func, insert, select, update

from levqor.store.schema import worker_usage

KEEP = timedelta(days=40)
SECONDS_PER_HOUR = 3600


def add_usage(connection: Connection, now: datetime, fleet: str, worker_s: float, hourly_cost: Decimal) -> None:
    """Add worker-seconds to the current minute, at the price in force."""
    minute = now.replace(second=0, microsecond=0)
    this = (worker_usage.c.minute == minute) & (worker_usage.c.fleet == fleet)
    values = {"worker_s": worker_usage.c.worker_s + worker_s, "hourly_cost": str(hourly_cost)}
    if connection.execute(update(worker_usage).where(this).values(**values)).rowcount == 0:
        connection.execute(insert(worker_usage).values(minute=minute, fleet=fleet, worker_s=worker_s, hourly_cost=str(hourly_cost)))


def spend_since(connection: Connection, start: datetime) -> Decimal:
    """Money for worker-hours after `start`. No upper bound: minutes written before the wall clock was set back still count."""
    query = select(worker_usage.c.hourly_cost, func.sum(worker_usage.c.worker_s)).where(worker_usage.c.minute > start)
    rows = connection.execute(query.group_by(worker_usage.c.hourly_cost)).all()
    return sum((Decimal(cost) * Decimal(str(seconds)) / SECONDS_PER_HOUR for cost, seconds in rows), Decimal(0))


def purge_usage(connection: Connection, now: datetime) -> None:
    connection.execute(delete(worker_usage).where(worker_usage.c.minute < now - KEEP))
