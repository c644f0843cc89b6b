"""The schedule's runs: a due time is claimed by a row that exists once, in the leader's fenced transaction (spec T2)."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from levqor.domain.errors import Conflict
from levqor.domain.schedule import OPEN, Ended, RunState
from levqor.policies.schedule import Due
from levqor.store.schema import schedule_jobs, schedule_runs

KEEP = timedelta(days=90)
BY_SCHEDULE = "schedule"
"""Who asked for a run that a due time asked for."""
ASKED = "asked:"
"""The key of a run that a person asked for begins so."""


@dataclass(frozen=True, slots=True)
class Run:
    """One row."""

    id: int
    job: str
    due_key: str
    attempt: int
    due_at: datetime
    asked_by: str
    state: RunState
    holder: str | None
    keeper: str | None
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    output: str | None

    @property
    def is_scheduled(self) -> bool:
        return not self.due_key.startswith(ASKED)


def _run(row: Row[tuple[object, ...]]) -> Run:
    values = dict(row._mapping)
    return Run(**{**values, "state": RunState(str(values["state"]))})


def know_jobs(connection: Connection, now: datetime, jobs: Collection[str]) -> dict[str, datetime]:
    """Until when each of these was looked after. One that is new begins now; others are forgotten, so that they would begin anew."""
    connection.execute(delete(schedule_jobs).where(schedule_jobs.c.job.not_in(jobs)))
    known = {row.job: row.looked_until for row in connection.execute(select(schedule_jobs))}
    for job in jobs:
        if job not in known:
            connection.execute(insert(schedule_jobs).values(job=job, since=now, looked_until=now))
    return {job: known.get(job, now) for job in jobs}


def known_since(connection: Connection) -> dict[str, datetime]:
    """Since when each job is looked after."""
    return {row.job: row.since for row in connection.execute(select(schedule_jobs))}


def set_looked(connection: Connection, job: str, looked_until: datetime) -> None:
    """What was due until then has been seen to."""
    connection.execute(update(schedule_jobs).where(schedule_jobs.c.job == job).values(looked_until=looked_until))


def claimed_keys(connection: Connection, job: str, keys: Iterable[str]) -> set[str]:
    """Those that have had their run. One that was missed may still get it, if its time comes again."""
    mine = (schedule_runs.c.job == job) & schedule_runs.c.due_key.in_(list(keys)) & (schedule_runs.c.state != RunState.MISSED)
    return set(connection.execute(select(schedule_runs.c.due_key).where(mine)).scalars())


def claim(connection: Connection, now: datetime, job: str, due: Due, holder: str, attempt: int = 1) -> int | None:
    """Claim a due time and say that its run begins; its number, or None where it has been claimed."""
    run = {"job": job, "due_key": due.key, "attempt": attempt, "due_at": due.at, "asked_by": BY_SCHEDULE}
    begun = {"state": RunState.RUNNING, "holder": holder, "started_at": now}
    this = (schedule_runs.c.job == job) & (schedule_runs.c.due_key == due.key) & (schedule_runs.c.state == RunState.MISSED)
    connection.execute(delete(schedule_runs).where(this))
    try:
        with connection.begin_nested():
            return int(connection.execute(insert(schedule_runs).values(**run, **begun).returning(schedule_runs.c.id)).scalar_one())
    except IntegrityError:
        return None


def note_missed(connection: Connection, now: datetime, job: str, missed: Sequence[Due], why: str) -> None:
    """Write down that nobody kept these due times."""
    there = select(schedule_runs.c.due_key).where(schedule_runs.c.job == job, schedule_runs.c.due_key.in_([due.key for due in missed]))
    known = set(connection.execute(there).scalars())
    rows = [
        {"job": job, "due_key": due.key, "attempt": 1, "due_at": due.at, "asked_by": BY_SCHEDULE, "state": RunState.MISSED}
        for due in missed
        if due.key not in known
    ]
    if rows:
        connection.execute(insert(schedule_runs), [{**row, "ended_at": now, "output": why} for row in rows])


def ask(connection: Connection, now: datetime, job: str, actor: str) -> int:
    """Ask the leader for a run now; its number. Raises Conflict while one is under way or asked for."""
    mine = schedule_runs.c.job == job
    going_on = connection.execute(select(schedule_runs.c.id).where(mine, schedule_runs.c.state.in_(OPEN))).scalars().first()
    if going_on is not None:
        raise Conflict(f"{job} is at it already: run {going_on}")
    last = connection.execute(select(func.max(schedule_runs.c.id)).where(mine)).scalar() or 0
    # Whoever asks at the same moment takes the same key, and one of the two is refused.
    run = {"job": job, "due_key": f"{ASKED}{last}", "attempt": 1, "due_at": now, "asked_by": actor[:200], "state": RunState.ASKED}
    try:
        with connection.begin_nested():
            return int(connection.execute(insert(schedule_runs).values(**run).returning(schedule_runs.c.id)).scalar_one())
    except IntegrityError:
        raise Conflict(f"{job} was asked for at this moment") from None


def take_asked(connection: Connection, now: datetime, run_id: int, holder: str) -> bool:
    """Begin a run that was asked for; False where somebody has."""
    mine = (schedule_runs.c.id == run_id) & (schedule_runs.c.state == RunState.ASKED)
    values = {"state": RunState.RUNNING, "holder": holder, "started_at": now}
    return connection.execute(update(schedule_runs).where(mine).values(**values)).rowcount == 1


def name_keeper(connection: Connection, run_id: int, holder: str, keeper: str) -> None:
    mine = (schedule_runs.c.id == run_id) & (schedule_runs.c.holder == holder)
    connection.execute(update(schedule_runs).where(mine).values(keeper=keeper))


def settle(connection: Connection, now: datetime, run_id: int, holder: str | None, state: RunState, ended: Ended) -> bool:
    """Write how a run of this holder ended; False where it was settled before."""
    mine = (schedule_runs.c.id == run_id) & schedule_runs.c.state.in_(OPEN) & schedule_runs.c.holder.is_not_distinct_from(holder)
    values = {"state": state, "ended_at": now, "exit_code": ended.exit_code, "output": ended.output}
    return connection.execute(update(schedule_runs).where(mine).values(**values)).rowcount == 1


def open_runs(connection: Connection) -> list[Run]:
    """What is asked for or under way, the oldest first."""
    query = select(schedule_runs).where(schedule_runs.c.state.in_(OPEN)).order_by(schedule_runs.c.id)
    return [_run(row) for row in connection.execute(query)]


def last_run(connection: Connection, job: str) -> Run | None:
    """How a job's newest run ended; a due time that was missed counts only while nothing has been begun after it."""
    mine = select(schedule_runs).where(schedule_runs.c.job == job).order_by(schedule_runs.c.id.desc()).limit(1)
    newest = connection.execute(mine).one_or_none()
    if newest is not None and RunState(newest.state).is_open:
        newest = connection.execute(mine.where(schedule_runs.c.state.not_in([*OPEN, RunState.MISSED]))).one_or_none()
    return None if newest is None else _run(newest)


def list_runs(connection: Connection, job: str | None, limit: int) -> list[Run]:
    """Runs of one job, or of all, the newest first."""
    query = select(schedule_runs).order_by(schedule_runs.c.id.desc()).limit(limit)
    if job is not None:
        query = query.where(schedule_runs.c.job == job)
    return [_run(row) for row in connection.execute(query)]


def keys_of(connection: Connection, job: str, since: datetime) -> set[str]:
    """Keys of every due time from then on that has a row, kept or missed."""
    mine = (schedule_runs.c.job == job) & (schedule_runs.c.due_at >= since)
    return set(connection.execute(select(schedule_runs.c.due_key).where(mine)).scalars())


def purge_runs(connection: Connection, now: datetime) -> None:
    """Drop what has been kept long enough; what is open stays."""
    connection.execute(delete(schedule_runs).where(schedule_runs.c.due_at < now - KEEP, schedule_runs.c.state.not_in(OPEN)))
