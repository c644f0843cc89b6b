"""How far off a forecast of a sum may be: a prediction interval, scaled by how the weeks vary and how the candidates disagree."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from levqor.policies.forecast_history import WEEK, Array, History

BAND_WEEKS = 13
LEVEL = 0.8
"""The level that the constants below were fitted for."""

BASE, BY_VARIATION, BY_DISAGREEMENT, BY_SHORTNESS = 0.63, 0.52, 0.31, 0.18
"""Half-width on the log scale: exp(BASE + BY_VARIATION ln cv + BY_DISAGREEMENT ln spread + BY_SHORTNESS ln(180 / days, if fewer))."""

SHORT_DAYS = 180

FEW_WEEKS_VARIATION = 0.2
"""Taken where there are fewer than three weeks to see how weeks vary."""

TAIL = 1.25
"""Other levels: errors have heavier tails than a normal's, by this power of its quantile."""

RUN_RATE_SPREAD = 0.3
"""Taken where there is only one candidate, so that none can disagree."""

WIDEST = 2.0
MIXED_SIZE = 0.3
SCATTER_DAYS = 56


@dataclass(frozen=True, slots=True)
class Band:
    """Distances below and above the forecast sum."""

    below: float
    above: float


def band_of(history: History, total: float, candidates: Array, weights: Array, horizon: int, level: float) -> Band:
    """The interval of a sum, from the series' own weeks and the candidates' spread."""
    size = max(abs(total), MIXED_SIZE * horizon * _mean_size(history))
    if size <= 0:
        return Band(0.0, 0.0)
    width = half_width(history, total, candidates, weights, size) * _quantile_ratio(level)
    width = min(width, WIDEST)
    return Band(size * (1 - float(np.exp(-width))), size * float(np.expm1(width)))


def half_width(history: History, total: float, candidates: Array, weights: Array, size: float) -> float:
    """Half of the 80 % interval's width on the log scale."""
    features = band_features(history, total, candidates, weights, size)
    return float(np.exp(np.array([BASE, BY_VARIATION, BY_DISAGREEMENT, BY_SHORTNESS]) @ features))


def band_features(history: History, total: float, candidates: Array, weights: Array, size: float) -> Array:
    """What the width is made from: 1, log variation of weeks, log disagreement of the candidates, log shortness of the history."""
    spread = RUN_RATE_SPREAD
    if len(candidates) > 1:
        spread = float(np.sqrt(weights @ np.clip((candidates - total) / size, -1.0, 2.0) ** 2))
    shortness = float(np.log(SHORT_DAYS / min(max(history.n_known, 1), SHORT_DAYS)))
    return np.array([1.0, np.log(np.clip(_variation_of_weeks(history), 0.01, 2.0)), np.log(np.clip(spread, 0.005, 1.0)), shortness])


def daily_scatter(history: History, fitted: Array, level: float) -> float:
    """Half-width of a single day around its expected amount."""
    days = min(SCATTER_DAYS, history.n_days)
    off = np.abs(history.values[-days:] - fitted[-days:])[history.known[-days:] > 0]
    if not len(off):
        return 0.0
    return float(np.partition(off, int(level * (len(off) - 1)))[int(level * (len(off) - 1))])


def _variation_of_weeks(history: History) -> float:
    """Standard deviation from week to week beside the mean week, over the last 13 weeks."""
    weeks = min(BAND_WEEKS, history.n_days // WEEK)
    if weeks < 3:
        return FEW_WEEKS_VARIATION
    values = history.values[-weeks * WEEK :].reshape(weeks, WEEK).sum(axis=1)
    known = history.known[-weeks * WEEK :].reshape(weeks, WEEK).sum(axis=1)
    sums = (values / np.maximum(known, 1.0))[known > 0]
    if len(sums) < 3:
        return FEW_WEEKS_VARIATION
    mean = max(abs(float(sums.mean())), MIXED_SIZE * float(np.abs(sums).mean()))
    return float(np.sqrt((np.diff(sums) ** 2).mean() / 2)) / mean if mean > 0 else 0.0


def _mean_size(history: History) -> float:
    """Mean size of the last eight weeks' known days."""
    days = min(SCATTER_DAYS, history.n_days)
    known = float(history.known[-days:].sum())
    return float(np.abs(history.values[-days:]).sum()) / known if known > 0 else 0.0


def _quantile_ratio(level: float) -> float:
    normal = NormalDist()
    return float((normal.inv_cdf(0.5 + level / 2) / normal.inv_cdf(0.5 + LEVEL / 2)) ** TAIL)
