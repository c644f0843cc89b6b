"""Shapes of the answers about money. Answers may hold more; a figure that is not known is null."""

from typing import Literal

from levqor.web.models import Shape, Signal


class Billing(Shape):
    """Whether billing can be read."""

    status: Literal["ok", "not_configured", "down"]
    detail: str


class CostFigure(Shape):
    """An expected sum with its interval; `error` is the mean relative error of the backtest."""

    forecast: float | None
    low: float | None
    high: float | None
    error: float | None


class InfraLine(CostFigure):
    """One line of infrastructure; a fixed one is a constant of the settings."""

    is_fixed: bool


class InfraFigure(CostFigure):
    """Infrastructure with its lines by name."""

    lines: dict[str, InfraLine]


class CostBreakdown(Shape):
    """The forecast's parts. Charges are revenue; the margin is revenue less all cost."""

    stripe_charges: CostFigure
    stripe_fees: CostFigure
    infra: InfraFigure
    openai: CostFigure
    workers: CostFigure
    total_cost: CostFigure
    margin: CostFigure


class ForecastDay(Shape):
    """What one UTC day is expected to cost; `guarded`: of that what the brake counts."""

    day: str
    cost: float | None
    low: float | None
    high: float | None
    guarded: float | None


class ForecastBudget(Shape):
    """How long the period's budget is expected to last; null: it outlasts the period."""

    period: Literal["day", "month"]
    key: str
    amount: float
    used_up_on: str | None
    used_up_on_earliest: str | None


class Coverage(Shape):
    """Of the past forecasts whose 30 days are over, the share that held what came; null of none."""

    share: float | None
    count: int
    level: float


class CostSource(Shape):
    """Whether a source answers; `is_stale`: its last figures are used."""

    status: Literal["ok", "stale", "down", "not_configured"]
    is_stale: bool
    read_at: str | None
    problem: str | None
    forecast_error: float | None


class CostForecast(Shape):
    """The expected cost of the next 30 days: fees, infra, AI and workers. Revenue and margin stand in the breakdown."""

    forecast_next_30d: float
    confidence_low: float | None
    confidence_high: float | None
    interval_level: float
    guard_forecast_next_30d: float | None
    guard_low_data: bool
    guard_categories: list[str]
    currency: str
    other_currencies: dict[str, dict[str, float]]
    breakdown: CostBreakdown
    daily: list[ForecastDay]
    limit: float | None
    limit_breach_date: str | None
    budget: ForecastBudget | None
    coverage_so_far: Coverage
    method: str
    methods: dict[str, str]
    sources: dict[str, CostSource]
    unknown: list[str]
    low_data: bool
    days_of_history: int
    computed_at: str


class SpendGuard(Shape):
    """The brake's word with the figures it read; shares are of the daily limit."""

    spend: Literal["allowed", "frozen", "unknown", "not_configured"]
    text: str
    limit: float | None
    spent_24h: float | None
    spent_share: float | None
    forecast_day: float | None
    forecast_share: float | None
    categories: list[str]


class CostBudget(Shape):
    """What of the period's budget is spent, and which of the alerts' percents were told."""

    period: Literal["day", "month"]
    key: str
    amount: float
    spent: float
    percent: float
    alerts: list[int]
    told: list[int]


class CostToday(Shape):
    """This UTC day so far, the brake's figures, and the budget. `unknown`: sources that never told anything."""

    day: str
    currency: str
    cost: float
    guarded_today: float
    revenue: float
    by_category: dict[str, float]
    spend_last_24h: Signal
    forecast_next_30d: Signal
    guard: SpendGuard
    budget: CostBudget | None
    other_currencies: dict[str, dict[str, float]]
    sources: dict[str, CostSource]
    unknown: list[str]
    measured_at: str


class CostDays(Shape):
    """Each category's sum beside each UTC day, the oldest first. The last day is today so far. Null: not known."""

    currency: str
    days: list[str]
    categories: dict[str, list[float | None]]
    measured_at: str


class LedgerEntry(Shape):
    """One line of the ledger; `amount` is text, so that no digit is lost. `day`: the whole UTC day that it is of."""

    source: str
    key: str
    line_item: str
    category: str
    type: str
    currency: str
    amount: str
    status: Literal["final", "provisional", "stale"]
    note: str | None
    at: str
    day: str | None


class Ledger(Shape):
    """Entries, the newest first; `count` and `sums` (by currency and category) are of all that are meant."""

    entries: list[LedgerEntry]
    count: int
    sums: dict[str, dict[str, str]]
