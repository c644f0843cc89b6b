"""What the coming days will cost: one series, or many lines and their sum (spec C2, C3). Loads numpy: import it where it is used."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from levqor.domain.forecast import Forecast, Line, LineForecast, SumForecast
from levqor.policies.forecast_band import Band, band_of, daily_scatter
from levqor.policies.forecast_choice import LEVELS, LINEAR, alone, best_of, family_shares, half_life_of, look_back, weigh
from levqor.policies.forecast_history import KEPT_DAYS, WEEK, Array, History, history_of, windows_before
from levqor.policies.forecast_methods import LINEAR_DAYS, line, repeated
from levqor.policies.forecast_sums import combined, fixed, nothing

METHODS = ("auto", "linear", "level")
"""Names that a caller may ask for."""

LONGEST_HORIZON = 366
RUN_RATE_BELOW = 7
LOW_DATA_BELOW = 28
LINEAR_BAND = 0.2


def forecast_sum(values: Sequence[float | None], start: date, horizon: int = 30, method: str = "auto", level: float = 0.8) -> SumForecast:
    """Forecast the `horizon` days after `values`, whose first day is `start`. ValueError: an unknown method, horizon or level."""
    _check(horizon, method, level)
    ahead = start + timedelta(days=len(values))
    history = history_of(values, is_literal=method == "linear")
    if not history.is_told:
        return nothing(ahead, level)
    if method == "linear":
        return _linear(history, ahead, horizon, level)
    if history.n_known < RUN_RATE_BELOW:
        return _run_rate(history, ahead, horizon, level)
    return _weighed(history, ahead, horizon, method, level)


def forecast_lines(lines: Sequence[Line], today: date, horizon: int = 30, method: str = "auto", level: float = 0.8) -> Forecast:
    """Forecast each line from `today` on (`today` and later days of its history are not read) and add them up."""
    _check(horizon, method, level)
    made = tuple(LineForecast(one.name, one.category, one.is_fixed, _line_forecast(one, today, horizon, method, level)) for one in lines)
    unknown = tuple(one.name for one in made if one.sum.total is None)
    return Forecast(made, combine(made, today, level), unknown)


def combine(lines: Sequence[LineForecast], start: date, level: float = 0.8) -> SumForecast:
    """Add up forecasts of the same days, such as one category's. Of no line: total None. Lines without history are left out: `low_data`."""
    return combined([(one.name, one.sum) for one in lines], start, level)


def _line_forecast(one: Line, today: date, horizon: int, method: str, level: float) -> SumForecast:
    days = max(0, (today - one.first_day).days)
    past: list[float | None] = list(one.history[:days])
    past += [None] * min(days - len(past), KEPT_DAYS)
    if one.is_fixed:
        return fixed(one, past, today, horizon, level)
    return forecast_sum(past, today - timedelta(days=len(past)), horizon, method, level)


def _linear(history: History, ahead: date, horizon: int, level: float) -> SumForecast:
    """Spec C3: a line through the last 30 days; low and high exactly 20 % of the sum's size off."""
    end = history.n_days if history.known[-LINEAR_DAYS:].any() else history.last_known + 1
    path = line(windows_before(history, np.array([end], dtype=np.int64)), LINEAR_DAYS, horizon)[0]
    total = float(path.sum())
    error = None
    if history.n_known >= LOW_DATA_BELOW:
        backtest, _ = look_back(history, horizon)
        error = backtest.error_of(alone(LINEAR))
    off = LINEAR_BAND * abs(total)
    scatter = daily_scatter(history, np.full(history.n_days, history.values[-LINEAR_DAYS:].mean()), level)
    return _answer(history, ahead, path, Band(off, off), scatter, level, "linear", None, error, "low and high are 20 % off by definition")


def _run_rate(history: History, ahead: date, horizon: int, level: float) -> SumForecast:
    """Under a week there is nothing but the mean day."""
    mean = float(history.values.sum()) / history.n_known
    path = np.full(horizon, mean)
    band = band_of(history, mean * horizon, np.array([mean * horizon]), np.ones(1), horizon, level)
    scatter = daily_scatter(history, np.full(history.n_days, mean), level)
    return _answer(history, ahead, path, band, scatter, level, "run_rate", None, None, "under 7 days of history: the mean day, repeated")


def _weighed(history: History, ahead: date, horizon: int, method: str, level: float) -> SumForecast:
    """The candidates weighed by their backtest; for `level` the best half-life alone."""
    backtest, now = look_back(history, horizon)
    shared = weigh(backtest)
    weights = best_of(backtest, LEVELS) if method == "level" else shared
    total = float(now.sums[0] @ weights)
    if history.is_never_negative:
        total = max(total, 0.0)
    shape = repeated(now.factors, horizon)[0]
    path = shape * (total / float(shape.sum())) if shape.any() else np.full(horizon, total / horizon)
    band = band_of(history, total, now.sums[0], shared, horizon, level)
    whole_weeks = -(-history.n_days // WEEK) * WEEK
    fitted = repeated(now.factors, whole_weeks)[0][-history.n_days :] * float(now.levels[0].mean())
    scatter = daily_scatter(history, fitted, level)
    shares = family_shares(weights)
    name = "level" if method == "level" else next(iter(shares))
    told = ", ".join(f"{one} {share:.0%}" for one, share in shares.items() if share >= 0.05)
    note = "" if method == "level" else f"weighed by backtest: {told}"
    return _answer(history, ahead, path, band, scatter, level, name, half_life_of(weights), backtest.error_of(weights), note)


def _answer(
    history: History,
    ahead: date,
    path: Array,
    band: Band,
    scatter: float,
    level: float,
    method: str,
    half_life: float | None,
    error: float | None,
    note: str,
) -> SumForecast:
    """Put the sum, its interval and the days together. A line that was never negative is not forecast below zero, but for `linear`."""
    total = float(path.sum())
    is_floored = history.is_never_negative and method != "linear"
    low, high = total - band.below, total + band.above
    low = max(low, 0.0) if is_floored else low
    share = np.arange(1, len(path) + 1) / len(path)
    sums = np.cumsum(path)
    lows, highs = sums - share * (total - low), sums + share * (high - total)
    off_low = np.hypot(scatter, band.below / len(path))
    off_high = np.hypot(scatter, band.above / len(path))
    daily_low, daily_high = path - off_low, path + off_high
    if is_floored:
        lows, daily_low = np.maximum(lows, 0.0), np.maximum(daily_low, 0.0)
    lows[-1], highs[-1] = low, high
    return SumForecast(
        start=ahead,
        total=total,
        low=low,
        high=high,
        daily=tuple(path.tolist()),
        daily_low=tuple(daily_low.tolist()),
        daily_high=tuple(daily_high.tolist()),
        cumulative_low=tuple(lows.tolist()),
        cumulative_high=tuple(highs.tolist()),
        method=method,
        half_life=half_life,
        error=error,
        low_data=history.n_known < LOW_DATA_BELOW,
        n_days=history.n_known,
        level=level,
        note=note,
    )


def _check(horizon: int, method: str, level: float) -> None:
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}")
    if not 1 <= horizon <= LONGEST_HORIZON:
        raise ValueError(f"horizon: expected 1 to {LONGEST_HORIZON} days")
    if not 0 < level < 1:
        raise ValueError("level: expected a probability between 0 and 1")
