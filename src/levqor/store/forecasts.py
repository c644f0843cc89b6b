"""Forecasts: one a day is kept, so that what was promised can be held against what came (spec C2)."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from levqor.store.schema import forecasts

KEEP = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class StoredForecast:
    """A day's last forecast, and the ledger's revision that it was made from."""

    day: date
    computed_at: datetime
    revision: int
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class GuardFigure:
    """What the tick reads of the newest forecast; `amount` None: it had no history to say it from."""

    computed_at: datetime
    revision: int
    basis: str
    amount: float | None
    low_data: bool


@dataclass(frozen=True, slots=True)
class Promise:
    """The interval that a day's forecast gave for the 30 days from `day` on."""

    day: date
    low: float
    high: float


def put_forecast(connection: Connection, forecast: StoredForecast, method: str) -> None:
    """Keep this as its day's forecast, in the place of an earlier one."""
    values = {"computed_at": forecast.computed_at, "revision": forecast.revision, "method": method[:32], "data": forecast.data}
    of_the_day = update(forecasts).where(forecasts.c.day == forecast.day).values(**values)
    if connection.execute(of_the_day).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(forecasts).values(day=forecast.day, **values))
    except IntegrityError:  # another process kept the day's first one meanwhile
        connection.execute(of_the_day)


def newest_forecast(connection: Connection, today: date) -> StoredForecast | None:
    """The newest one; a clock that was set ahead for a while has left some that count no more."""
    row = connection.execute(select(forecasts).where(forecasts.c.day <= today).order_by(forecasts.c.day.desc()).limit(1)).one_or_none()
    return None if row is None else StoredForecast(row.day, row.computed_at, row.revision, row.data)


def newest_guard_figure(connection: Connection, today: date) -> GuardFigure | None:
    """Of the newest forecast, read without the rest of it."""
    columns = (
        forecasts.c.computed_at,
        forecasts.c.revision,
        forecasts.c.data["basis"].as_string().label("basis"),
        forecasts.c.data["guard_forecast_next_30d"].as_float().label("amount"),
        forecasts.c.data["guard_low_data"].as_boolean().label("low_data"),
    )
    row = connection.execute(select(*columns).where(forecasts.c.day <= today).order_by(forecasts.c.day.desc()).limit(1)).one_or_none()
    return None if row is None else GuardFigure(row.computed_at, row.revision, row.basis or "", row.amount, bool(row.low_data))


def promises(connection: Connection, first_day: date, last_day: date) -> list[Promise]:
    """What the days' forecasts promised, both days included; those that gave no interval are left out."""
    low, high = (forecasts.c.data[name].as_float().label(name) for name in ("confidence_low", "confidence_high"))
    query = select(forecasts.c.day, low, high).where(forecasts.c.day >= first_day, forecasts.c.day <= last_day)
    rows = connection.execute(query.order_by(forecasts.c.day)).all()
    return [Promise(row[0], row[1], row[2]) for row in rows if row[1] is not None and row[2] is not None]


def purge_forecasts(connection: Connection, now: datetime) -> None:
    connection.execute(delete(forecasts).where(forecasts.c.day < (now - KEEP).date()))
