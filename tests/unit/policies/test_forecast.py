"""The forecast of one series: exact where the contract is (spec C3), sane whatever it is fed, and the same for the same history."""

import math
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levqor.domain.forecast import SumForecast
from levqor.policies.forecast import forecast_sum

START = date(2026, 1, 5)  # a Monday
WEEK = [10.0, 12.0, 9.0, 11.0, 14.0, 3.0, 2.0]

amounts = st.floats(-1e9, 1e9, allow_nan=False, allow_infinity=False)
days = st.lists(st.one_of(amounts, st.none(), st.just(0.0), st.floats(0, 100)), max_size=120)


def noisy(n: int, seed: int = 1, mean: float = 100.0, spread: float = 10.0) -> list[float]:
    return [float(value) for value in mean + spread * np.random.default_rng(seed).standard_normal(n)]


def certain(found: SumForecast) -> tuple[float, float, float]:
    assert found.total is not None
    assert found.low is not None
    assert found.high is not None
    return found.low, found.total, found.high


def assert_sane(found: SumForecast, horizon: int) -> None:
    low, total, high = certain(found)
    paths = (found.daily, found.daily_low, found.daily_high, found.cumulative_low, found.cumulative_high, found.cumulative)
    assert all(math.isfinite(value) for path in (*paths, (low, total, high)) for value in path)
    assert low <= total <= high
    assert [len(path) for path in paths] == [horizon] * len(paths)
    assert math.isclose(sum(found.daily), total, rel_tol=1e-9, abs_tol=1e-6)
    assert found.cumulative_low[-1] == low
    assert found.cumulative_high[-1] == high
    slack = 1e-9 * max(1.0, abs(total), *(abs(value) for value in found.daily))
    assert all(a - slack <= b <= c + slack for a, b, c in zip(found.daily_low, found.daily, found.daily_high, strict=True))
    assert found.error is None or math.isfinite(found.error)


@settings(max_examples=120, deadline=None)
@given(days, st.sampled_from(["auto", "linear", "level"]), st.sampled_from([1, 7, 30, 45]))
def test_whatever_the_history_the_answer_is_finite_and_inside_its_interval(values: list[float | None], method: str, horizon: int) -> None:
    found = forecast_sum(values, START, horizon, method)
    if all(value is None for value in values):
        assert (found.total, found.low, found.high, found.daily) == (None, None, None, ())
        assert found.low_data
        return
    assert_sane(found, horizon)
    assert found == forecast_sum(values, START, horizon, method)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0.5, 1000.0), min_size=1, max_size=90),
    st.sampled_from([0.01, 0.5, 3.0, 1000.0]),
    st.sampled_from(["auto", "linear", "level"]),
)
def test_another_currency_scales_the_answer(values: list[float], rate: float, method: str) -> None:
    one = certain(forecast_sum(values, START, 30, method))
    other = certain(forecast_sum([value * rate for value in values], START, 30, method))
    size = max(abs(figure) for figure in one)
    assert other == pytest.approx([figure * rate for figure in one], rel=1e-6, abs=1e-6 * size * rate)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.0, 1000.0), min_size=1, max_size=90))
def test_amounts_that_were_never_negative_are_not_forecast_below_zero(values: list[float]) -> None:
    found = forecast_sum(values, START)
    assert min(*certain(found), *found.daily, *found.daily_low, *found.cumulative_low) >= 0


# C3: `linear` is the line through the last 30 days, and its interval exactly 20 % off.


@pytest.mark.parametrize("n_days", [2, 29, 30, 31, 90])
def test_linear_is_the_least_squares_line_through_the_last_thirty_days(n_days: int) -> None:
    values = noisy(n_days, spread=40.0)
    last = values[-30:]
    slope, base = np.polyfit(np.arange(len(last)), last, 1)
    expected = sum(base + slope * (len(last) + day) for day in range(30))
    low, total, high = certain(forecast_sum(values, START, 30, "linear"))
    assert total == pytest.approx(expected)
    assert (low, high) == pytest.approx((0.8 * expected, 1.2 * expected), rel=1e-9)


