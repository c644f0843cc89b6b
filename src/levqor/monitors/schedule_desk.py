"""What people and the dashboard ask about the schedule: what runs when, how it went, and a run now."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from levqor.domain.errors import GuardRefused, NotFound
from levqor.domain.schedule import ByLoop, Job
from levqor.monitors.calendar import due_between, next_due
from levqor.policies.schedule import ON_TIME
from levqor.ports import Clock
from levqor.store import schedule as rows
from levqor.store.audit import record_change
from levqor.store.database import Database
from levqor.store.schedule import Run
from levqor.store.slo import last_judged

GAPS_OVER = timedelta(days=2)


class ScheduleDesk:
    """One per web process; works with no leader, which alone begins runs."""

    def __init__(self, jobs: Sequence[Job], database: Database, clock: Clock, wake: Callable[[], None]) -> None:
        self._jobs, self._database, self._clock, self._wake = {job.id: job for job in jobs}, database, clock, wake

    def schedule(self) -> dict[str, Any]:
        """Every job with its next due time, its last run and its state. Raises DatabaseDown."""
        now = self._clock.now()
        with self._database.read() as connection:
            judged = last_judged(connection)
            going_on = {run.job: run for run in rows.open_runs(connection)}
            last = {name: rows.last_run(connection, name) for name in self._jobs}
        jobs = [_job_row(job, now, going_on.get(name), last[name], judged) for name, job in self._jobs.items()]
        return {"jobs": jobs, "measured_at": now.isoformat()}

    def runs(self, job: str | None, limit: int) -> dict[str, Any]:
        """Runs, the newest first, each with the end of what it printed. Raises NotFound."""
        if job is not None:
            self._known(job)
        with self._database.read() as connection:
            return {"runs": [run_row(run) for run in rows.list_runs(connection, job, limit)]}

    def run(self, job_id: str, actor: str) -> dict[str, Any]:
        """Ask the leader for a run now. Raises NotFound; Conflict while one goes on; GuardRefused for what the loop does itself."""
        job, now = self._known(job_id), self._clock.now()
        if isinstance(job.trigger, ByLoop):
            raise GuardRefused(f"{job.id} is done by the leader's loop all the time and has no second caller")
        with self._database.write() as connection:
            run_id = rows.ask(connection, now, job.id, actor)
            record_change(connection, now, actor, "schedule run", None, {"job": job.id, "run_id": run_id})
        self._wake()
        return {"run_id": run_id, "job": job.id, "state": "asked"}

    def gaps(self) -> tuple[int, list[str]]:
        """How many due times of the last two days were looked at, and those of which nothing is known. Raises DatabaseDown."""
        now, looked_at, found = self._clock.now(), 0, []
        with self._database.read() as connection:
            since, busy = rows.known_since(connection), {run.job for run in rows.open_runs(connection)}
            for name, job in self._jobs.items():
                if not job.is_on or name in busy or name not in since:
                    continue
                begin = max(since[name], now - GAPS_OVER)
                due = due_between(job, begin, now - ON_TIME)
                known = rows.keys_of(connection, name, begin - timedelta(days=1))
                looked_at += len(due)
                found += [f"{name} due {one.at.isoformat()}" for one in due if one.key not in known]
        return looked_at, found

    def _known(self, job: str) -> Job:
        if job not in self._jobs:
            raise NotFound("no scheduled job has this id; `levqor schedule list` shows all")
        return self._jobs[job]


def _job_row(job: Job, now: datetime, going_on: Run | None, last: Run | None, judged: datetime | None) -> dict[str, Any]:
    by_loop = isinstance(job.trigger, ByLoop)
    due = next_due(job, now) if job.is_on else None
    state = "by_loop" if by_loop else going_on.state.value if going_on is not None else "waiting" if job.is_on else "off"
    return {
        "id": job.id,
        "summary": job.summary,
        "trigger": str(job.trigger),
        "zone": job.zone,
        "command": " ".join(("levqor", *job.words)),
        "grace_s": job.grace.total_seconds(),
        "catch_up": None if by_loop else job.catch_up.value,
        "late_at_most_s": None if job.late_at_most is None else job.late_at_most.total_seconds(),
        "once_per_local_date": job.once_per_local_date,
        "state": state,
        "off_because": job.off_because,
        "next_due_at": due and due.isoformat(),
        "last_at": judged.isoformat() if by_loop and judged is not None else last and (last.started_at or last.due_at).isoformat(),
        "last_run": None if last is None else {name: value for name, value in run_row(last).items() if name != "output"},
    }


def run_row(run: Run) -> dict[str, Any]:
    """A run in JSON's own types."""
    return {
        "id": run.id,
        "job": run.job,
        "due_at": run.due_at.isoformat(),
        "attempt": run.attempt,
        "asked_by": run.asked_by,
        "state": run.state.value,
        "started_at": run.started_at and run.started_at.isoformat(),
        "ended_at": run.ended_at and run.ended_at.isoformat(),
        "exit_code": run.exit_code,
        "output": run.output,
    }
