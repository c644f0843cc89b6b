"""Shapes of the answers about incidents, recoveries and dead letters; the dashboard's types are made from them."""

from typing import Any, Literal

from levqor.web.judgement_models import DeployMark
from levqor.web.models import Shape
from levqor.web.overview_models import Incident


class Refused(Shape):
    """A guard's no: its code, and why in a sentence."""

    refused: str
    reason: str


class Guards(Shape):
    """What keeps automatic recoveries from acting now; `refuses` is empty where nothing does."""

    refuses: list[Refused]
    failed_in_a_row: int
    since_last_automatic_s: float | None


class IncidentRow(Incident):
    """An incident as it is listed."""

    escalated_at: str | None
    began_at: str | None
    evidence: dict[str, Any]


class Incidents(Shape):
    """The newest first, and what the guards say."""

    incidents: list[IncidentRow]
    guards: Guards


class RecoveryStep(Shape):
    """One step: what was measured before and after, and what became of it."""

    name: Literal["flush_dead_letters", "restart_workers", "rotate_app"]
    status: Literal["planned", "running", "done", "failed", "skipped", "interrupted"]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    detail: str


class TimedStep(RecoveryStep):
    """A step with when it was begun and when it was over."""

    intent_at: str | None
    outcome_at: str | None


class Recovery(Shape):
    """What answered an incident. `verified`: what it came to, null while that is watched."""

    id: int
    incident_id: int
    actor: str
    is_automatic: bool
    state: Literal["running", "verifying", "ended"]
    verified: Literal["helped", "no_effect", "unknown", "superseded", "acknowledged"] | None
    started_at: str
    ended_at: str | None
    ok: bool | None
    reasons: list[str]
    dead_letters: str
    steps: list[TimedStep]


class SignalMinute(Shape):
    """One minute around an incident; what was not measured is null."""

    at: str
    error_rate: float | None
    p99_ms: float | None
    requests: int
    queue_depth: float | None
    dead: float | None
    workers: float | None


class IncidentStory(IncidentRow):
    """One incident, what was done about it, and the deploys and signals around it."""

    recoveries: list[Recovery]
    deploys: list[DeployMark]
    signals: list[SignalMinute]


class RecoverAnswer(Shape):
    """What a call for recovery came to, or would come to. `ok` is null while it goes on."""

    ok: bool | None
    recovered: bool
    dry_run: bool
    incident_id: int | None
    would_recover: bool | None = None
    would_refuse: Refused | None = None
    reasons: list[str]
    steps: list[RecoveryStep]


class Rearmed(Shape):
    """Automatic recoveries may act again."""

    armed: bool
    acknowledged: int


class DeadLetter(Shape):
    """A job that used up its attempts. `died_at`, `attempts` and `losses` are null where nobody counted them."""

    job_id: str
    queue: str
    handler: str
    error: str | None
    error_class: str
    died_at: str | None
    attempts: int | None
    losses: int | None
    flushes: int
    is_foreign: bool
    quarantined_at: str | None
    why: str | None


class DeadLetterStory(DeadLetter):
    """With its last traceback; null where none was kept."""

    trace: str | None


class DeadPage(Shape):
    """One page of dead letters; `next` is the next page's cursor."""

    dead: list[DeadLetter]
    total: int
    next: int | None


class QuarantinePage(Shape):
    """One page of the quarantined; `next` is the next page's cursor."""

    quarantined: list[DeadLetter]
    total: int
    next: int | None


class DeadGroup(Shape):
    """Dead letters of one exception in one function."""

    handler: str
    error_class: str
    count: int
    oldest: str | None
    newest: str | None
    is_foreign: bool


class DeadGroups(Shape):
    """The largest first. `unseen`: more than one look takes in."""

    groups: list[DeadGroup]
    total: int
    unseen: int


class PlannedGroup(Shape):
    """What of a plan is of one exception in one function."""

    handler: str
    error_class: str
    count: int


class FlushPlan(Shape):
    """What a flush would touch; `waiting` are those that it leaves alone."""

    groups: list[PlannedGroup]
    chosen: int
    waiting: int
    quarantine: int
    unseen: int


class FlushOutcome(Shape):
    """What a flush did. `stopped_why` is empty where it went through to its end."""

    moved: int
    finished: int
    died_again: int
    quarantined: int
    stopped_why: str


class RequeueAnswer(Shape):
    """A flush; `outcome` is null while it goes on."""

    batch_id: str
    dry_run: bool
    plan: FlushPlan
    done: bool
    outcome: FlushOutcome | None


class DropPlan(Shape):
    """What would be removed."""

    groups: list[PlannedGroup]
    chosen: int
    waiting: int


class DropAnswer(Shape):
    """What was removed, or would be."""

    dry_run: bool
    plan: DropPlan
    dropped: int


class ReleaseAnswer(Shape):
    """What came out of quarantine, or would."""

    dry_run: bool
    chosen: int
    released: int
