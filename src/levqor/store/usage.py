"""Worker-hours that really ran, by minute, at the price in force (spec S1, C1)."""

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, delete, func, insert, select, update

from levqor.domain.spending import EXACT, total
from levqor.store.schema import worker_usage

KEEP = timedelta(days=40)
SECONDS_PER_HOUR = Decimal(3600)


def add_usage(connection: Connection, now: datetime, fleet: str, worker_s: float, hourly_cost: Decimal) -> None:
    """Add worker-seconds to the current minute, at the price in force."""
    minute = now.replace(second=0, microsecond=0)
    this = (worker_usage.c.minute == minute) & (worker_usage.c.fleet == fleet)
    values = {"worker_s": worker_usage.c.worker_s + worker_s, "hourly_cost": str(hourly_cost)}
    if connection.execute(update(worker_usage).where(this).values(**values)).rowcount == 0:
        connection.execute(insert(worker_usage).values(minute=minute, fleet=fleet, worker_s=worker_s, hourly_cost=str(hourly_cost)))


def spend_since(connection: Connection, start: datetime) -> Decimal:
    """Money for worker-hours after `start`. No upper bound: minutes written before the wall clock was set back still count."""
    return worker_spend(connection, start, None)


def worker_spend(connection: Connection, start: datetime, end: datetime | None) -> Decimal:
    """Money for the minutes that began in (start, end]; `end` None: and all later ones."""
    return total(list(_by_fleet(connection, start, end).values()))


def fleet_spend(connection: Connection, start: datetime, end: datetime) -> dict[str, Decimal]:
    """The same by fleet."""
    return _by_fleet(connection, start, end)


def first_minute(connection: Connection) -> datetime | None:
    """The oldest minute that is kept."""
    found: datetime | None = connection.execute(select(func.min(worker_usage.c.minute))).scalar_one()
    return found


def purge_usage(connection: Connection, now: datetime) -> None:
    """Whole days only: a day has all its minutes, or its line in the ledger stands for them."""
    oldest = (now - KEEP).replace(hour=0, minute=0, second=0, microsecond=0)
    connection.execute(delete(worker_usage).where(worker_usage.c.minute < oldest))


def _by_fleet(connection: Connection, start: datetime, end: datetime | None) -> dict[str, Decimal]:
    columns = worker_usage.c.fleet, worker_usage.c.hourly_cost
    query = select(*columns, func.sum(worker_usage.c.worker_s).label("seconds")).where(worker_usage.c.minute > start)
    if end is not None:
        query = query.where(worker_usage.c.minute <= end)
    sums: dict[str, Decimal] = {}
    for row in connection.execute(query.group_by(*columns)):
        # The seconds are a measurement; from here on no float touches money.
        amount = EXACT.divide(EXACT.multiply(Decimal(row.hourly_cost), Decimal(str(row.seconds))), SECONDS_PER_HOUR)
        sums[row.fleet] = EXACT.add(sums.get(row.fleet, Decimal(0)), amount)
    return sums
