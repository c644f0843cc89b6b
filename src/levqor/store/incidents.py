"""Incidents, their recoveries and steps. A leader writes them under its fence: the intent before an act, the outcome after it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from levqor.domain.errors import Conflict
from levqor.domain.incidents import Call, Cause, IncidentState, RecoveryState, Step, StepName, StepStatus, Verdict
from levqor.store.schema import incidents, recoveries, recovery_steps, timers
from levqor.store.timers import checkpoint_timer

OWN_ACTION = "own_action"
AGE, VERIFY, QUIET = "recovery:age:", "recovery:verify:", "incident:quiet:"
"""Timers by the id that follows: since an automatic recovery began, since a recovery acted last, since an incident has been quiet."""

AGE_KEPT_S = 2 * 86_400.0
SAID_LENGTH = 500
KEEP = timedelta(days=366)


# Timers: accrued monotonic time, so that a wall clock that jumps ends no cool-down (spec P1)


def advance_timers(connection: Connection, elapsed_s: float, now: datetime, *, is_quiet: bool) -> None:
    """Let the leader's time pass in every timer of this part; in those of quiet only while it is known to be quiet."""
    prefixes = (AGE, VERIFY, QUIET) if is_quiet else (AGE, VERIFY)
    running = or_(timers.c.name == OWN_ACTION, *(timers.c.name.startswith(prefix) for prefix in prefixes))
    connection.execute(update(timers).where(running).values(accrued_s=timers.c.accrued_s + elapsed_s, updated_at=now))
    connection.execute(delete(timers).where(timers.c.name.startswith(AGE), timers.c.accrued_s > AGE_KEPT_S))


def mark_own_action(connection: Connection, now: datetime) -> None:
    """Levqor drained, restarted or replaced something: what fails for a while may be its own doing."""
    checkpoint_timer(connection, OWN_ACTION, 0.0, now)


def own_action_age(connection: Connection) -> float | None:
    """Seconds since Levqor last acted itself; None: never."""
    age: float | None = connection.execute(select(timers.c.accrued_s).where(timers.c.name == OWN_ACTION)).scalar_one_or_none()
    return age


def automatic_ages(connection: Connection) -> tuple[float, ...]:
    """How long ago each automatic recovery of the last days began, in accrued seconds."""
    return tuple(connection.execute(select(timers.c.accrued_s).where(timers.c.name.startswith(AGE))).scalars())


def restart_timer(connection: Connection, prefix: str, number: int, now: datetime) -> None:
    checkpoint_timer(connection, f"{prefix}{number}", 0.0, now)


def stop_timer(connection: Connection, prefix: str, number: int) -> None:
    connection.execute(delete(timers).where(timers.c.name == f"{prefix}{number}"))


# Incidents


