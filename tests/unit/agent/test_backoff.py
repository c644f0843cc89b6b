"""Restarts: at once, until deaths in a window say crash loop (spec P3)."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levqor.agent.backoff import LOOP_WINDOW_S, WINDOW_S, Backoff


def after(*deaths: float) -> Backoff:
    backoff = Backoff()
    for at in deaths:
        backoff = backoff.after_death(at)
    return backoff


@pytest.mark.parametrize(
    ("deaths", "delay_s"),
    [
        pytest.param([], 0.0, id="never died"),
        pytest.param([0, 1, 2, 3], 0.0, id="four deaths are no loop"),
        pytest.param([0, 1, 2, 3, 4], 1.0, id="the fifth within a minute is"),
        pytest.param([0, 1, 2, 3, 59.9], 1.0, id="five just within the window"),
        pytest.param([0, 1, 2, 3, 60], 0.0, id="five just beyond it"),
        pytest.param([0, 1, 2, 3, 4, 5], 2.0, id="doubles"),
        pytest.param([0, 1, 2, 3, 4, 5, 6], 4.0, id="and again"),
        pytest.param([0, 1, 2, 3, 4, 5, 6, 7], 8.0, id="and again to eight"),
        pytest.param([0, 1, 2, 3, 4, 5, 6, 7, 8], 16.0, id="and again to sixteen"),
        pytest.param([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 30.0, id="never above thirty"),
        pytest.param([0, 1, 2, 3, 4, 63.9], 2.0, id="slow deaths go on being a loop"),
        pytest.param([0, 1, 2, 3, 4, 64], 0.0, id="a minute without a death ends it"),
    ],
)
def test_delay_follows_deaths_in_the_window(deaths: list[float], delay_s: float) -> None:
    assert after(*deaths).delay_s == delay_s


def test_a_crash_loop_is_over_after_a_minute_without_a_death() -> None:
    looping = after(0, 1, 2, 3, 4)
    assert looping.is_crash_looping(63.9)
    assert not looping.is_crash_looping(64)


def test_a_looping_child_waits_its_delay_and_no_longer() -> None:
    looping = after(0, 1, 2, 3, 4)
    assert not looping.may_start(4.9)
    assert looping.may_start(5.0)


def test_deaths_are_forgotten_after_ten_minutes() -> None:
    once = after(0)
    assert once.deaths_10m(WINDOW_S - 0.1) == 1
    assert once.deaths_10m(WINDOW_S) == 0


gaps = st.lists(st.floats(min_value=0.0, max_value=400.0), min_size=1, max_size=200)


@given(gaps)
def test_whatever_dies_how_often_it_starts_again_within_thirty_seconds(between: list[float]) -> None:
    deaths = list(accumulate(between))
    assert after(*deaths).may_start(deaths[-1] + 30.0)


@given(gaps)
def test_memory_is_bounded_by_the_window(between: list[float]) -> None:
    deaths = list(accumulate(between))
    assert len(after(*deaths).deaths) == sum(deaths[-1] - at < WINDOW_S for at in deaths)


@given(gaps, st.floats(min_value=LOOP_WINDOW_S, max_value=1e6))
def test_a_minute_of_life_always_clears_the_record_of_looping(between: list[float], calm_s: float) -> None:
    deaths = list(accumulate(between))
    later = deaths[-1] + calm_s
    backoff = after(*deaths)
    assert not backoff.is_crash_looping(later)
    assert backoff.after_death(later).delay_s == 0.0
