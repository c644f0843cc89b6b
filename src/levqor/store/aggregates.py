"""`analytics_aggregates`: each closed day's DAU, WAU and MAU, true at every moment once written (spec R1, R3)."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from levqor.domain.retention import DayCount
from levqor.policies.cohorts import DAY, MONTH_DAYS, count_days
from levqor.store.day_bitmaps import active_between, history_from
from levqor.store.schema import analytics_aggregates

KEPT = ("dau", "wau", "mau", "mau_complete")


def count_from_bitmaps(connection: Connection, days: Sequence[date]) -> list[DayCount]:
    """The figures of these days, from the days' bitmaps."""
    if not days:
        return []
    active = active_between(connection, min(days) - (MONTH_DAYS - 1) * DAY, max(days))
    return list(count_days(active, days, history_from(connection)))


def write_aggregates(connection: Connection, now: datetime, zone: str, counts: Iterable[DayCount]) -> int:
    """Upsert the days; those that say the same already are left alone. How many changed; the caller holds the writers' lock."""
    found = {count.day: {name: value for name, value in asdict(count).items() if name in KEPT} for count in counts}
    held = {row["day"]: {name: row[name] for name in KEPT} for row in _rows(connection, found)}
    moved = {"zone": zone, "computed_at": now}
    new = [{"day": day, **values, **moved} for day, values in found.items() if day not in held]
    changed = [
        {"at": day, **{f"now_{name}": value for name, value in values.items()}}
        for day, values in found.items()
        if _is_other(held, day, values)
    ]
    if new:
        connection.execute(insert(analytics_aggregates), new)
    if changed:
        settings: dict[str, Any] = {name: bindparam(f"now_{name}") for name in KEPT}
        connection.execute(
            update(analytics_aggregates).where(analytics_aggregates.c.day == bindparam("at")).values(**settings, **moved), changed
        )
    return len(new) + len(changed)


def _is_other(held: dict[date, dict[str, Any]], day: date, values: dict[str, Any]) -> bool:
    return day in held and held[day] != values


def _rows(connection: Connection, days: Iterable[date]) -> list[Any]:
    wanted = sorted(days)
    if not wanted:
        return []
    within = analytics_aggregates.c.day.between(wanted[0], wanted[-1])
    return list(connection.execute(select(analytics_aggregates).where(within)).mappings())


def restate(connection: Connection, now: datetime, zone: str, first: date, last: date) -> None:
    """A day from `first` to `last` has changed: correct every day that is written down and whose window holds one of them."""
    within = analytics_aggregates.c.day.between(first, last + (MONTH_DAYS - 1) * DAY)
    days = list(connection.scalars(select(analytics_aggregates.c.day).where(within).order_by(analytics_aggregates.c.day)))
    write_aggregates(connection, now, zone, count_from_bitmaps(connection, days))


def drop_aggregates(connection: Connection) -> None:
    connection.execute(delete(analytics_aggregates))
