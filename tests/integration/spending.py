"""Entries as tests write them, and a desk over a real database whose clock is in the test's hand."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.clock import ManualClock

from levqor.domain.costs import CostRules
from levqor.domain.spending import Category, Entry, EntryType, day_start
from levqor.monitors.costs import CostDesk
from levqor.store.database import Database
from levqor.store.ledger import write_entries

TYPES = {Category.FEES: EntryType.FEE, Category.REVENUE: EntryType.REVENUE}


class Money:
    """A database with money in it."""

    def __init__(self, database: Database, **rules: Any) -> None:
        self.database, self.clock = database, ManualClock()
        self.rules = CostRules(**rules)
        self.desk = CostDesk(self.rules, database, self.clock)
        self._count = 0

    @property
    def today(self) -> date:
        return self.clock.now().date()

    def entry(
        self,
        amount: str,
        *,
        category: Category = Category.INFRA,
        item: str = "servers",
        source: str = "infra",
        days_ago: int | None = None,
        currency: str = "usd",
        at: datetime | None = None,
        key: str | None = None,
    ) -> Entry:
        """One that counts now, or a whole day's."""
        self._count += 1
        day = None if days_ago is None else self.today - timedelta(days=days_ago)
        return Entry(
            source=source,
            key=key or f"test:{self._count}",
            at=at or (self.clock.now() if day is None else day_start(day)),
            day=day,
            line_item=item,
            category=category,
            type=TYPES.get(category, EntryType.COST),
            currency=currency,
            amount=Decimal(amount),
        )

    def write(self, entries: list[Entry]) -> None:
        with self.database.write() as connection:
            write_entries(connection, self.clock.now(), entries)

    def add(self, amount: str, **more: Any) -> None:
        self.write([self.entry(amount, **more)])

    def add_days(self, amount: str, days: int, **more: Any) -> None:
        """The same on each of the last days, today left out."""
        self.write([self.entry(amount, days_ago=n, **more) for n in range(1, days + 1)])

    def spend(self) -> Any:
        with self.database.read() as connection:
            return self.desk.signals.spend(connection, self.clock.now())

    def forecast_signal(self) -> Any:
        with self.database.read() as connection:
            return self.desk.signals.forecast(connection, self.clock.now())
