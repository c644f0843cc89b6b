"""When a job is due. APScheduler's trigger finds the times on a wall clock's face; where a zone puts them is decided here.

Left to itself around a change of daylight saving, the trigger gives a local 01:30 twice, and a local 00:05 that does not
exist not at all. On a bare face each comes once; one that does not exist is then moved on, and of two the first counts.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from levqor.domain.schedule import Cron, Job
from levqor.policies.schedule import Due

LOOK_BACK = timedelta(days=8)
"""More than the longest period; what was due before that is not listed one by one."""
WIDEST_CHANGE = timedelta(days=1)


def due_between(job: Job, after: datetime, until: datetime) -> list[Due]:
    """Due times in (after, until], the oldest first; none from before LOOK_BACK."""
    found: list[Due] = []
    for due in _times(job, max(after, until - LOOK_BACK)):
        if due.at > until:
            break
        found.append(due)
    return found


def next_due(job: Job, after: datetime) -> datetime | None:
    """The first due time after a moment; None where the loop itself does it."""
    return next((due.at for due in _times(job, after)), None)


def _times(job: Job, after: datetime) -> Iterator[Due]:
    if not isinstance(job.trigger, Cron):
        return
    from apscheduler.triggers.cron import CronTrigger  # on use: a process that asks for no time does not pay for it

    zone = ZoneInfo(job.zone)
    trigger = CronTrigger(hour=job.trigger.hour, minute=job.trigger.minute, day_of_week=job.trigger.day_of_week, timezone=UTC)
    margin = WIDEST_CHANGE if job.once_per_local_date else timedelta(0)
    face = after.astimezone(zone).replace(tzinfo=UTC) - margin
    while (face := trigger.get_next_fire_time(None, face + timedelta(microseconds=1))) is not None:
        at = face.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if at > after:
            yield Due(at, face.date().isoformat() if job.once_per_local_date else at.isoformat())
