"""The scheduler: a duty of the leader's loop that starts what is due and never waits for it (spec T1, T2).

Who runs a due time is decided by its claim, a row that exists once, written in the leader's fenced transaction before
anything begins. Each run is a process with a keeper that ends it in time and does not outlive the one who began it. So a
successor repeats nothing that may still be going on: a run is taken for lost once its holder and its keeper are seen to be
gone, or, where that cannot be seen, once it must have been ended long since.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from levqor.domain.errors import Conflict, DatabaseDown
from levqor.domain.schedule import Ended, Job, RunState
from levqor.monitors.calendar import due_between, next_due
from levqor.monitors.episodes import TICKET, Causes
from levqor.policies.schedule import Due, may_try_again, plan
from levqor.ports import Clock, Runner, ScheduledProcess
from levqor.store import schedule as rows
from levqor.store.database import Database
from levqor.store.leases import Lease
from levqor.store.schedule import Run

PERIOD_S = 2.0
AT_ONCE = 4
"""Runs under way at one time; what is due meanwhile waits for a place."""
UNSEEN_S = 60.0
"""Beyond its grace a run has been ended for so long when nobody can see whether its keeper lives."""
UNNAMED_S = 10.0
"""A keeper whose name was not written down any more has ended its run by then, since it was left alone."""
STOPS_WITHIN_S = 5.0
"""Longer than a keeper takes to end its run."""
LOOK_AGAIN_S = 0.05
ASKED_FOR = timedelta(minutes=10)
"""What nobody began for so long is not begun any more: its asker has gone."""
MISSED_LISTED = 200
CANNOT_RUN = 127
"""As a shell says that there is no such program."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SchedulerParts:
    """What the scheduler works with; `bootstrap` hands it in. `is_gone` says of an identity whether that process is surely gone."""

    jobs: Sequence[Job]
    runner: Runner
    database: Database
    lease: Lease
    clock: Clock
    holder: str
    is_gone: Callable[[str], bool]


@dataclass(slots=True)
class _Mine:
    """A run that this process began."""

    run_id: int
    job: Job
    process: ScheduledProcess | None
    ended: Ended | None = None


