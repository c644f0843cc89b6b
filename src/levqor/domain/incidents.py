"""Incidents and what answers them: calls, steps, refusals, verdicts. Every list of words is closed."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class StepName(StrEnum):
    """The steps of a recovery, the cheapest first."""

    FLUSH = "flush_dead_letters"
    RESTART = "restart_workers"
    ROTATE = "rotate_app"


class StepStatus(StrEnum):
    """Where a step stands. `interrupted`: its leader died in it; it was checked afterwards and not begun again."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"

    @property
    def is_over(self) -> bool:
        return self not in (StepStatus.PLANNED, StepStatus.RUNNING)

    @property
    def is_good(self) -> bool:
        return self in (StepStatus.DONE, StepStatus.SKIPPED)


class RecoveryState(StrEnum):
    """A recovery acts, is then watched, and has ended."""

    RUNNING = "running"
    VERIFYING = "verifying"
    ENDED = "ended"


class IncidentState(StrEnum):
    """An escalated incident is still open: a person was asked for help, once."""

    OPEN = "open"
    ESCALATED = "escalated"
    CLOSED = "closed"


class Verdict(StrEnum):
    """What a recovery came to (spec W5). `acknowledged`: it had no effect, and a person has re-armed since."""

    HELPED = "helped"
    NO_EFFECT = "no_effect"
    UNKNOWN = "unknown"
    SUPERSEDED = "superseded"
    ACKNOWLEDGED = "acknowledged"


class RefusalCode(StrEnum):
    """Why a call is refused. The first three bind a person too."""

    SINGLE_FLIGHT = "single_flight"
    STORE_DOWN = "store_down"
    DATABASE_DOWN = "database_down"
    AUTORECOVER_OFF = "autorecover_off"
    HELD = "held"
    DISARMED = "disarmed"
    ATTEMPTS = "attempts"
    OWN_ACTION = "own_action"
    COOLDOWN = "cooldown"
    PER_HOUR = "per_hour"
    PER_DAY = "per_day"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A guard's no, in a sentence."""

    code: RefusalCode
    text: str


@dataclass(frozen=True, slots=True)
class Cause:
    """What the watchdog calls recovery for: which series, a sentence, since when, and the evidence (JSON-able)."""

    key: str
    summary: str
    began_at: datetime
    evidence: dict[str, Any] = field(default_factory=dict)


DEAD_LETTER_SCOPES = ("incident", "all")
"""Dead letters of this incident, or every one there is."""


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody calls for recovery: the watchdog (with a breach) or a person. `token`: the same call twice acts once."""

    actor: str
    is_automatic: bool = False
    dead_letters: str = "incident"
    breach: Cause | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what was measured before and after it, and what became of it. Figures are JSON-able; None: not measured."""

    name: StepName
    status: StepStatus
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    detail: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name.value,
            "status": self.status.value,
            "before": self.before,
            "after": self.after,
            "detail": self.detail,
        }
