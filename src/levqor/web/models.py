"""Shapes of the main answers, for the OpenAPI page. Answers may hold more; a figure that is not known is null."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """An answer, of which these fields are promised."""

    model_config = ConfigDict(extra="allow")


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


class Reason(Shape):
    """What one rule or guard said."""

    code: str
    text: str


class Decision(Shape):
    """What Levqor would do, or did, and why."""

    action: Literal["scale_up", "scale_down", "freeze", "hold"]
    current: int
    running: int | None
    target: int
    inputs: dict[str, Signal]
    reasons: list[Reason]
    next: str


class Applied(Decision):
    """A decision that was asked to be acted upon."""

    applied: bool
    why_not: str | None
    workers_before: int | None
    workers_after: int | None


class Flags(Shape):
    """The flags file: `state` says whether it could be read."""

    state: str
    error: str | None


class Status(Shape):
    """The installation at one glance."""

    mode: Literal["observe", "act", "held", "unknown"]
    holds: list[dict[str, Any]] | None
    flags: Flags
    signals: dict[str, Signal]
    unknown: list[str]


class QueueHealth(Shape):
    """The queues and who serves them."""

    depth: int | None
    oldest_age_s: float | None
    running: int | None
    dead: int | None
    workers: list[dict[str, Any]] | None
    unknown: list[str]


class Uptime(Shape):
    """Since when, and how available."""

    started_at: str | None
    uptime_s: float | None


class Billing(Shape):
    """Whether billing can be read."""

    status: Literal["ok", "not_configured", "down"]
