"""What a forecast says: a sum over the coming days, its interval, its path, how far to trust it. Floats of one currency."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Line:
    """One line's past: `history[i]` is the amount of `first_day` + i days, None (or NaN) where it is not known.

    A fixed line (a constant per month) is not guessed: its days to come are `known`, or its last known day again.
    """

    name: str
    category: str
    history: Sequence[float | None]
    first_day: date
    is_fixed: bool = False
    known: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class SumForecast:
    """The sum of the days from `start` on. Without any history `total`, `low` and `high` are None, and the paths empty."""

    start: date
    total: float | None
    low: float | None
    """`low` to `high` holds the true sum with probability `level` (`linear`: exactly 20 % off, whatever that covers)."""
    high: float | None
    daily: tuple[float, ...]
    """Amounts of `start`, `start` + 1 ...; they add up to `total`."""
    daily_low: tuple[float, ...]
    """Each single day's own interval: wider than its share of the sum's, so these do not add up to `low`."""
    daily_high: tuple[float, ...]
    cumulative_low: tuple[float, ...]
    """Interval of the sum so far on each day; the last one is `low`."""
    cumulative_high: tuple[float, ...]
    method: str
    """The family with the largest share (`level`, `typical`, `yearly`, `damped`, `trend`, `linear`); `run_rate`, `fixed`, `sum`, `none`."""
    half_life: float | None
    """Days after which a day weighs half, where the method has one."""
    error: float | None
    """Mean relative error (0.1: 10 %) of this method's sums in the backtest on this history; None: too short to tell."""
    low_data: bool
    """Under 28 days of history (or none)."""
    n_days: int
    """Days of history with a known amount."""
    level: float
    note: str = ""

    @property
    def cumulative(self) -> tuple[float, ...]:
        """The sum so far on each day; the last one is `total`."""
        return tuple(accumulate(self.daily))


@dataclass(frozen=True, slots=True)
class LineForecast:
    """One line's forecast."""

    name: str
    category: str
    is_fixed: bool
    sum: SumForecast


@dataclass(frozen=True, slots=True)
class Forecast:
    """All lines' forecasts, and their sum. `unknown` names the lines without history: they are not in the sum, and not zero."""

    lines: tuple[LineForecast, ...]
    sum: SumForecast
    unknown: tuple[str, ...]


def breach_date(start: date, cumulative: Sequence[float], limit: float, already: float = 0.0) -> date | None:
    """The first day on which `already` plus the sum so far is above `limit`; None: not within these days.

    `cumulative` is a forecast's `cumulative` for the expected day, its `cumulative_high` for the earliest one that the interval holds.
    """
    for number, amount in enumerate(cumulative):
        if already + amount > limit:
            return start + timedelta(days=number)
    return None
