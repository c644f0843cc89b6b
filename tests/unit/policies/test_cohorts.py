"""Windows, stickiness, the histogram and the cohorts' table, on sets of numbers (spec R2, R4)."""

from collections import defaultdict
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from levqor.domain.retention import DayCount, Mode, Pool, Span
from levqor.policies.cohorts import (
    active_days,
    count_days,
    grid,
    mean_stickiness,
    period_of,
    periods,
    pooled,
    stickiness,
)

DAY = timedelta(days=1)
D = date(2026, 3, 31)


def seen(**days_ago: list[int]) -> dict[date, BitMap]:
    """`on_3=[1, 2]`: users 1 and 2 were active three days before D."""
    return {D - int(name.removeprefix("on_")) * DAY: BitMap(users) for name, users in days_ago.items()}


def one(active: dict[date, BitMap], history_from: date | None = date(2026, 1, 1)) -> DayCount:
    return next(count_days(active, [D], history_from))


@pytest.mark.parametrize(
    ("ago", "wau", "mau"),
    [
        pytest.param(0, 1, 1, id="the day itself"),
        pytest.param(6, 1, 1, id="the first of its 7 days"),
        pytest.param(7, 0, 1, id="the day before its 7"),
        pytest.param(29, 0, 1, id="the first of its 30 days"),
        pytest.param(30, 0, 0, id="the day before its 30"),
    ],
)
def test_the_windows_are_of_7_and_30_days_and_hold_their_day(ago: int, wau: int, mau: int) -> None:
    found = one(seen(**{f"on_{ago}": [5]}))
    assert (found.wau, found.mau) == (wau, mau)


@pytest.mark.parametrize(
    ("days", "wau", "mau"), [(0, False, False), (6, False, False), (7, True, False), (29, True, False), (30, True, True)]
)
def test_a_window_is_complete_once_the_history_is_as_long(days: int, wau: bool, mau: bool) -> None:
    found = one(seen(on_0=[1]), D - (days - 1) * DAY)
    assert (found.wau_complete, found.mau_complete, found.is_recorded) == (wau, mau, days > 0)


def test_nothing_is_complete_where_nothing_was_recorded() -> None:
    found = one({}, None)
    assert (found.dau, found.is_recorded, found.mau_complete) == (0, False, False)


def count(dau: int, mau: int, *, is_complete: bool = True) -> DayCount:
    return DayCount(D, dau, dau, mau, True, True, is_complete)


def test_stickiness_is_unknown_until_the_month_is_complete() -> None:
    assert stickiness(count(3, 6)) == 0.5
    assert stickiness(count(3, 6, is_complete=False)) is None
    assert stickiness(count(0, 0)) is None


def test_the_mean_stickiness_is_unknown_where_one_of_its_days_is() -> None:
    assert mean_stickiness([count(2, 4), count(1, 4)]) == 0.375
    assert mean_stickiness([count(2, 4), count(1, 4, is_complete=False)]) is None
    assert mean_stickiness([]) is None


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), max_size=150))
@settings(max_examples=60, deadline=None)
def test_the_histogram_counts_each_persons_days_among_the_last_28(pairs: list[tuple[int, int]]) -> None:
    days_of = defaultdict(set)
    active: defaultdict[date, BitMap] = defaultdict(BitMap)
    for ago, user in pairs:
        active[D - ago * DAY].add(user)
        if ago < 28:
            days_of[user].add(ago)
    expected = [sum(len(days) == wanted for days in days_of.values()) for wanted in range(1, 29)]
    assert active_days(active, D) == expected


def test_somebody_active_on_all_28_days_is_the_histograms_last() -> None:
    active = {D - ago * DAY: BitMap([7]) for ago in range(40)}
    assert active_days(active, D) == [0] * 27 + [1]


def test_a_pool_takes_only_cohorts_whose_day_is_over() -> None:
    newcomers, active = seen(on_0=[1], on_1=[2, 3], on_2=[4]), seen(on_0=[1, 3], on_1=[2, 3, 4], on_2=[4])
    assert pooled(newcomers, active, 1, D, D - 10 * DAY) == Pool(cohorts=2, users=3, retained=2)
    assert pooled(newcomers, active, 7, D, D - 10 * DAY) == Pool(0, 0, 0)


def test_a_pool_takes_the_30_newest_cohorts() -> None:
    newcomers = {D - ago * DAY: BitMap([ago]) for ago in range(1, 60)}
    assert pooled(newcomers, newcomers, 1, D, D - 59 * DAY).cohorts == 30


def test_a_week_starts_on_monday_and_a_month_on_its_first() -> None:
    assert period_of(date(2026, 3, 1), Span.WEEK).start == date(2026, 2, 23)
    assert period_of(date(2026, 3, 2), Span.WEEK).start == date(2026, 3, 2)
    february = period_of(date(2028, 2, 10), Span.MONTH)
    assert (february.start, february.end) == (date(2028, 2, 1), date(2028, 2, 29))
    assert [found.start for found in periods(date(2025, 12, 31), date(2026, 2, 1), Span.MONTH)] == [
        date(2025, 12, 1),
        date(2026, 1, 1),
        date(2026, 2, 1),
    ]


def test_a_cell_is_none_until_its_period_is_over() -> None:
    newcomers, active = seen(on_2=[1, 2]), seen(on_2=[1, 2], on_1=[2])
    rows = grid(newcomers, active, periods(D - 2 * DAY, D, Span.DAY), D, Mode.ON, 3)
    assert [row.retained for row in rows] == [[2, 1, 0, None], [0, 0, None, None], [0, None, None, None]]


def test_a_weeks_cell_is_none_until_its_sunday_is_over() -> None:
    monday = date(2026, 3, 23)
    newcomers = {monday: BitMap([1])}
    active = {monday: BitMap([1]), monday + 7 * DAY: BitMap([1])}
    for closed, cells in ((date(2026, 4, 4), [1, None]), (date(2026, 4, 5), [1, 1])):
        assert grid(newcomers, active, periods(monday, closed, Span.WEEK), closed, Mode.ON, 1)[0].retained == cells


def test_on_or_after_counts_who_came_back_later_too() -> None:
    newcomers, active = seen(on_3=[1, 2, 3]), seen(on_3=[1, 2, 3], on_2=[1], on_0=[2])
    spans = periods(D - 3 * DAY, D, Span.DAY)
    assert grid(newcomers, active, spans, D, Mode.ON, 3)[0].retained == [3, 1, 0, 1]
    assert grid(newcomers, active, spans, D, Mode.ON_OR_AFTER, 3)[0].retained == [3, 2, 1, 1]