@pytest.mark.parametrize(
    ("values", "total", "low", "high"),
    [
        pytest.param([5.0], 150.0, 120.0, 180.0, id="one day is repeated"),
        pytest.param([float(day) for day in range(30)], 1335.0, 1068.0, 1602.0, id="growth goes on"),
        pytest.param([30.0 - day for day in range(30)], -435.0, -522.0, -348.0, id="a falling line goes below zero, low stays below high"),
        pytest.param([0.0] * 30, 0.0, 0.0, 0.0, id="zeros"),
        pytest.param([1.0] * 29 + [1001.0], None, None, None, id="an outlier is taken at its word"),
    ],
)
def test_linear_by_hand(values: list[float], total: float | None, low: float | None, high: float | None) -> None:
    found = certain(forecast_sum(values, START, 30, "linear"))
    if total is None:
        slope, base = np.polyfit(np.arange(30), values, 1)
        assert found[1] == pytest.approx(sum(base + slope * (30 + day) for day in range(30)))
    else:
        assert found == pytest.approx((low, total, high), abs=1e-9)


def test_linear_after_a_month_of_silence_takes_the_last_known_days() -> None:
    assert certain(forecast_sum([*[4.0] * 20, *[None] * 40], START, 30, "linear"))[1] == pytest.approx(120.0)


# Little history.


def test_no_history_is_no_figure_rather_than_zero() -> None:
    for values in ([], [None], [math.nan, math.inf], [None] * 500):
        found = forecast_sum(values, START)
        assert (found.total, found.low, found.high, found.method, found.low_data) == (None, None, None, "none", True)


def test_a_line_silent_for_longer_than_a_forecast_looks_back_has_no_history() -> None:
    assert forecast_sum([*[9.0] * 50, *[None] * 399], START).total is None
    assert forecast_sum([*[9.0] * 50, *[None] * 398], START).total == pytest.approx(270.0, rel=0.05)


@pytest.mark.parametrize(
    ("n_days", "is_run_rate", "low_data"), [(1, True, True), (6, True, True), (7, False, True), (27, False, True), (28, False, False)]
)
def test_a_run_rate_under_a_week_and_low_data_under_four(n_days: int, is_run_rate: bool, low_data: bool) -> None:
    found = forecast_sum(noisy(n_days), START)
    assert (found.method == "run_rate") is is_run_rate
    assert found.low_data is low_data
    assert found.n_days == n_days


def test_the_run_rate_is_the_mean_day() -> None:
    assert forecast_sum([2.0, 4.0, None, 6.0], START).total == pytest.approx(120.0)


def test_less_history_makes_a_wider_interval() -> None:
    widths = []
    for n_days in (3, 10, 28, 200):
        low, _, high = certain(forecast_sum(noisy(200)[-n_days:], START))
        widths.append(high - low)
    assert all(earlier > later for earlier, later in pairwise(widths))


# Days that mislead.


@pytest.mark.parametrize("method", ["auto", "level"])
@pytest.mark.parametrize("place", [-1, -15, 0])
def test_one_huge_day_moves_the_sum_little(method: str, place: int) -> None:
    values = noisy(120)
    calm = certain(forecast_sum(values, START, 30, method))[1]
    values[place] = 1e6
    assert certain(forecast_sum(values, START, 30, method))[1] == pytest.approx(calm, rel=0.25)


@pytest.mark.parametrize("hole", [None, 0.0], ids=["unknown days", "days booked as zero"])
def test_a_gap_of_two_weeks_is_no_fall_in_cost(hole: float | None) -> None:
    values: list[float | None] = list(noisy(100))
    values[70:84] = [hole] * 14
    found = forecast_sum(values, START)
    assert certain(found)[1] == pytest.approx(3000, rel=0.05)
    assert found.n_days == 86