class Scheduler:
    """One per control plane. `turn` belongs to the loop, `close` to whoever stops the process."""

    def __init__(self, parts: SchedulerParts) -> None:
        self._parts = parts
        self._jobs = {job.id: job for job in parts.jobs}
        self._mine: dict[int, _Mine] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._term: int | None = None
        self._looked: dict[str, datetime] = {}
        self._next: dict[str, datetime] = {}
        self._seen_since: dict[int, float] = {}
        self._last: dict[str, Run] = {}

    # The loop's side

    def turn(self) -> None:
        """Write down what has ended and, while this process leads, start what is due. Raises NotTheLeader, DatabaseDown."""
        with self._lock:
            if self._closing.is_set():
                return
            self._settle_mine()
            term = self._parts.lease.term
            if term is None:
                self._term = None
                return
            if term != self._term:
                self._take_over()
                self._term = term
            self._lead()

    def causes(self) -> Causes:
        """What an alert is due for: jobs whose last run went wrong."""
        if self._term is None:
            return {}
        found = {}
        for name, run in list(self._last.items()):
            said = _trouble(run, self._jobs[name])
            if said is not None and self._jobs[name].is_on:
                found[f"schedule:{name}"] = (TICKET, f"scheduled job {name} {said}; `levqor schedule history {name}` shows more")
        return found

    def close(self) -> None:
        """Ask runs to end, write down how they did, and begin nothing more."""
        self._closing.set()
        with self._lock:
            for mine in self._mine.values():
                if mine.process is not None:
                    mine.process.stop()
            deadline = self._parts.clock.monotonic() + STOPS_WITHIN_S
            pause = threading.Event()
            while not self._all_ended() and self._parts.clock.monotonic() < deadline:
                pause.wait(LOOK_AGAIN_S)
            try:
                self._settle_mine(stopped=True)
            except DatabaseDown as error:
                log.warning("runs not written down", error=str(error))

    # What this process began

    def _all_ended(self) -> bool:
        for mine in self._mine.values():
            if mine.ended is None and mine.process is not None:
                mine.ended = mine.process.ended()
        return all(mine.ended is not None for mine in self._mine.values())

    def _settle_mine(self, *, stopped: bool = False) -> None:
        """Also by a process that no longer leads: the row is its own until somebody has taken it for lost."""
        self._all_ended()
        over = [mine for mine in self._mine.values() if mine.ended is not None]
        if not over:
            return
        with self._parts.database.write() as connection:
            for mine in over:
                assert mine.ended is not None  # noqa: S101 (chosen for that)
                state = _state_of(mine.ended, stopped=stopped)
                rows.settle(connection, self._parts.clock.now(), mine.run_id, self._parts.holder, state, mine.ended)
                self._refresh(connection, mine.job.id)
                log.info("run ended", job=mine.job.id, run=mine.run_id, state=state.value, exit_code=mine.ended.exit_code)
        for mine in over:
            del self._mine[mine.run_id]

    def _begin(self, begun: Sequence[tuple[int, Job]]) -> None:
        """Start what was claimed, and write down who ends it in time."""
        for run_id, job in begun:
            mine = self._mine[run_id] = _Mine(run_id, job, None)
            try:
                mine.process = self._parts.runner.start(job.words, job.grace.total_seconds())
            except OSError as error:
                mine.ended = Ended(CANNOT_RUN, f"it could not be begun: {error.strerror}")
            log.info("run begins", job=job.id, run=run_id)
        with self._parts.database.write() as connection:
            for run_id, _job in begun:
                process = self._mine[run_id].process
                if process is not None:
                    rows.name_keeper(connection, run_id, self._parts.holder, process.identity)

    # The leader's side

    def _take_over(self) -> None:
        """Begin a term: know where the schedule stands."""
        now, on = self._parts.clock.now(), [job.id for job in self._parts.jobs if job.is_on]
        self._seen_since.clear()
        with self._parts.lease.fenced() as connection:
            known = rows.known_since(connection)
            self._looked = rows.know_jobs(connection, now, on)
            for job in self._parts.jobs:
                if job.is_on and job.is_for_a_start and job.id not in known:
                    # Under way already, by a person's word: that is as good.
                    with suppress(Conflict):
                        rows.ask(connection, now, job.id, rows.BY_SCHEDULE)
            for name in self._jobs:
                self._refresh(connection, name)
        self._next.clear()

    def _refresh(self, connection: Connection, job: str) -> None:
        run = rows.last_run(connection, job)
        if run is not None:
            self._last[job] = run

    def _lead(self) -> None:
        with self._parts.database.read() as connection:
            open_runs = rows.open_runs(connection)
        now = self._parts.clock.now()
        lost = [run for run in open_runs if run.state is RunState.RUNNING and self._is_lost(run)]
        still = [run for run in open_runs if run not in lost]
        asked = [run for run in still if run.state is RunState.ASKED]
        busy = {run.job for run in open_runs}  # the lost among them are written down first
        due = [job for job in self._parts.jobs if job.is_on and job.id not in busy and self._is_due(job, now)]
        cut = [job for job in self._parts.jobs if job.is_on and job.id not in busy and job not in due and self._is_cut(job, now)]
        if not (lost or asked or due or cut):
            return
        places = AT_ONCE - (len(still) - len(asked))
        try:
            with self._parts.lease.fenced() as connection:
                begun = self._claim(connection, now, places, lost, asked, due, cut)
        except BaseException:
            self._term = None  # what is known here was not written: read it anew
            raise
        if begun:
            self._begin(begun)

    def _claim(
        self,
        connection: Connection,
        now: datetime,
        places: int,
        lost: Sequence[Run],
        asked: Sequence[Run],
        due: Sequence[Job],
        cut: Sequence[Job],
    ) -> list[tuple[int, Job]]:
        begun: list[tuple[int, Job]] = []
        for run in lost:
            self._lose(connection, run, now)
        for run in asked:
            begun += self._take_asked(connection, run, now, places - len(begun))
        for job in due:
            begun += self._keep(connection, job, now, places - len(begun))
        for job in cut:
            begun += self._try_again(connection, job, now, places - len(begun))
        return begun

    def _is_lost(self, run: Run) -> bool:
        """Is it certain that nobody is at this run any more?"""
        if run.id in self._mine:
            return False
        if run.holder == self._parts.holder:
            return True  # its claim was committed, though the answer to that did not come
        since = self._seen_since.setdefault(run.id, self._parts.clock.monotonic())
        watched_s = self._parts.clock.monotonic() - since
        if run.holder is not None and self._parts.is_gone(run.holder):
            if run.keeper is None:
                return watched_s >= UNNAMED_S
            if self._parts.is_gone(run.keeper):
                return True
        job = self._jobs.get(run.job)
        return watched_s >= UNSEEN_S + (job.grace.total_seconds() if job is not None else 0.0)

    def _lose(self, connection: Connection, run: Run, now: datetime) -> None:
        said = Ended(None, "whoever kept it ended before it did")
        if rows.settle(connection, now, run.id, run.holder, RunState.LOST, said):
            log.warning("run lost", job=run.job, run=run.id, holder=run.holder)
        self._seen_since.pop(run.id, None)
        if run.job in self._jobs:
            self._refresh(connection, run.job)

    def _is_due(self, job: Job, now: datetime) -> bool:
        looked = self._looked[job.id]
        if now < looked:
            # The clock was set back. What has been claimed stays claimed, so looking again doubles nothing.
            return True
        if job.id not in self._next:
            self._next[job.id] = next_due(job, looked) or datetime.max.replace(tzinfo=looked.tzinfo)
        return now >= self._next[job.id]

    def _keep(self, connection: Connection, job: Job, now: datetime, places: int) -> list[tuple[int, Job]]:
        """Claim what is due, and note what was missed. Without a place all of it waits."""
        due = due_between(job, self._looked[job.id], now)
        found = plan(job, due, rows.claimed_keys(connection, job.id, [one.key for one in due]), now)
        if found.run is not None and places < 1:
            return []
        if found.missed:
            self._note_missed(connection, job, found.missed, now)
        run_id = None if found.run is None else rows.claim(connection, now, job.id, found.run, self._parts.holder)
        self._refresh(connection, job.id)
        rows.set_looked(connection, job.id, now)
        self._looked[job.id] = now
        self._next.pop(job.id, None)
        return [] if run_id is None else [(run_id, job)]

    def _note_missed(self, connection: Connection, job: Job, missed: Sequence[Due], now: datetime) -> None:
        why = f"nobody kept it in time; looked at {now.isoformat(timespec='seconds')}, and before at {self._looked[job.id].isoformat()}"
        rows.note_missed(connection, now, job.id, missed[-MISSED_LISTED:], why)
        log.warning("due times missed", job=job.id, number=len(missed), first=missed[0].at.isoformat(), last=missed[-1].at.isoformat())

    def _is_cut(self, job: Job, now: datetime) -> bool:
        run = self._last.get(job.id)
        return run is not None and run.is_scheduled and may_try_again(job, run.state, run.attempt, run.due_at, now)

    def _try_again(self, connection: Connection, job: Job, now: datetime, places: int) -> list[tuple[int, Job]]:
        cut = self._last[job.id]
        if places < 1:
            return []
        run_id = rows.claim(connection, now, job.id, Due(cut.due_at, cut.due_key), self._parts.holder, cut.attempt + 1)
        if run_id is None:
            self._refresh(connection, job.id)
            return []
        return [(run_id, job)]

    def _take_asked(self, connection: Connection, run: Run, now: datetime, places: int) -> list[tuple[int, Job]]:
        job = self._jobs.get(run.job)
        if job is None or abs(now - run.due_at) > ASKED_FOR:
            rows.settle(connection, now, run.id, None, RunState.MISSED, Ended(None, "nobody began it in time; ask again"))
            return []
        if places < 1 or not rows.take_asked(connection, now, run.id, self._parts.holder):
            return []
        return [(run.id, job)]


def _state_of(ended: Ended, *, stopped: bool) -> RunState:
    if ended.exit_code == 0:
        return RunState.DONE
    if stopped:
        return RunState.STOPPED
    if ended.exit_code is None:
        return RunState.LOST
    return RunState.TIMED_OUT if ended.timed_out else RunState.FAILED


def _trouble(run: Run, job: Job) -> str | None:
    """What is wrong with a job's last run, in words."""
    if run.state is RunState.FAILED:
        last = (run.output or "").strip().rpartition("\n")[2][:200]
        return f"failed with exit code {run.exit_code}" + (f": {last}" if last else "")
    if run.state is RunState.TIMED_OUT:
        return f"was ended after {job.grace.total_seconds():.0f} s"
    if run.state is RunState.LOST:
        return f"is lost: {run.output}"
    return f"was missed: {run.output}" if run.state is RunState.MISSED else None
