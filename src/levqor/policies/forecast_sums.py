"""Sums of forecasts, and the forecasts that need no guessing: a fixed line's, and that of a line without history."""

import math
from collections.abc import Sequence
from datetime import date

from levqor.domain.forecast import Line, SumForecast

TOGETHER = 0.5
"""How far lines of one bill err together: 0 independently, 1 all at once."""


def nothing(start: date, level: float) -> SumForecast:
    """No history: no figure. Zero would be a lie."""
    return SumForecast(start, None, None, None, (), (), (), (), (), "none", None, None, True, 0, level, "no history")


def fixed(line: Line, past: Sequence[float | None], start: date, horizon: int, level: float) -> SumForecast:
    """A constant's days to come: those that are known, then its last day again. It carries no error."""
    told = [float(value) for value in past if value is not None and math.isfinite(value)]
    days = [float(value) for value in line.known[:horizon]]
    last = days[-1] if days else told[-1] if told else None
    if last is None:
        return nothing(start, level)
    days += [last] * (horizon - len(days))
    daily, sums = tuple(days), tuple(_running(days))
    total = sums[-1]
    return SumForecast(start, total, total, total, daily, daily, daily, sums, sums, "fixed", None, 0.0, False, len(told), level)


def combined(parts: Sequence[tuple[str, SumForecast]], start: date, level: float) -> SumForecast:
    """The sum of forecasts of the same days; the parts without history are named, not counted as zero."""
    known = [one for _, one in parts if one.total is not None]
    unknown = [name for name, one in parts if one.total is None]
    if not known:
        return nothing(start, level)
    if len(known) == 1 and not unknown:
        return known[0]
    daily = _added([one.daily for one in known])
    sums = _running(daily)
    lows, highs = _bounds(sums, [(one.cumulative, one.cumulative_low, one.cumulative_high) for one in known])
    day_lows, day_highs = _bounds(daily, [(one.daily, one.daily_low, one.daily_high) for one in known])
    return SumForecast(
        start=start,
        total=sums[-1],
        low=lows[-1],
        high=highs[-1],
        daily=tuple(daily),
        daily_low=tuple(day_lows),
        daily_high=tuple(day_highs),
        cumulative_low=tuple(lows),
        cumulative_high=tuple(highs),
        method="sum",
        half_life=None,
        error=_error(known),
        low_data=bool(unknown) or any(one.low_data for one in known),
        n_days=max(one.n_days for one in known),
        level=level,
        note=f"no history: {', '.join(unknown)}" if unknown else "",
    )


def _added(rows: Sequence[Sequence[float]]) -> list[float]:
    return [math.fsum(column) for column in zip(*rows, strict=True)]


def _running(values: Sequence[float]) -> list[float]:
    sums, total = [], 0.0
    for value in values:
        total += value
        sums.append(total)
    return sums


def _bounds(
    middle: Sequence[float], parts: Sequence[tuple[Sequence[float], Sequence[float], Sequence[float]]]
) -> tuple[list[float], list[float]]:
    """Lows and highs of a sum: between errors that all go the same way and errors that know nothing of each other."""
    below, above = [0.0] * len(middle), [0.0] * len(middle)
    below2, above2 = [0.0] * len(middle), [0.0] * len(middle)
    for values, lows, highs in parts:
        for day, (value, low, high) in enumerate(zip(values, lows, highs, strict=True)):
            below[day] += value - low
            above[day] += high - value
            below2[day] += (value - low) ** 2
            above2[day] += (high - value) ** 2
    lows_of = [value - _together(one, two) for value, one, two in zip(middle, below, below2, strict=True)]
    highs_of = [value + _together(one, two) for value, one, two in zip(middle, above, above2, strict=True)]
    return lows_of, highs_of


def _together(total: float, squares: float) -> float:
    return math.sqrt(max(0.0, TOGETHER * total * total + (1 - TOGETHER) * squares))


def _error(known: Sequence[SumForecast]) -> float | None:
    """Errors of the parts beside the sum's size, as far as they are known: an upper bound of the sum's own."""
    told = [(one.error * abs(one.total), abs(one.total)) for one in known if one.error is not None and one.total is not None]
    size = math.fsum(weight for _, weight in told)
    return math.fsum(error for error, _ in told) / size if size > 0 else None
