"""What happened in a span of time: decisions, incidents and scheduled runs, for whoever looks back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from levqor.domain.decisions import Action
from levqor.domain.schedule import RunState
from levqor.store.schema import decisions, incidents, recoveries, schedule_runs


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that changed the action, or acted."""

    at: datetime
    action: str
    applied: bool


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a scheduled run ended."""

    job: str
    state: RunState
    at: datetime
    exit_code: int | None


def changes_between(connection: Connection, start: datetime, end: datetime) -> Sequence[Change]:
    """Changes in (start, end], the oldest first."""
    query = select(decisions.c.at, decisions.c.action, decisions.c.applied).where(*_changes(start, end)).order_by(decisions.c.id)
    return [Change(row.at, row.action, row.applied) for row in connection.execute(query)]


def moves_between(connection: Connection, start: datetime, end: datetime, limit: int) -> Sequence[dict[str, Any]]:
    """The records of those that wanted to move the target or froze it, the newest first."""
    moving = decisions.c.action.in_((Action.SCALE_UP.value, Action.SCALE_DOWN.value, Action.FREEZE.value))
    query = select(decisions).where(*_changes(start, end), moving).order_by(decisions.c.id.desc()).limit(limit)
    return [{"at": row.at, "action": row.action, "applied": row.applied, **row.record["decision"]} for row in connection.execute(query)]


def _changes(start: datetime, end: datetime) -> Sequence[Any]:
    return decisions.c.is_change, decisions.c.at > start, decisions.c.at <= end


def incidents_between(connection: Connection, start: datetime, end: datetime) -> Sequence[dict[str, Any]]:
    """Incidents that were open at some moment of it, the newest first, each with its `recoveries` (who, and how they were judged)."""
    within = (incidents.c.opened_at <= end) & (incidents.c.closed_at.is_(None) | (incidents.c.closed_at > start))
    rows = [dict(row) for row in connection.execute(select(incidents).where(within).order_by(incidents.c.id.desc())).mappings()]
    theirs = select(recoveries.c.incident_id, recoveries.c.is_automatic, recoveries.c.state, recoveries.c.verified)
    theirs = theirs.where(recoveries.c.incident_id.in_([row["id"] for row in rows])).order_by(recoveries.c.id)
    tried: dict[int, list[Any]] = {}
    for found in connection.execute(theirs):
        tried.setdefault(found.incident_id, []).append(found)
    return [{**row, "recoveries": tried.get(row["id"], [])} for row in rows]


def runs_between(connection: Connection, start: datetime, end: datetime) -> Sequence[RunEnd]:
    """Runs that ended, or were missed, in (start, end], the oldest first."""
    within = schedule_runs.c.ended_at > start, schedule_runs.c.ended_at <= end
    query = select(schedule_runs).where(*within).order_by(schedule_runs.c.ended_at, schedule_runs.c.id)
    return [RunEnd(row.job, RunState(row.state), row.ended_at, row.exit_code) for row in connection.execute(query)]
