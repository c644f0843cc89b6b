"""The forecast, one series a line: so that anyone can examine it."""

import math
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

from levqor.domain.errors import UsageError
from levqor.lab.lines import answer_lines

MAX_LINE = 1_000_000
MAX_DAYS = 20_000
MAX_HORIZON = 366
MAX_AMOUNT = 1e15
METHODS = ("auto", "linear", "level")


def forecast_lines_of(lines: Iterable[str]) -> Iterator[str]:
    """For each line with a series, a line with the sum of the days after it; a bad line gets `{"error": ...}`."""
    return answer_lines(lines, _answer, MAX_LINE)


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    from levqor.policies.forecast import forecast_sum  # numpy

    found = forecast_sum(_values(asked), _start(asked), _horizon(asked), _method(asked))
    return {"forecast": found.total, "low": found.low, "high": found.high, "method": found.method, "low_data": found.low_data}


def _values(asked: dict[str, Any]) -> list[float | None]:
    values = asked.get("values")
    if not isinstance(values, list) or len(values) > MAX_DAYS:
        raise UsageError(f"values: expected a list of at most {MAX_DAYS} amounts, one a day")
    return [None if value is None else _amount(value) for value in values]


def _amount(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_AMOUNT <= value <= MAX_AMOUNT or math.isnan(value):
        raise UsageError("values: expected numbers from -10^15 to 10^15, or null for a day without a figure")
    return float(value)


def _start(asked: dict[str, Any]) -> date:
    try:
        start = date.fromisoformat(asked.get("start", ""))
        start + timedelta(days=MAX_DAYS + MAX_HORIZON)
    except (TypeError, ValueError, OverflowError):
        raise UsageError('start: expected the day of the first value, as "2026-01-31"') from None
    return start


def _horizon(asked: dict[str, Any]) -> int:
    horizon = asked.get("horizon", 30)
    if isinstance(horizon, bool) or not isinstance(horizon, int) or not 1 <= horizon <= MAX_HORIZON:
        raise UsageError(f"horizon: expected a whole number of days from 1 to {MAX_HORIZON}")
    return horizon


def _method(asked: dict[str, Any]) -> str:
    method = asked.get("method", "auto")
    if method not in METHODS:
        raise UsageError(f"method: expected one of {', '.join(METHODS)}")
    return str(method)
