"""Many lines and their sum: fixed ones without error, unknown ones named and never zero, and the day a limit is passed (spec C2)."""

import math
from datetime import date, timedelta

import numpy as np
import pytest

from levqor.domain.forecast import Line, breach_date
from levqor.policies.forecast import combine, forecast_lines

TODAY = date(2026, 6, 1)


def line(name: str, values: list[float | None], *, category: str = "infra", end: date = TODAY) -> Line:
    return Line(name, category, values, end - timedelta(days=len(values)))


def noisy(seed: int, n: int = 120, mean: float = 100.0) -> list[float | None]:
    return [float(value) for value in mean + 15 * np.random.default_rng(seed).standard_normal(n)]


def test_a_fixed_line_carries_no_error() -> None:
    known = tuple(46 / 30 if day < 29 else 46 / 31 for day in range(30))
    found = forecast_lines([Line("replit", "infra", [], TODAY, is_fixed=True, known=known)], TODAY).sum
    assert found.total == found.low == found.high == pytest.approx(sum(known))
    assert found.daily == found.daily_low == found.daily_high == known
    assert (found.method, found.error, found.low_data) == ("fixed", 0.0, False)


def test_a_fixed_line_without_known_days_repeats_its_last_one() -> None:
    fixed = Line("redis", "infra", [1.0, 2.0, None, 99.0], TODAY - timedelta(days=3), is_fixed=True)
    assert forecast_lines([fixed], TODAY).sum.total == 60.0, "the amount of today itself is not read"


def test_fixed_lines_shift_the_sum_and_leave_its_width() -> None:
    varying, fixed = line("openai", noisy(1), category="ai"), Line("replit", "infra", [], TODAY, is_fixed=True, known=(2.0,) * 30)
    alone, both = forecast_lines([varying], TODAY).sum, forecast_lines([varying, fixed], TODAY).sum
    for one, other in ((alone.low, both.low), (alone.total, both.total), (alone.high, both.high)):
        assert one is not None
        assert other == pytest.approx(one + 60.0)


def test_lines_of_a_bill_err_neither_all_together_nor_each_alone() -> None:
    lines = [line(f"line {seed}", noisy(seed)) for seed in range(8)]
    found = forecast_lines(lines, TODAY)
    halves = [(one.sum.high or 0) - (one.sum.total or 0) for one in found.lines]
    assert found.sum.total == pytest.approx(sum(one.sum.total or 0 for one in found.lines))
    assert math.hypot(*halves) < (found.sum.high or 0) - (found.sum.total or 0) < sum(halves)


def test_a_line_without_history_is_named_and_not_counted_as_zero() -> None:
    found = forecast_lines([line("openai", []), line("redis", noisy(2))], TODAY)
    assert found.unknown == ("openai",)
    assert found.lines[0].sum.total is None
    assert found.sum.total == found.lines[1].sum.total
    assert found.sum.low_data
    assert "openai" in found.sum.note


@pytest.mark.parametrize("lines", [[], [line("openai", [])]], ids=["no line", "no history"])
def test_nothing_known_is_no_figure(lines: list[Line]) -> None:
    found = forecast_lines(lines, TODAY).sum
    assert (found.total, found.low, found.high, found.low_data) == (None, None, None, True)


def test_today_and_what_is_later_are_not_read() -> None:
    past = noisy(3, 60)
    tomorrow = Line("redis", "infra", [*past, 1e6, 1e6], TODAY - timedelta(days=60))
    assert forecast_lines([tomorrow], TODAY) == forecast_lines([line("redis", past)], TODAY)
    assert forecast_lines([Line("redis", "infra", [1.0], TODAY)], TODAY).unknown == ("redis",)


def test_a_line_that_stopped_telling_is_forecast_from_today_on() -> None:
    found = forecast_lines([line("stripe", noisy(4, 90), end=TODAY - timedelta(days=10))], TODAY).sum
    assert found.start == TODAY
    assert found.total == pytest.approx(3000, rel=0.1)
    assert found.n_days == 90


def test_a_category_can_be_added_up_by_itself() -> None:
    found = forecast_lines([line("a", noisy(5)), line("b", noisy(6), category="ai"), line("c", noisy(7))], TODAY)
    infra = combine([one for one in found.lines if one.category == "infra"], TODAY)
    assert infra.total == pytest.approx((found.lines[0].sum.total or 0) + (found.lines[2].sum.total or 0))
    assert len(infra.daily) == len(infra.daily_high) == len(infra.cumulative_low) == 30
    assert infra.cumulative[-1] == pytest.approx(infra.total)


@pytest.mark.parametrize(
    ("limit", "already", "day"),
    [
        pytest.param(29.99, 0.0, 2, id="passed on the third day"),
        pytest.param(30.0, 0.0, 3, id="reached is not passed"),
        pytest.param(30.0, 0.01, 2, id="what is spent already counts"),
        pytest.param(9.99, 0.0, 0, id="on the first day"),
        pytest.param(49.99, 0.0, 4, id="on the last day"),
        pytest.param(50.0, 0.0, None, id="not within these days"),
    ],
)
def test_the_day_a_limit_is_passed(limit: float, already: float, day: int | None) -> None:
    found = breach_date(TODAY, [10.0, 20.0, 30.0, 40.0, 50.0], limit, already)
    assert found == (None if day is None else TODAY + timedelta(days=day))


def test_the_high_of_the_interval_passes_a_limit_no_later_than_the_path() -> None:
    found = forecast_lines([line("redis", noisy(8))], TODAY).sum
    expected, earliest = breach_date(TODAY, found.cumulative, 2000.0), breach_date(TODAY, found.cumulative_high, 2000.0)
    assert expected is not None
    assert earliest is not None
    assert TODAY < earliest < expected
