"""Sums of money made by the database, with every digit: PostgreSQL has exact numbers, SQLite is taught them."""

from decimal import Decimal
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Date, Numeric, String, cast, func

from levqor.domain.spending import EXACT

SQLITE_SUM = "levqor_exact_sum"


class ExactSum:
    """An aggregate for SQLite: amounts as text in, their sum as text out. Its own SUM would make floats of them."""

    def __init__(self) -> None:
        self._sum = Decimal(0)

    def step(self, amount: str) -> None:
        self._sum = EXACT.add(self._sum, Decimal(amount))

    def finalize(self) -> str:
        return f"{self._sum:f}"


def teach_sqlite(driver_connection: Any) -> None:
    """Make the aggregate known to a new connection."""
    driver_connection.create_aggregate(SQLITE_SUM, 1, ExactSum)


def exact_sum(connection: Connection, amount: Column[Decimal]) -> ColumnElement[Any]:
    """The exact sum of a column of amounts; `Decimal(str(...))` reads either database's answer."""
    if connection.dialect.name == "sqlite":
        taught: ColumnElement[Any] = getattr(func, SQLITE_SUM)(cast(amount, String))
        return taught
    return func.sum(cast(amount, Numeric))


def utc_day(connection: Connection, at: Column[Any]) -> ColumnElement[Any]:
    """The UTC day of a time; text in SQLite, a date in PostgreSQL whatever the session's zone."""
    return func.date(at) if connection.dialect.name == "sqlite" else cast(func.timezone("UTC", at), Date)
