"""Which percents of a period's budget have been told: each once, whoever looks (spec C2)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from levqor.store.schema import budget_alerts

KEEP = timedelta(days=400)


def told_percents(connection: Connection, period: str) -> set[int]:
    """Those of this period."""
    return set(connection.execute(select(budget_alerts.c.percent).where(budget_alerts.c.period == period)).scalars())


def claim_percents(connection: Connection, now: datetime, period: str, percents: Sequence[int]) -> list[int]:
    """Take these for this transaction to tell; the ones that nobody else had taken."""
    return [percent for percent in percents if _claim(connection, now, period, percent)]


def _claim(connection: Connection, now: datetime, period: str, percent: int) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(insert(budget_alerts).values(period=period, percent=percent, told_at=now))
    except IntegrityError:
        return False
    return True


def purge_budget_alerts(connection: Connection, now: datetime) -> None:
    connection.execute(delete(budget_alerts).where(budget_alerts.c.told_at < now - KEEP))
