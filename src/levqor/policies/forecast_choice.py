"""Which candidates to believe: each forecasts months that have already passed, and weighs by how far off it was."""

from dataclasses import dataclass

import numpy as np

from levqor.policies.forecast_history import WEEK, Array, Days, History, windows_before
from levqor.policies.forecast_methods import CANDIDATES, HALF_LIVES, PRIOR_ERRORS, Outlook, outlook

MOST_STARTS = 13
"""Past starts: half a year of them ..."""

START_STEP = 2 * WEEK
"""... two weeks apart, so that each day is forecast from about two."""

FIRST_START = 21
"""A past start has at least so many days before it."""

KNOWN_SHARE = 0.7
"""A past month counts if so much of it is known."""

DAYS_A_MONTH = 30.0
PRIOR_MONTHS = 1.0
"""The prior errors weigh as much as a month of own backtest: few starts choose little."""

SHARPNESS = 12.0
"""Weight falls with this power of the error: twice as far off is nearly left out."""

LEVELS = tuple(range(len(HALF_LIVES)))
LINEAR = CANDIDATES.index("linear")
FAMILIES = ("level", "typical", "yearly", "damped", "trend", "linear")


@dataclass(frozen=True, slots=True)
class Backtest:
    """`said[k, c]` and `became[k]`: sums of the days from the k-th past start; `sizes[k]`: what an error is set against."""

    said: Array
    became: Array
    sizes: Array

    @property
    def months(self) -> float:
        """How much independent evidence the overlapping months are."""
        return len(self.became) * START_STEP / DAYS_A_MONTH

    def errors(self) -> Array:
        """Relative size of each candidate's error at each start."""
        return np.asarray(np.abs(self.said - self.became[:, None]) / self.sizes[:, None])

    def error_of(self, weights: Array) -> float | None:
        """Mean relative error of the weighted candidates; None: no past month to tell."""
        if not len(self.became):
            return None
        return float((np.abs(self.said @ weights - self.became) / self.sizes).mean())


def look_back(history: History, horizon: int) -> tuple[Backtest, Outlook]:
    """The backtest over past starts, and the outlook from the history's end."""
    last = history.n_days - horizon
    starts: Days = np.arange(last, FIRST_START - 1, -START_STEP)[:MOST_STARTS].astype(np.int64)
    ends = np.append(starts, np.int64(history.n_days))
    views = outlook(windows_before(history, ends), horizon)
    now = Outlook(views.sums[-1:], views.factors[-1:], views.levels[-1:])
    return _backtest(history, starts, views.sums[:-1], horizon), now


def _backtest(history: History, starts: Days, said: Array, horizon: int) -> Backtest:
    running = np.concatenate((np.zeros((2, 1)), np.cumsum(np.stack((history.values, history.known)), axis=1)), axis=1)
    ahead = running[:, starts + horizon] - running[:, starts]
    is_told = ahead[1] >= KNOWN_SHARE * horizon
    said, became = said[is_told], ahead[0][is_told] / np.maximum(ahead[1][is_told], 1.0) * horizon
    sizes = np.abs(became)
    floor = 0.2 * sizes.mean() if len(sizes) else 0.0
    sizes = np.maximum(sizes, floor)
    return Backtest(said, became, np.where(sizes > 0, sizes, 1.0))


def weigh(backtest: Backtest, among: tuple[int, ...] | None = None) -> Array:
    """A weight for each candidate, adding up to 1; `among`: the only ones asked."""
    expected = PRIOR_ERRORS
    if len(backtest.became):
        errors = backtest.errors().mean(axis=0)
        typical = float(errors.mean())
        own = errors / typical if typical > 0 else np.ones(len(errors))
        expected = (backtest.months * own + PRIOR_MONTHS * PRIOR_ERRORS) / (backtest.months + PRIOR_MONTHS)
    weights = np.maximum(expected, 1e-2) ** -SHARPNESS
    if among is not None:
        chosen = np.zeros(len(weights))
        chosen[list(among)] = 1.0
        weights = weights * chosen
    return np.asarray(weights / weights.sum())


def alone(candidate: int) -> Array:
    """All the weight on one candidate."""
    return np.asarray((np.arange(len(CANDIDATES)) == candidate).astype(np.float64))


def best_of(backtest: Backtest, among: tuple[int, ...]) -> Array:
    """All the weight on the best one of `among`."""
    weights = weigh(backtest, among)
    return alone(int(weights.argmax()))


def family_shares(weights: Array) -> dict[str, float]:
    """The weight of each family of candidates, heaviest first."""
    levels = len(HALF_LIVES)
    shares = zip(FAMILIES, (float(weights[:levels].sum()), *(float(one) for one in weights[levels:])), strict=True)
    return dict(sorted(shares, key=lambda share: -share[1]))


def half_life_of(weights: Array) -> float | None:
    """The levels' half-life in days, weighed on a logarithmic scale; None where levels have no say."""
    levels = weights[: len(HALF_LIVES)]
    total = float(levels.sum())
    if total <= 0:
        return None
    return round(float(np.exp((levels * np.log(np.array(HALF_LIVES))).sum() / total)), 1)
