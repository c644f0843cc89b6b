"""Shapes of the main answers, for the OpenAPI page. Answers may hold more; a figure that is not known is null."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """An answer, of which these fields are promised."""

    # More may come, which is JSON Schema's default: said aloud, it would untype every client made from it.
    model_config = ConfigDict(extra="allow", json_schema_extra=lambda schema: schema.pop("additionalProperties", None) and None)


class Problem(Shape):
    """What is wrong (RFC 9457); `errors` names the fields."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = []


class Accepted(Shape):
    """A job that was taken."""

    job_id: str
    status: Literal["queued"]


class JobStatus(Shape):
    """Where a job is. `failed`: a retry is due; `dead`: none is left."""

    job_id: str
    status: Literal["queued", "running", "succeeded", "failed", "dead"]
    attempts: int
    enqueued_at: str | None
    started_at: str | None
    ended_at: str | None
    error: str | None


class Alive(Shape):
    """The process answers."""

    status: Literal["ok"]


class Ready(Shape):
    """Whether everything answers that the service needs."""

    ok: bool


class Signal(Shape):
    """A reading: a value with its age, or why there is none."""

    state: Literal["value", "no_traffic", "not_configured", "unknown"]
    value: float | None
    age_s: float | None
    detail: str


class Reason(Shape):
    """What one rule or guard said; a note (`votes` false) decided nothing."""

    code: str
    text: str
    votes: bool


class Decision(Shape):
    """What Levqor would do, or did, and why."""

    action: Literal["scale_up", "scale_down", "freeze", "hold"]
    current: int
    running: int | None
    target: int
    inputs: dict[str, Signal]
    reasons: list[Reason]
    next: str
    guard: dict[str, Any]


class Applied(Decision):
    """A decision that was asked to be acted upon."""

    applied: bool
    why_not: str | None
    workers_before: int | None
    workers_after: int | None


class DecisionRecord(Decision):
    """A decision that was made, and what became of it."""

    id: int
    at: str
    kind: str
    actor: str | None
    applied: bool
    why_not: str | None


class Flags(Shape):
    """The flags in force (null: the database does not answer), and whether their file could be read."""

    state: str
    error: str | None
    values: dict[str, bool | int] | None


class Hold(Shape):
    """Somebody's word that nothing automatic acts."""

    id: int | None
    kind: str
    owner: str
    why: str
    created_at: str
    remaining_s: float | None
    expires_at: str | None


class Episode(Shape):
    """Something that is wrong now."""

    id: int
    key: str
    severity: str
    summary: str
    opened_at: str
    closed_at: str | None


class Leader(Shape):
    """Which process acts."""

    leads: bool
    holder: str | None
    term: int | None


class PromiseScore(Shape):
    """How many promises of a clear queue are in each state; void: nobody could tell."""

    open: int
    kept: int
    missed: int
    void: int


class Status(Shape):
    """The installation at one glance; what is not known is null and named in `unknown`."""

    mode: Literal["observe", "act", "held", "unknown"]
    fleet: str
    fleet_kind: str
    queues: list[str]
    paused_queues: list[str]
    target: int | None
    running: int | None
    starting: int
    draining: int
    holds: list[Hold] | None
    flags: Flags
    signals: dict[str, Signal]
    advice: list[str]
    problems: dict[str, str]
    episodes: list[Episode] | None
    leader: Leader
    unknown: list[str]
    promises: PromiseScore | None
    measured_at: str
    uptime_s: float


class Worker(Shape):
    """One worker process; `started_at` is epoch seconds."""

    name: str
    host: str
    pid: int | None
    state: Literal["starting", "idle", "busy", "draining", "lost", "unknown"]
    job: str | None
    queues: list[str]
    started_at: float | None


class Queue(Shape):
    """One queue."""

    name: str
    depth: int
    oldest_wait_s: float | None
    running: int
    delayed: int
    dead: int


class QueueHealth(Shape):
    """The queues and who serves them."""

    depth: int | None
    oldest_age_s: float | None
    running: int | None
    dead: int | None
    workers: list[Worker] | None
    queues: list[Queue] | None
    unknown: list[str]


class Uptime(Shape):
    """Since when, and how available."""

    started_at: str | None
    uptime_s: float | None


class Taken(Shape):
    """What became of a batch of events. `line` counts from 1: in the list, or in the lines of the body."""

    accepted: int
    duplicates: int
    errors: list[dict[str, Any]]
