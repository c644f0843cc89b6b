"""Budgets: the daily limit over a UTC day or a calendar month, and the percents of it that are told once a period."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Budget:
    """One period's budget. `key` names the period in rows; `last_day` belongs to it."""

    key: str
    first_day: date
    last_day: date
    amount: Decimal

    @property
    def start(self) -> datetime:
        """A moment before anything of it: spans of money are open at their start."""
        return datetime(self.first_day.year, self.first_day.month, self.first_day.day, tzinfo=UTC) - timedelta(microseconds=1)


def budget_of(today: date, period: str, daily_limit: Decimal) -> Budget:
    """The budget that holds `today`."""
    if period == "day":
        return Budget(today.isoformat(), today, today, daily_limit)
    days = calendar.monthrange(today.year, today.month)[1]
    return Budget(f"{today:%Y-%m}", today.replace(day=1), today.replace(day=days), daily_limit * days)


def reached(spent: Decimal, budget: Decimal, percents: Sequence[int]) -> list[int]:
    """The percents of the budget that are spent, the lowest first; one that is met exactly is."""
    return sorted(percent for percent in percents if spent * 100 >= budget * percent)
