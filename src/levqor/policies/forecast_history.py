"""A daily series made ready for forecasting: gaps told from zeros, one huge day kept from ruling, and windows that end at any day."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.int64]

WEEK = 7
WINDOW_DAYS = 57 * WEEK
"""Days that a forecast looks back: a year and the four weeks before it."""

KEPT_DAYS = WINDOW_DAYS + 32 * WEEK
"""So that forecasts made half a year ago can be judged with the same view."""

NO_MONEY = 1e-12
"""Less is zero: it cannot be divided by."""

GAP_DAYS = 7
"""So many zeros in a row, in a line that hardly ever has any, are days without data rather than days without cost."""

MOST_GAPS = 2
RARE_ZEROS = 0.1
OUTLIER = 3.0
"""A day counts at most as so many times the third largest one."""

OUTLIER_MIN_DAYS = 10


@dataclass(frozen=True, slots=True)
class History:
    """Days up to the forecast's first: `values` with 0 where `known` is 0. Oldest first."""

    values: Array
    known: Array

    @property
    def n_days(self) -> int:
        return len(self.values)

    @property
    def n_known(self) -> int:
        return int(self.known.sum())

    @property
    def is_told(self) -> bool:
        """Is any day known that a forecast looks at?"""
        return bool(self.known[-WINDOW_DAYS:].any())

    @property
    def last_known(self) -> int:
        """Position of the newest known day."""
        return int(np.flatnonzero(self.known)[-1])

    @property
    def is_never_negative(self) -> bool:
        return not bool((self.values < 0).any())


def history_of(values: Sequence[float | None], *, is_literal: bool = False) -> History:
    """The days worth looking at. None, NaN and infinities are unknown; unknown days before the first known one are cut off.

    `is_literal`: every figure is taken at its word, zeros in a row and huge days too.
    """
    recent = [math.nan if value is None else float(value) for value in values[-KEPT_DAYS:]]
    raw = np.array(recent, dtype=np.float64)
    known = np.isfinite(raw)
    first = int(known.argmax()) if known.any() else len(raw)
    raw, known = np.where(known & (np.abs(raw) > NO_MONEY), raw, 0.0)[first:], known[first:]
    if is_literal:
        return History(raw, known.astype(np.float64))
    known = known & ~_gaps(raw, known)
    return History(np.where(known, _without_outliers(raw, known), 0.0), known.astype(np.float64))


def _gaps(values: Array, known: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Runs of zeros between days with amounts that are no part of the line's nature, so few and so unlike the rest are they."""
    found = np.zeros(len(values), dtype=np.bool_)
    busy = np.flatnonzero(values)
    if len(busy) < 2:
        return found
    runs = np.flatnonzero(np.diff(busy) > GAP_DAYS)
    if not 0 < len(runs) <= MOST_GAPS:
        return found
    for run in runs:
        found[busy[run] + 1 : busy[run + 1]] = True
    rest = known & ~found
    return found if (values[rest] == 0).mean() <= RARE_ZEROS else np.zeros_like(found)


def _without_outliers(values: Array, known: npt.NDArray[np.bool_]) -> Array:
    sizes = np.abs(values[known])
    if len(sizes) < OUTLIER_MIN_DAYS:
        return values
    third = np.partition(sizes, -3)[-3]
    return np.clip(values, -OUTLIER * third, OUTLIER * third) if third > 0 else values


@dataclass(frozen=True, slots=True)
class Windows:
    """The same series as seen from several days: row k holds the days before `ends[k]`, newest last, whole weeks, unknown days 0."""

    values: Array
    known: Array

    @property
    def width(self) -> int:
        return int(self.values.shape[1])


def windows_before(history: History, ends: Days) -> Windows:
    """One row for each end, an index into the history (exclusive)."""
    width = min(-(-history.n_days // WEEK) * WEEK, WINDOW_DAYS)
    picked = ends[:, None] + np.arange(width)[None, :]  # `width` unknown days stand before the first
    front = np.zeros(width)
    return Windows(np.concatenate((front, history.values))[picked], np.concatenate((front, history.known))[picked])