def open_incident(connection: Connection) -> dict[str, Any] | None:
    """The incident that is going on: a service that flaps has one, not many."""
    query = select(incidents).where(incidents.c.state != IncidentState.CLOSED.value).order_by(incidents.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def begin_incident(connection: Connection, now: datetime, cause: Cause) -> int:
    """Open one; its id."""
    values = {
        "key": cause.key[:200],
        "cause": cause.summary[:SAID_LENGTH],
        "state": IncidentState.OPEN.value,
        "opened_at": now,
        "attempts": 0,
        "evidence": {**cause.evidence, "began_at": cause.began_at.isoformat()},
    }
    number = int(connection.execute(insert(incidents).values(**values).returning(incidents.c.id)).scalar_one())
    restart_timer(connection, QUIET, number, now)
    return number


def count_attempt(connection: Connection, incident_id: int) -> None:
    this = incidents.c.id == incident_id
    connection.execute(update(incidents).where(this).values(attempts=incidents.c.attempts + 1))


def escalate_incident(connection: Connection, now: datetime, incident_id: int) -> bool:
    """Ask a person; False where this incident has asked before."""
    first = (incidents.c.id == incident_id) & incidents.c.escalated_at.is_(None)
    values = {"escalated_at": now, "state": IncidentState.ESCALATED.value}
    return connection.execute(update(incidents).where(first).values(**values)).rowcount == 1


def close_incident(connection: Connection, now: datetime, incident_id: int) -> bool:
    this = (incidents.c.id == incident_id) & (incidents.c.state != IncidentState.CLOSED.value)
    stop_timer(connection, QUIET, incident_id)
    return connection.execute(update(incidents).where(this).values(state=IncidentState.CLOSED.value, closed_at=now)).rowcount == 1


def read_incident(connection: Connection, incident_id: int) -> dict[str, Any] | None:
    row = connection.execute(select(incidents).where(incidents.c.id == incident_id)).mappings().first()
    return None if row is None else dict(row)


def list_incidents(connection: Connection, limit: int, *, open_only: bool = False) -> list[dict[str, Any]]:
    """The newest first."""
    query = select(incidents).order_by(incidents.c.id.desc()).limit(limit)
    if open_only:
        query = query.where(incidents.c.state != IncidentState.CLOSED.value)
    return [dict(row) for row in connection.execute(query).mappings()]


# Recoveries


def begin_recovery(
    connection: Connection, now: datetime, incident_id: int, call: Call, steps: Sequence[Step], reasons: Sequence[str]
) -> int:
    """Write down that it begins, with all its steps; its id. What was verified before is superseded."""
    earlier = (recoveries.c.state == RecoveryState.VERIFYING.value) & recoveries.c.verified.is_(None)
    for number in connection.execute(select(recoveries.c.id).where(earlier)).scalars().all():
        end_verification(connection, number, Verdict.SUPERSEDED)
    plan = {"reasons": list(reasons), "dead_letters": call.dead_letters, "token": call.token, "steps": [step.as_dict() for step in steps]}
    values = {
        "incident_id": incident_id,
        "actor": call.actor[:200],
        "is_automatic": call.is_automatic,
        "state": RecoveryState.RUNNING.value,
        "started_at": now,
        "plan": plan,
    }
    number = int(connection.execute(insert(recoveries).values(**values).returning(recoveries.c.id)).scalar_one())
    rows = [
        {
            "recovery_id": number,
            "position": position,
            "name": step.name.value,
            "status": step.status.value,
            "before": step.before,
            "after": step.after,
            "detail": step.detail,
        }
        for position, step in enumerate(steps)
    ]
    connection.execute(insert(recovery_steps), rows)
    if call.is_automatic:
        restart_timer(connection, AGE, number, now)
        count_attempt(connection, incident_id)
    restart_timer(connection, QUIET, incident_id, now)
    return number


def running_recovery(connection: Connection) -> dict[str, Any] | None:
    return _newest_in(connection, RecoveryState.RUNNING)


def verifying_recovery(connection: Connection) -> dict[str, Any] | None:
    return _newest_in(connection, RecoveryState.VERIFYING)


def recovery_by_token(connection: Connection, token: str) -> dict[str, Any] | None:
    """The recovery that this call began when it came the first time."""
    rows = connection.execute(select(recoveries).order_by(recoveries.c.id.desc()).limit(100)).mappings()
    return next((dict(row) for row in rows if row["plan"].get("token") == token), None)


def read_recovery(connection: Connection, recovery_id: int) -> dict[str, Any] | None:
    row = connection.execute(select(recoveries).where(recoveries.c.id == recovery_id)).mappings().first()
    return None if row is None else dict(row)


def recoveries_of(connection: Connection, incident_id: int) -> list[dict[str, Any]]:
    """The oldest first."""
    query = select(recoveries).where(recoveries.c.incident_id == incident_id).order_by(recoveries.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def failed_in_a_row(connection: Connection) -> int:
    """How many automatic recoveries, counted back from the last, had no effect and were not acknowledged by a person."""
    told = (Verdict.HELPED.value, Verdict.NO_EFFECT.value, Verdict.UNKNOWN.value, Verdict.ACKNOWLEDGED.value)
    judged = recoveries.c.is_automatic & recoveries.c.verified.in_(told)
    count = 0
    for found in connection.execute(select(recoveries.c.verified).where(judged).order_by(recoveries.c.id.desc()).limit(100)).scalars():
        if found not in (Verdict.NO_EFFECT.value, Verdict.UNKNOWN.value):
            break
        count += 1
    return count


def acknowledge_failures(connection: Connection) -> int:
    """A person re-arms: failures until now disarm no more; how many there were."""
    failed = recoveries.c.is_automatic & recoveries.c.verified.in_((Verdict.NO_EFFECT.value, Verdict.UNKNOWN.value))
    return connection.execute(update(recoveries).where(failed).values(verified=Verdict.ACKNOWLEDGED.value)).rowcount


def end_acting(connection: Connection, now: datetime, recovery_id: int, answer: dict[str, Any]) -> bool:
    """All steps are over; from now on it is watched. False where another has written that."""
    this = (recoveries.c.id == recovery_id) & (recoveries.c.state == RecoveryState.RUNNING.value)
    values = {"state": RecoveryState.VERIFYING.value, "ended_at": now, "answer": answer}
    ended = connection.execute(update(recoveries).where(this).values(**values)).rowcount == 1
    if ended:
        restart_timer(connection, VERIFY, recovery_id, now)
    return ended


def end_verification(connection: Connection, recovery_id: int, found: Verdict) -> bool:
    this = (recoveries.c.id == recovery_id) & (recoveries.c.state == RecoveryState.VERIFYING.value)
    stop_timer(connection, VERIFY, recovery_id)
    values = {"state": RecoveryState.ENDED.value, "verified": found.value}
    return connection.execute(update(recoveries).where(this).values(**values)).rowcount == 1


def _newest_in(connection: Connection, state: RecoveryState) -> dict[str, Any] | None:
    query = select(recoveries).where(recoveries.c.state == state.value).order_by(recoveries.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


# Steps


def read_steps(connection: Connection, recovery_id: int) -> list[tuple[int, Step]]:
    """Each step with its position."""
    query = select(recovery_steps).where(recovery_steps.c.recovery_id == recovery_id).order_by(recovery_steps.c.position)
    return [(row.position, _step(row)) for row in connection.execute(query)]


def step_times(connection: Connection, recovery_id: int) -> list[dict[str, Any]]:
    """Each step as a row of the API, with its times."""
    query = select(recovery_steps).where(recovery_steps.c.recovery_id == recovery_id).order_by(recovery_steps.c.position)
    times = [(_step(row), row.intent_at, row.outcome_at) for row in connection.execute(query)]
    return [{**step.as_dict(), "intent_at": _iso(intent), "outcome_at": _iso(outcome)} for step, intent, outcome in times]


def intend_step(connection: Connection, now: datetime, recovery_id: int, position: int, before: dict[str, Any] | None) -> None:
    """Write the intent. Raises Conflict where it was begun before: no step is done twice."""
    this = (
        (recovery_steps.c.recovery_id == recovery_id)
        & (recovery_steps.c.position == position)
        & (recovery_steps.c.status == StepStatus.PLANNED.value)
    )
    values: dict[str, Any] = {"status": StepStatus.RUNNING.value, "intent_at": now, "before": before}
    if connection.execute(update(recovery_steps).where(this).values(**values)).rowcount != 1:
        raise Conflict(f"step {position} of recovery {recovery_id} was begun before")


def note_step(connection: Connection, recovery_id: int, position: int, after: dict[str, Any]) -> None:
    """What a running step has done so far."""
    this = (recovery_steps.c.recovery_id == recovery_id) & (recovery_steps.c.position == position)
    connection.execute(update(recovery_steps).where(this).values(after=after))


def end_step(connection: Connection, now: datetime, recovery_id: int, position: int, step: Step) -> None:
    """Write the outcome of a step that is not over yet. Raises Conflict where it is."""
    open_states = (StepStatus.PLANNED.value, StepStatus.RUNNING.value)
    this = (
        (recovery_steps.c.recovery_id == recovery_id) & (recovery_steps.c.position == position) & recovery_steps.c.status.in_(open_states)
    )
    values = {"status": step.status.value, "outcome_at": now, "before": step.before, "after": step.after, "detail": step.detail}
    if connection.execute(update(recovery_steps).where(this).values(**values)).rowcount != 1:
        raise Conflict(f"step {position} of recovery {recovery_id} is over")


def _step(row: Row[Any]) -> Step:
    return Step(StepName(row.name), StepStatus(row.status), row.before, row.after, row.detail or "")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def purge_incidents(connection: Connection, now: datetime) -> None:
    """Drop what has been closed for longer than KEEP, with its recoveries and their steps."""
    old = select(incidents.c.id).where(incidents.c.closed_at < now - KEEP)
    theirs = select(recoveries.c.id).where(recoveries.c.incident_id.in_(old))
    connection.execute(delete(recovery_steps).where(recovery_steps.c.recovery_id.in_(theirs)))
    connection.execute(delete(recoveries).where(recoveries.c.incident_id.in_(old)))
    connection.execute(delete(incidents).where(incidents.c.closed_at < now - KEEP))
