"""Incidents and recoveries as the API answers them (spec I2)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from levqor.domain.incidents import RecoveryState, Step, StepName, StepStatus

ACTED = (StepStatus.DONE, StepStatus.FAILED, StepStatus.INTERRUPTED)


def recovery_answer(incident_id: int, recovery_id: int, steps: Sequence[Step], reasons: Sequence[str]) -> dict[str, Any]:
    """`ok` is None while a step is not over; `recovered`: at least one step acted."""
    is_over = all(step.status.is_over for step in steps)
    return {
        "ok": all(step.status.is_good for step in steps) if is_over else None,
        "recovered": any(step.status is StepStatus.DONE or (step.status in ACTED and bool(step.after)) for step in steps),
        "dry_run": False,
        "incident_id": incident_id,
        "recovery_id": recovery_id,
        "state": "ended" if is_over else RecoveryState.RUNNING.value,
        "reasons": list(reasons),
        "steps": [step.as_dict() for step in steps],
    }


def is_answerable(steps: Sequence[Step]) -> bool:
    """Is all over but the rotation, which starts after the answer?"""
    return all(step.status.is_over or step.name is StepName.ROTATE for step in steps)


def before_rotation(answer: dict[str, Any], steps: Sequence[Step]) -> dict[str, Any]:
    """The answer that a rotation still to come follows: it is judged by the other steps."""
    others = [step for step in steps if step.name is not StepName.ROTATE]
    ok = all(step.status.is_good for step in others)
    shown = [
        {**step.as_dict(), "detail": f"starts after this answer: {step.detail}"} if not step.status.is_over else step.as_dict()
        for step in steps
    ]
    return {**answer, "ok": ok, "recovered": True, "steps": shown}


def incident_row(row: dict[str, Any]) -> dict[str, Any]:
    """An incident as it is listed."""
    evidence = {name: value for name, value in row["evidence"].items() if name != "began_at"}
    return {
        **{name: row[name] for name in ("id", "key", "cause", "state", "attempts")},
        **{name: iso(row[name]) for name in ("opened_at", "closed_at", "escalated_at")},
        "began_at": row["evidence"].get("began_at"),
        "evidence": evidence,
    }


def recovery_row(row: dict[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
    """A recovery with its steps and their times."""
    return {
        **{name: row[name] for name in ("id", "incident_id", "actor", "is_automatic", "state", "verified")},
        **{name: iso(row[name]) for name in ("started_at", "ended_at")},
        "ok": (row["answer"] or {}).get("ok"),
        "reasons": row["plan"]["reasons"],
        "dead_letters": row["plan"]["dead_letters"],
        "steps": steps,
    }


def compact(steps: Sequence[dict[str, Any]]) -> str:
    """Each step in a few words, for people and for the log."""
    return "; ".join(f"{step['name']} {step['status']}" + (f" ({step['detail']})" if step["detail"] else "") for step in steps)


def iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
