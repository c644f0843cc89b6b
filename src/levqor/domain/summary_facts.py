"""What a summary is made of. None is unknown, never zero; a whole part that is not there is `Missing`."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that cannot be told: not set up, or set up and unreadable."""

    why: str
    is_unknown: bool = True


@dataclass(frozen=True, slots=True)
class BudgetSeen:
    """One objective, and what of its 30-day error budget is left (1: untouched, below 0: overdrawn)."""

    name: str
    objective: str
    left: float | None
    burns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceSeen:
    """Requests of the period. `minutes` of `expected_minutes` were measured; `*_by`: by hour, or by day of a week."""

    requests: int
    p99_ms: float | None
    error_rate: float | None
    availability: float | None
    minutes: int
    expected_minutes: int
    budgets: tuple[BudgetSeen, ...]
    requests_by: tuple[float | None, ...]
    p99_by: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class IncidentSeen:
    """One incident that was open in the period, and what became of its recoveries."""

    id: int
    cause: str
    is_open: bool
    is_escalated: bool
    opened_at: datetime
    closed_at: datetime | None
    recoveries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepSeen:
    """A decision that wanted to move the target, or froze it."""

    at: datetime
    action: str
    applied: bool
    current: int
    target: int
    reason: str


@dataclass(frozen=True, slots=True)
class DecisionsSeen:
    """Counts of the period; `wanted_*` were decided and not put in force. `mode`: `act`, `observe` or `advice`."""

    mode: str
    ups: int
    downs: int
    wanted_ups: int
    wanted_downs: int
    freezes: int
    latest: tuple[StepSeen, ...]


@dataclass(frozen=True, slots=True)
class ForecastSeen:
    """The next 30 days, all costs; None: no history to say it from. `above_limit_on`: the first day above the daily limit."""

    total: float | None
    low: float | None
    high: float | None
    low_data: bool
    above_limit_on: str | None
    budget_key: str | None
    budget_used_up_on: str | None


@dataclass(frozen=True, slots=True)
class MoneySeen:
    """Costs of the period and of the one before. `unread`: sources that were never read; `stale`: not lately."""

    currency: str
    spent: Decimal
    before: Decimal | None
    by_category: tuple[tuple[str, Decimal], ...]
    revenue: Decimal
    limit: Decimal | None
    guard: str
    is_frozen: bool
    forecast: ForecastSeen | Missing
    unread: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Is something spent that is in no figure?"""
        return bool(self.unread or self.stale)


@dataclass(frozen=True, slots=True)
class ActivitySeen:
    """The last closed day; `day_before` and so on are None where the history does not reach. `daily`: 14 days, the oldest first."""

    day: date
    zone: str
    dau: int
    day_before: int | None
    week_before: int | None
    wau: int | None
    wau_before: int | None
    mau: int | None
    daily: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class DeadSeen:
    """Dead letters now, and jobs that died in the period; `over_time`: the highest of each hour or day."""

    now: int | None
    why_unknown: str
    died: int | None
    over_time: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class BackupSeen:
    """The newest backup; `verified` is None while nobody has looked."""

    at: datetime
    size: int
    verified: bool | None


@dataclass(frozen=True, slots=True)
class VerificationSeen:
    """The last one that has ended, and which checks failed."""

    at: datetime
    suite: str
    state: str
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TroubleSeen:
    """A scheduled job whose runs went wrong in the period."""

    job: str
    state: str
    times: int
    last_at: datetime
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class ScheduleSeen:
    """Runs of the period."""

    done: int
    troubles: tuple[TroubleSeen, ...]


@dataclass(frozen=True, slots=True)
class DaySeen:
    """One UTC day of a weekly summary."""

    day: date
    requests: int | None
    p99_ms: float | None
    error_rate: float | None
    ups: int
    downs: int
    spent: Decimal | None
    users: int | None
