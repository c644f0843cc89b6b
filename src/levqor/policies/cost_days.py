"""The ledger's past days by category, for looking at: pure arithmetic on what was read."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from levqor.domain.spending import EXACT, Category
from levqor.policies.cost_lines import Days, Totals


def days_by_category(
    totals: Totals, days: Sequence[date], told_until: Mapping[Category, date | None]
) -> dict[Category, list[Decimal | None]]:
    """Each category's sum beside each of the days.

    A day without an entry cost nothing. None: the day is from before the category's first entry, or its source, being behind
    since `told_until`, has yet to tell of it.
    """
    return {category: _sums(_of_category(totals, category), days, told_until.get(category, days[-1])) for category in Category}


def _of_category(totals: Totals, category: Category) -> Days:
    sums: dict[date, Decimal] = {}
    for (its_category, _item), by_day in totals.items():
        if its_category is category:
            for day, amount in by_day.items():
                sums[day] = EXACT.add(sums.get(day, Decimal(0)), amount)
    return sums


def _sums(found: Days, days: Sequence[date], told_until: date | None) -> list[Decimal | None]:
    if not found:
        return [None] * len(days)
    first, nothing = min(found), Decimal(0)
    return [found.get(day, nothing if first <= day and told_until is not None and day <= told_until else None) for day in days]
