"""Shapes of the dashboard's own answers; the dashboard's types are made from them."""

from typing import Literal

from levqor.web.cost_models import CostForecast, CostToday
from levqor.web.models import DecisionRecord, Queue, Shape, Status, Worker


class Verdict(Shape):
    """One sentence for somebody who has just been woken; only `act` asks for a person."""

    level: Literal["ok", "watch", "act"]
    sentence: str
    because: list[str]


class Thresholds(Shape):
    """The lines that the rules look at."""

    scale_up_p95_ms: float
    scale_down_p95_ms: float
    scale_up_depth: int
    slo_p99_ms: float
    workers_min: int
    workers_max: int


class ChartDeploy(Shape):
    """A deploy mark on the time axis: `at` is epoch seconds."""

    at: int
    sha: str
    note: str


class Chart(Shape):
    """Lines over time: `at` holds epoch seconds, each line a value or null beside each of them; and the deploys in that time."""

    span: Literal["1h", "24h", "30d"]
    step_s: float
    at: list[int]
    lines: dict[str, list[float | None]]
    deploys: list[ChartDeploy]
    thresholds: Thresholds


class Budget(Shape):
    """What of an objective's 30-day error budget is left (0..1 and below); None: nothing was measured."""

    allowed: float
    total: float
    bad: float
    budget_left: float | None
    burn: dict[str, float | None]
    alerts: list[str]


class Judgement(Shape):
    """What one check found for one objective, and why."""

    state: Literal["met", "breached", "unknown"]
    p_value: float | None
    why: str


class Check(Shape):
    """One window that was judged."""

    window_start: str
    state: Literal["met", "breached", "unknown"]
    judgements: dict[str, Judgement]


class Series(Shape):
    """Checks over windows of one width, the newest first, and the streak of breaches."""

    judged_until: str | None
    streak: int
    calls_recovery: bool
    next: str
    checks: list[Check]


class Slo(Shape):
    """Objectives, their checks, and what of their error budgets is left."""

    objectives: dict[str, str]
    evidence: Literal["significant", "literal"]
    now: dict[str, dict[str, Judgement]] | None
    series: dict[str, Series]
    budgets: dict[str, Budget]
    unknown: list[str]


class Spend(Shape):
    """Today's spend and the forecast; each None where it is not known."""

    limit: float | None
    today: CostToday | None
    forecast: CostForecast | None


class Incident(Shape):
    """Something that was wrong."""

    id: int
    key: str
    cause: str
    state: Literal["open", "escalated", "closed"]
    attempts: int
    opened_at: str
    closed_at: str | None


class Overview(Shape):
    """The first screen. A part that could not be read is null, or as it was last; `unavailable` says why, and how old it is."""

    version: str
    verdict: Verdict
    status: Status
    workers: list[Worker] | None
    queues: list[Queue] | None
    decisions: list[DecisionRecord] | None
    chart: Chart | None
    thresholds: Thresholds
    budgets: dict[str, Budget] | None
    spend: Spend | None
    incidents: list[Incident] | None
    unavailable: dict[str, str]
    measured_at: str


class Session(Shape):
    """Who looks. `csrf`: what changes carry in X-CSRF-Token. `read_only`: why this page cannot sign in."""

    signed_in: bool
    name: str | None
    expires_at: str | None
    csrf: str | None
    may_read: bool
    read_only: str | None
