"""From the ledger's days to the lines that are forecast (spec C2, C3): pure arithmetic on what was read."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal

from levqor.domain.forecast import Line
from levqor.domain.spending import Category
from levqor.policies.spreading import day_of_month

HISTORY_DAYS = 399
MOST_LINES = 40
"""More cost lines than these are forecast as one for each category."""
THE_REST = "others"
ONE_DAY = timedelta(days=1)

Days = Mapping[date, Decimal]
Totals = Mapping[tuple[Category, str], Days]
"""Money by category, line item and UTC day, as the ledger answers."""


def cost_lines(
    totals: Totals, today: date, constants: Mapping[str, Decimal], told_until: Mapping[Category, date | None], horizon: int = 30
) -> list[Line]:
    """A line for each item, each constant, and each category of a source that never told anything.

    `told_until`: for categories whose source is behind, the last day that it told of; days after it are unknown, not zero.
    """
    variable = {key: days for key, days in totals.items() if not _is_constant(key, constants)}
    lines = [
        _line(category, item, days, today, told_until.get(category, today)) for (category, item), days in _pooled(variable, today).items()
    ]
    lines += [_constant(name, month, totals.get((Category.INFRA, name), {}), today, horizon) for name, month in constants.items()]
    seen = {line.category for line in lines}
    lines += [Line(category.value, category.value, (), today) for category in told_until if category.value not in seen]
    return lines


def _is_constant(key: tuple[Category, str], constants: Mapping[str, Decimal]) -> bool:
    return key[0] is Category.INFRA and key[1] in constants


def _line(category: Category, item: str, days: Days, today: date, told_until: date | None) -> Line:
    """Days without an entry cost nothing; those that its source has yet to tell of are not known."""
    past = {day: amount for day, amount in days.items() if day < today}
    if not past:
        return Line(item, category.value, (), today)  # begun today: a part of a day is no rate, and a single bill is none either
    first, untold_from = min(past), today if told_until is None else told_until + ONE_DAY
    length = (today - first).days
    history = [_amount(past, first + timedelta(days=n), untold_from) for n in range(length)]
    return Line(item, category.value, history, first)


def _amount(past: Days, day: date, untold_from: date) -> float | None:
    amount = past.get(day)
    return float(amount) if amount is not None else (0.0 if day < untold_from else None)


def _constant(name: str, month: Decimal, days: Days, today: date, horizon: int) -> Line:
    past = {day: amount for day, amount in days.items() if day < today}
    first = min(past, default=today)
    history = [float(past.get(first + timedelta(days=n), 0)) for n in range((today - first).days)]
    known = [float(day_of_month(month, today + timedelta(days=n))) for n in range(horizon)]
    return Line(name, Category.INFRA.value, history, first, is_fixed=True, known=known)


def _pooled(totals: Totals, today: date) -> Totals:
    """The dearest lines by their own names, the rest of each category as one: work stays bounded."""
    if len(totals) <= MOST_LINES:
        return totals
    dearest = sorted(totals, key=lambda key: sum(abs(amount) for amount in totals[key].values()), reverse=True)
    kept = {key: totals[key] for key in dearest[:MOST_LINES]}
    pooled: dict[tuple[Category, str], dict[date, Decimal]] = {}
    for category, item in dearest[MOST_LINES:]:
        _add(pooled.setdefault((category, THE_REST), {}), totals[category, item])
    for key, days in pooled.items():
        _add(days, kept.get(key, {}))
    return {**kept, **pooled}


def _add(into: dict[date, Decimal], days: Days) -> None:
    for day, amount in days.items():
        into[day] = into.get(day, Decimal(0)) + amount


def cost_between(totals: Totals, first: date, last: date) -> Decimal:
    """All costs, revenue left out, of the days from `first` to `last`."""
    return sum((amount for amount in _costs(totals, first, last)), Decimal(0))


def _costs(totals: Totals, first: date, last: date) -> Iterable[Decimal]:
    for (category, _item), days in totals.items():
        if category is not Category.REVENUE:
            yield from (amount for day, amount in days.items() if first <= day <= last)
