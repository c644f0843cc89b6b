"""SLO checks and streaks in the database."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from levqor.policies.slo import Judgement, Streak
from levqor.store.schema import slo_checks, slo_streaks

KEEP = timedelta(days=31)


def read_streak(connection: Connection, series: str) -> tuple[datetime | None, Streak]:
    """Until when a series has been judged, and its streak."""
    row = connection.execute(select(slo_streaks).where(slo_streaks.c.series == series)).one_or_none()
    return (None, Streak()) if row is None else (row.judged_until, Streak(tuple(row.ages_s)))


def write_streak(connection: Connection, series: str, judged_until: datetime | None, streak: Streak) -> None:
    """Checkpoint a streak, within the caller's fenced transaction."""
    values = {"judged_until": judged_until, "ages_s": [round(age, 3) for age in streak.ages_s]}
    if connection.execute(update(slo_streaks).where(slo_streaks.c.series == series).values(**values)).rowcount == 0:
        connection.execute(insert(slo_streaks).values(series=series, **values))


def write_check(connection: Connection, series: str, start: datetime, state: str, judgements: dict[str, Judgement], now: datetime) -> None:
    """Write one check; judged again after the clock was set back, it replaces the one before."""
    said = {name: {"state": found.state.value, "p_value": found.p_value, "why": found.why} for name, found in judgements.items()}
    this = (slo_checks.c.series == series) & (slo_checks.c.window_start == start)
    values = {"state": state, "judgements": said, "judged_at": now}
    if connection.execute(update(slo_checks).where(this).values(**values)).rowcount == 0:
        connection.execute(insert(slo_checks).values(series=series, window_start=start, **values))


def list_checks(connection: Connection, series: str, limit: int) -> list[dict[str, Any]]:
    """The newest checks of a series first."""
    query = select(slo_checks).where(slo_checks.c.series == series).order_by(slo_checks.c.window_start.desc()).limit(limit)
    return [
        {"window_start": row.window_start.isoformat(), "state": row.state, "judgements": row.judgements}
        for row in connection.execute(query)
    ]


def last_judged(connection: Connection) -> datetime | None:
    """When a check was last made."""
    return connection.execute(select(slo_checks.c.judged_at).order_by(slo_checks.c.judged_at.desc()).limit(1)).scalar_one_or_none()


def purge_checks(connection: Connection, now: datetime) -> None:
    connection.execute(delete(slo_checks).where(slo_checks.c.window_start < now - KEEP))