def test_a_gap_until_today_is_bridged() -> None:
    assert certain(forecast_sum([*noisy(100), *[None] * 14], START))[1] == pytest.approx(3000, rel=0.05)


def test_zeros_that_are_part_of_the_line_count() -> None:
    values = [float(30 if day % 30 == 0 else 0) for day in range(300)]
    assert certain(forecast_sum(values, START))[1] < 90


def test_spend_that_stopped_is_forecast_low_with_a_wide_interval() -> None:
    low, total, high = certain(forecast_sum([*noisy(100), *[0.0] * 14], START))
    assert total < 1500
    assert high > 1.5 * total
    assert low < 0.7 * total


def test_a_constant_is_repeated_with_a_narrow_interval() -> None:
    low, total, high = certain(forecast_sum([7.5] * 90, START))
    assert total == pytest.approx(225.0)
    assert 0 < high - low < 0.1 * total


def test_zeros_stay_zero() -> None:
    found = forecast_sum([0.0] * 60, START)
    assert certain(found) == (0.0, 0.0, 0.0)
    assert found.error == 0.0


def test_negative_days_are_credits() -> None:
    low, total, high = certain(forecast_sum([-value for value in noisy(90)], START))
    assert total == pytest.approx(-3000, rel=0.05)
    assert low < total < high


# What it finds.


@pytest.mark.parametrize("method", ["auto", "level"])
def test_the_weekday_pattern_comes_back(method: str) -> None:
    found = forecast_sum(WEEK * 12, START, 30, method)
    expected = [WEEK[day % 7] for day in range(30)]
    assert found.start == START + timedelta(days=84)
    assert found.daily == pytest.approx(expected, abs=0.6)
    assert certain(found)[1] == pytest.approx(sum(expected), rel=0.02)


def test_a_step_in_cost_is_followed_and_old_days_forgotten() -> None:
    low, total, high = certain(forecast_sum([*noisy(150, mean=50), *noisy(60, seed=2, mean=150)], START))
    assert total == pytest.approx(4500, rel=0.06)
    assert low < 4500 < high


def test_steady_growth_is_seen_without_being_overdone() -> None:
    values = [10.0 + 0.5 * day for day in range(180)]
    ahead = sum(10.0 + 0.5 * (180 + day) for day in range(30))
    assert certain(forecast_sum(values, START))[1] == pytest.approx(ahead, rel=0.06)


def test_the_half_life_follows_the_series() -> None:
    jumping = np.cumsum(np.random.default_rng(3).standard_normal(300)) * 5 + 300
    still, moving = forecast_sum(noisy(300), START, 30, "level"), forecast_sum(jumping.tolist(), START, 30, "level")
    assert still.half_life is not None
    assert moving.half_life is not None
    assert still.half_life > moving.half_life


def test_the_error_is_that_of_months_already_past() -> None:
    calm, wild = forecast_sum(noisy(200), START), forecast_sum(noisy(200, spread=60.0), START)
    assert calm.error is not None
    assert wild.error is not None
    assert calm.error < wild.error < 1
    assert forecast_sum(noisy(50), START).error is None
    assert forecast_sum(noisy(51), START).error is not None


def test_a_higher_level_makes_a_wider_interval() -> None:
    widths = [high - low for low, _, high in (certain(forecast_sum(noisy(120), START, level=level)) for level in (0.5, 0.8, 0.95))]
    assert widths[0] < widths[1] < widths[2]


@pytest.mark.parametrize(("horizon", "method", "level"), [(0, "auto", 0.8), (367, "auto", 0.8), (30, "prophet", 0.8), (30, "auto", 1.0)])
def test_what_cannot_be_asked_is_refused(horizon: int, method: str, level: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        forecast_sum([1.0], START, horizon, method, level)
