"""Costs that are the same each month, as a line a day (spec C1)."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, timedelta
from decimal import Decimal
from typing import Any

from levqor.domain.spending import Category, Entry, EntryType, SpendPage, day_start
from levqor.policies.spreading import day_of_month
from levqor.ports import Clock

MADE_UP = timedelta(days=62)
"""Days that nobody wrote while Levqor was down are written later, as far back as this."""


class Constants:
    """Named monthly amounts. What was written for a day that has ended stays; a changed amount counts from today."""

    name = "infra"

    def __init__(self, monthly: Mapping[str, Decimal], currency: str, clock: Clock) -> None:
        self._monthly, self._currency, self._clock = dict(monthly), currency, clock

    def pages(self, cursor: Mapping[str, Any] | None) -> Iterator[SpendPage]:
        """One page: the days since the last one written, up to today. Nothing where no constant ever was."""
        written = {} if cursor is None else cursor
        # A constant that is no longer configured ends today: its line of today is set to nothing.
        monthly = {**dict.fromkeys(written.get("names", ()), Decimal(0)), **self._monthly}
        if not monthly:
            return
        today = self._clock.now().astimezone(UTC).date()
        entries = [self._entry(name, amount, day) for day in _days(written.get("day"), today) for name, amount in monthly.items()]
        names = sorted({*self._monthly, *(written.get("names", ()) if written.get("day") == today.isoformat() else ())})
        yield SpendPage(tuple(entries), {"day": today.isoformat(), "names": names})

    def _entry(self, name: str, monthly: Decimal, day: date) -> Entry:
        return Entry(
            source=self.name,
            key=f"constant:{name}:{day}",
            at=day_start(day),
            day=day,
            line_item=name,
            category=Category.INFRA,
            type=EntryType.COST,
            currency=self._currency,
            amount=day_of_month(monthly, day),
        )


def _days(last: str | None, today: date) -> list[date]:
    """Today, and the days between it and the last one written; only today where the clock was set back."""
    first = today if last is None else max(date.fromisoformat(last) + timedelta(days=1), today - MADE_UP)
    first = min(first, today)
    return [first + timedelta(days=number) for number in range((today - first).days + 1)]
