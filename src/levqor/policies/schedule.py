"""Which of the due times that have come is kept, and which were missed: arithmetic alone, so it can be examined."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from levqor.domain.schedule import CatchUp, Job, RunState

ON_TIME = timedelta(minutes=5)
"""A start so late is on time: longer than a new leader needs."""
ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Due:
    """A due time, and the key under which it is claimed once: itself, or its local date."""

    at: datetime
    key: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start, if anything, and what nobody kept."""

    run: Due | None
    missed: Sequence[Due]


def plan(job: Job, due: Sequence[Due], claimed: Collection[str], now: datetime) -> Plan:
    """At most one run, for the newest due time; whatever is older was missed (spec T2). `due`: oldest first."""
    open_ones = list({one.key: one for one in reversed(due) if one.key not in claimed}.values())[::-1]
    if not open_ones:
        return Plan(None, ())
    newest = open_ones[-1]
    if may_start(job, newest.at, now):
        return Plan(newest, open_ones[:-1])
    return Plan(None, open_ones)


def may_start(job: Job, due_at: datetime, now: datetime) -> bool:
    """Is it early enough, by the job's rule, to keep this due time still?"""
    if job.catch_up is CatchUp.SKIP:
        return now - due_at <= ON_TIME
    return job.late_at_most is None or now - due_at <= job.late_at_most


def may_try_again(job: Job, state: RunState, attempt: int, due_at: datetime, now: datetime) -> bool:
    """May a run that was cut off be repeated? Once, and never one that failed by itself."""
    return state.is_cut and job.catch_up is CatchUp.ONCE and attempt < ATTEMPTS and may_start(job, due_at, now)
