"""Retention's figures as the API and the command line say them."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from levqor.domain.retention import DayCount, Pool
from levqor.policies.cohorts import ACTIVE_DAYS, WEEK_DAYS, CohortRow, Days, active_days, mean_stickiness, pooled, stickiness

OFFSETS = (1, 7, 30)


def day_row(count: DayCount) -> dict[str, Any]:
    return {
        "day": count.day.isoformat(),
        "dau": count.dau,
        "wau": count.wau,
        "mau": count.mau,
        "is_recorded": count.is_recorded,
        "wau_complete": count.wau_complete,
        "mau_complete": count.mau_complete,
    }


def sticky(active: Days, closed: Sequence[DayCount]) -> dict[str, Any]:
    """The last closed day's ratio, its mean over 7 closed days, and the histogram of active days. `closed`: the oldest first."""
    last = closed[-1]
    return {
        "day": last.day.isoformat(),
        "ratio": stickiness(last),
        "mean_7d": mean_stickiness(closed[-WEEK_DAYS:]),
        "active_days": {"days": ACTIVE_DAYS, "users": active_days(active, last.day)},
    }


def pools(newcomers: Days, active: Days, closed: date, history_from: date | None) -> dict[str, Any]:
    """D1, D7 and D30 over the cohorts whose day is over."""
    empty = Pool(0, 0, 0)
    found = {offset: empty if history_from is None else pooled(newcomers, active, offset, closed, history_from) for offset in OFFSETS}
    return {
        f"d{offset}": {"rate": pool.rate, "retained": pool.retained, "users": pool.users, "cohorts": pool.cohorts}
        for offset, pool in found.items()
    }


def cohort_rows(rows: Sequence[CohortRow]) -> list[dict[str, Any]]:
    """The newest cohort first."""
    return [
        {
            "start": row.period.start.isoformat(),
            "end": row.period.end.isoformat(),
            "users": row.users,
            "retained": row.retained,
            "rates": [None if kept is None or not row.users else kept / row.users for kept in row.retained],
        }
        for row in reversed(rows)
    ]
