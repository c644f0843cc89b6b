"""Shapes of the answers about who stays. Answers may hold more; a figure that is not known is null."""

from typing import Literal

from levqor.web.models import Shape


class ActiveUsers(Shape):
    """Distinct people of a day, and of the 7 and the 30 days that end with it.

    `is_recorded` false: before the history's first day, its zeros say nothing. A window is complete once the history is as long.
    """

    day: str
    dau: int
    wau: int
    mau: int
    is_recorded: bool
    wau_complete: bool
    mau_complete: bool


class ActiveToday(ActiveUsers):
    """The day that is not over."""

    partial: bool


class ActiveDays(Shape):
    """How many people were active on exactly 1, 2, ... of so many days."""

    days: int
    users: list[int]


class Stickiness(Shape):
    """The share of the month's people who came on the last closed day, and its mean over a week."""

    day: str
    ratio: float | None
    mean_7d: float | None
    active_days: ActiveDays


class PooledCohorts(Shape):
    """Several cohorts together: of so many users so many came again on that day."""

    rate: float | None
    retained: int
    users: int
    cohorts: int


class ComingBack(Shape):
    """Who came again on the first, the seventh and the thirtieth day after their first."""

    d1: PooledCohorts
    d7: PooledCohorts
    d30: PooledCohorts


class Retention(Shape):
    """Active users by day, newest first; today, which is partial, apart. `history_from` null: nobody was ever active."""

    ok: bool
    zone: str
    history_from: str | None
    metrics: list[ActiveUsers]
    today: ActiveToday
    stickiness: Stickiness
    cohorts: ComingBack


class Cohort(Shape):
    """People first seen in one period, and how many came back in each one after it; null: that period is not over."""

    start: str
    end: str
    users: int
    retained: list[int | None]
    rates: list[float | None]


class Cohorts(Shape):
    """People by when they were first seen, the newest first."""

    ok: bool
    by: Literal["day", "week", "month"]
    mode: Literal["on", "on_or_after"]
    as_of: str
    zone: str
    columns: list[int]
    cohorts: list[Cohort]


class Users(Shape):
    """People in all, new ones, and those who were there before and came again."""

    total: int
    new_7d: int
    new_30d: int
    returning_7d: int
    returning_30d: int


class ReferralSource(Shape):
    """Where people came from."""

    source: str
    users: int


class Analytics(Shape):
    """Users in all, new and returning ones, and where they came from."""

    ok: bool
    users: Users
    referral_sources: list[ReferralSource]
    zone: str
    as_of: str
