"""The candidate methods: each says the sum of the coming days from the days before, for several starting days at once."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from levqor.policies.forecast_history import WEEK, Array, Windows

HALF_LIVES = (3.0, 7.0, 14.0, 28.0, 60.0, 150.0)
"""Days after which a day weighs half in the level."""

CANDIDATES = (*(f"level_{half_life:g}" for half_life in HALF_LIVES), "typical", "yearly", "damped", "trend", "linear")
"""Levels; the typical day, which spikes hardly move; a level times last year's turn; one with a damped trend; lines over 90 and 30 days."""

PRIOR_ERRORS = np.array([0.95, 0.92, 0.97, 1.07, 1.23, 1.4, 0.97, 0.98, 0.92, 1.17, 1.67])
"""What to expect of each before its own backtest speaks: error beside the others', as measured on many sources."""

WEEKDAY_HALF_LIFE = 42.0
EVEN_WEEKS = 0.5
"""So much of a week without any pattern is mixed in, for the sake of short histories."""

TYPICAL_HALF_LIFE = 7.0
LEAST_FACTOR = 0.05
MONTH_DAYS = 28
TREND_DAYS = 90
LINEAR_DAYS = 30
DAMPING = 0.3
YEAR_DAYS = 365
TINY = 1e-60
"""Weights of days long past are small, and still weights."""

MIXED_SIGNS = 0.2
"""A mean so small beside the amounts' sizes has no meaningful weekday factors."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """`sums[k, c]`: what candidate c says from start k; `factors[k, p]`: weight of the p-th day from the start and of each 7th after it."""

    sums: Array
    factors: Array
    levels: Array


def outlook(windows: Windows, horizon: int) -> Outlook:
    """Every candidate's sum of `horizon` days from every start."""
    factors = weekday_factors(windows)
    spread = repeated(factors, windows.width)
    levels = _levels(windows, spread)
    span = repeated(factors, horizon).sum(axis=1)
    sums = np.empty((len(span), len(CANDIDATES)))
    sums[:, :6] = levels * span[:, None]
    sums[:, 6] = _typical(windows, spread, levels[:, 1]) * span
    sums[:, 7] = levels[:, 2] * span * _last_years_turn(windows, horizon)
    sums[:, 8] = levels[:, 1] * span * _damped_turn(levels[:, 1], levels[:, 3])
    sums[:, 9] = line(windows, TREND_DAYS, horizon).sum(axis=1)
    sums[:, 10] = line(windows, LINEAR_DAYS, horizon).sum(axis=1)
    return Outlook(sums, factors, levels)


def weekday_factors(windows: Windows) -> Array:
    """For each start, seven factors around 1 (the first: of the start's own weekday), held towards 1 by half a week without a pattern."""
    weights = _fading(windows.width, WEEKDAY_HALF_LIFE)[:, 0]
    by_day = (len(windows.values), -1, WEEK)
    sums = (windows.values * weights).reshape(by_day).sum(axis=1)
    counts = (windows.known * weights).reshape(by_day).sum(axis=1)
    total = np.maximum(counts.sum(axis=1), 1e-12)
    mean, size = sums.sum(axis=1) / total, (np.abs(windows.values) * weights).sum(axis=1) / total
    is_plain = np.abs(mean) <= MIXED_SIGNS * size
    mean = np.where(is_plain, 1.0, mean)[:, None]
    return np.where(is_plain[:, None], 1.0, np.clip((sums + EVEN_WEEKS * mean) / (counts + EVEN_WEEKS) / mean, 0.0, WEEK))


def line(windows: Windows, days: int, horizon: int) -> Array:
    """The least-squares line over the last `days`, carried on: one row for each start. Of one day: that day again."""
    days = min(days, windows.width)
    values, known = windows.values[:, -days:], windows.known[:, -days:]
    time = np.arange(days, dtype=np.float64)
    count = np.maximum(known.sum(axis=1), 1e-12)
    middle, mean = known @ time / count, values.sum(axis=1) / count
    off = (time[None, :] - middle[:, None]) * known
    slope = _guarded((off * values).sum(axis=1), (off * off).sum(axis=1), np.zeros(len(count)))
    ahead = days + np.arange(horizon, dtype=np.float64)
    return np.asarray(mean[:, None] + slope[:, None] * (ahead[None, :] - middle[:, None]))


def _levels(windows: Windows, spread: Array) -> Array:
    """Exponentially weighted levels, one column for each half-life: weighted amounts by weighted weekday factors."""
    weights = _fading(windows.width, *HALF_LIVES)
    return _guarded(windows.values @ weights, (windows.known * spread) @ weights, np.zeros((len(windows.values), len(HALF_LIVES))))


def _typical(windows: Windows, spread: Array, level: Array) -> Array:
    """Geometric mean of the days with an amount, newer ones weighing more; the level where amounts have both signs or none."""
    weights = _fading(windows.width, TYPICAL_HALF_LIFE)[:, 0]
    sign = np.where(level < 0, -1.0, 1.0)
    amounts = windows.values * sign[:, None]
    is_told = (amounts > 0) & (spread > LEAST_FACTOR)
    logs = np.log(np.where(is_told, amounts, 1.0) / np.where(is_told, spread, 1.0))
    total = is_told @ weights
    is_some = (total > TINY) & ~(amounts < 0).any(axis=1)
    return np.asarray(np.where(is_some, sign * np.exp(logs @ weights / np.where(is_some, total, 1.0)), level))


def _last_years_turn(windows: Windows, horizon: int) -> Array:
    """How the same days a year ago stood to the four weeks before them, the square root of it; 1 without that year."""
    start = windows.width - YEAR_DAYS
    if start < MONTH_DAYS:
        return np.ones(len(windows.values))
    before, after = slice(start - MONTH_DAYS, start), slice(start, start + min(horizon, YEAR_DAYS))
    nothing = np.zeros(len(windows.values))
    was = _guarded(windows.values[:, before].sum(axis=1), windows.known[:, before].sum(axis=1), nothing)
    became = _guarded(windows.values[:, after].sum(axis=1), windows.known[:, after].sum(axis=1), nothing)
    is_known = (windows.known[:, before].mean(axis=1) > 0.5) & (windows.known[:, after].mean(axis=1) > 0.5) & (was * became > 0)
    return np.asarray(np.sqrt(np.clip(np.where(is_known, became / np.where(is_known, was, 1.0), 1.0), 0.3, 3.0)))


def _damped_turn(recent: Array, earlier: Array) -> Array:
    is_alike = recent * earlier > 0
    return np.asarray(np.clip(np.where(is_alike, recent / np.where(is_alike, earlier, 1.0), 1.0), 0.5, 2.0) ** DAMPING)


@lru_cache(maxsize=16)
def _fading(days: int, *half_lives: float) -> Array:
    """Weights of the days up to a start, oldest first, a column for each half-life."""
    age = np.arange(days, dtype=np.float64)[::-1]
    weights = np.asarray(0.5 ** (age[:, None] / np.array(half_lives)[None, :]))
    weights.flags.writeable = False
    return weights


def repeated(factors: Array, days: int) -> Array:
    """Each row's seven factors for so many days on end."""
    return np.asarray(factors[:, np.arange(days) % WEEK])


def _guarded(upper: Array, lower: Array, otherwise: Array) -> Array:
    """`upper / lower`, or `otherwise` where there is nothing to divide by."""
    is_some = lower > TINY
    return np.asarray(np.where(is_some, upper / np.where(is_some, lower, 1.0), otherwise))
