"""Shapes of the answers about the schedule, verification, flags, alerts and records; the dashboard's types are made from them."""

from typing import Any, Literal

from levqor.web.models import Episode, Hold, Shape

RunState = Literal["asked", "running", "done", "failed", "timed_out", "stopped", "lost", "missed"]


class JobRun(Shape):
    """One run of a scheduled job, without what it printed."""

    id: int
    job: str
    due_at: str
    attempt: int
    asked_by: str | None
    state: RunState
    started_at: str | None
    ended_at: str | None
    exit_code: int | None


class ScheduledJob(Shape):
    """A job with its next due time and its last run."""

    id: str
    summary: str
    trigger: str
    zone: str
    command: str
    grace_s: float
    state: Literal["waiting", "asked", "running", "off", "by_loop"]
    off_because: str | None
    next_due_at: str | None
    last_at: str | None
    last_run: JobRun | None


class Schedule(Shape):
    """Every job that there is."""

    jobs: list[ScheduledJob]
    measured_at: str


class JobRunStory(JobRun):
    """A run with the end of what it printed."""

    output: str | None


class JobRuns(Shape):
    """The newest first."""

    runs: list[JobRunStory]


class RunAsked(Shape):
    """A run that the leader was asked for."""

    run_id: int
    job: str
    state: Literal["asked"]


class VerifyCheck(Shape):
    """One check: what it expects, what it saw; `reason`: why it was skipped or failed."""

    stage: str
    id: str
    outcome: Literal["PASS", "FAIL", "SKIP"]
    expected: str
    seen: str
    reason: str
    duration_s: float


class VerifyReport(Shape):
    """What a verification found. `failed_at`: the stage that ended it."""

    suite: str
    base_url: str
    at: str
    duration_s: float
    ok: bool
    failed_at: str | None
    failed: list[str]
    counts: dict[str, int]
    stages: list[str]
    checks: list[VerifyCheck]


class NoReport(Shape):
    """Why a verification left no report."""

    error: str


class VerifyBegun(Shape):
    """The one under way."""

    id: int
    at: str
    suite: str
    actor: str


class VerifyAnswer(Shape):
    """A verification that was asked for; `gone`: its record is."""

    id: int
    state: Literal["running", "passed", "failed", "broken", "gone"]


class Verification(Shape):
    """The newest that is over; all null where the installation was never verified."""

    id: int | None
    state: Literal["passed", "failed", "broken", "never"]
    ok: bool | None
    at: str | None
    suite: str | None
    actor: str | None
    report: VerifyReport | NoReport | None
    running: VerifyBegun | None


class FlagRow(Shape):
    """A flag, and who turned it last; null: nobody did."""

    value: bool | int
    updated_at: str | None
    updated_by: str | None


class FlagBoard(Shape):
    """Every flag, and whether its file could be read."""

    state: Literal["ok", "missing", "broken"]
    error: str | None
    file: str
    flags: dict[str, FlagRow]


class FlagTurned(Shape):
    """A flag that was turned."""

    name: str
    before: bool | int
    value: bool | int


class AuditRow(Shape):
    """Who changed what, and when."""

    id: int
    at: str
    actor: str
    what: str
    before: Any
    after: Any
    note: str | None


class Audit(Shape):
    """The newest first."""

    audit: list[AuditRow]


class Episodes(Shape):
    """What is wrong, the newest first."""

    episodes: list[Episode]


class Setting(Shape):
    """A setting's value (secrets masked), where it came from, and what it means."""

    value: Any
    source: str
    description: str | None


class PausedQueue(Shape):
    """A queue whose jobs wait."""

    queue: str
    owner: str
    why: str
    paused_at: str


class Stops(Shape):
    """What people have stopped."""

    holds: list[Hold]
    paused: list[PausedQueue]


class Delivery(Shape):
    """One alert on one channel; null: on none yet."""

    channel: str | None
    state: str
    attempts: int
    due_in_s: float | None
    last_at: str | None
    error: str | None


class AlertChannel(Shape):
    """A channel with what became of its deliveries."""

    channel: str
    pending: int
    sending: int
    sent: int
    failed: int
    unknown: int


class AlertRow(Shape):
    """What was told, and what became of it."""

    id: int
    key: str
    kind: str
    severity: Literal["page", "ticket", "info"]
    title: str
    text: str
    created_at: str
    deliveries: list[Delivery]


class Alerts(Shape):
    """The channels, and the newest alerts first."""

    channels: list[AlertChannel]
    alerts: list[AlertRow]


class AlertTest(Shape):
    """What became of a test."""

    ok: bool
    alert_id: int
    deliveries: list[Delivery]
