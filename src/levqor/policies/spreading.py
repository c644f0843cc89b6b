"""How an amount of a day or a month falls to its parts, with nothing lost in between (spec C1)."""

from calendar import monthrange
from datetime import date, datetime, timedelta
from decimal import Decimal

from levqor.domain.spending import EXACT, FINEST, FINEST_PLACES

MICROSECOND = timedelta(microseconds=1)
DAILY_STEP = Decimal("0.000001")
"""A month's days differ by at most this."""


def part_within(amount: Decimal, begin: datetime, until: datetime, start: datetime, end: datetime) -> Decimal:
    """The part in (start, end] of an amount that is spread evenly over (begin, until]."""
    counted = min(end, until) - max(start, begin)
    if counted <= timedelta(0):
        return Decimal(0)
    if counted == until - begin:
        return amount
    return EXACT.divide(EXACT.multiply(amount, _microseconds(counted)), _microseconds(until - begin))


def day_of_month(monthly: Decimal, day: date) -> Decimal:
    """That day's share of a monthly amount: the days of a month sum to it exactly."""
    days = monthrange(day.year, day.month)[1]

    def until(number: int) -> Decimal:
        return monthly if number == days else EXACT.divide(EXACT.multiply(monthly, Decimal(number)), Decimal(days)).quantize(DAILY_STEP)

    return EXACT.subtract(until(day.day), until(day.day - 1))


def rounded(amount: Decimal) -> Decimal:
    """Whole entries are exact; what came of dividing has no more places than an entry may have."""
    exponent = amount.as_tuple().exponent
    return EXACT.quantize(amount, FINEST) if isinstance(exponent, int) and exponent < -FINEST_PLACES else amount


def _microseconds(span: timedelta) -> Decimal:
    return Decimal(span // MICROSECOND)
