"""The SLO watchdog: two series of checks over disjoint windows, streaks that call recovery, error budgets (spec W)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from levqor.domain.errors import StoreDown
from levqor.policies.burn import BUDGET_PERIOD, BURN_RULES, BurnRule, budget_left, burn_rate, burns
from levqor.policies.slo import CALLS_AFTER, Count, Judgement, Objective, Standing, Streak, judge, together
from levqor.ports import Clock
from levqor.store.database import Database
from levqor.store.leases import Lease
from levqor.store.rollups import Counts, sum_counts
from levqor.store.slo import list_checks, read_streak, write_check, write_streak
from levqor.store.telemetry import Span, Telemetry

LATE = timedelta(seconds=10)
"""A window is judged this long after its end: flushes on their way are in it."""

FORGOTTEN = timedelta(minutes=13)
"""Windows that ended longer ago are not judged any more: the store does not keep them whole."""

LATENCY, ERRORS, AVAILABILITY = "latency", "errors", "availability"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Objectives:
    """The promised levels (spec W1)."""

    p99_ms: float = 200.0
    """P99 below this: fewer than 1 % of requests take as long (ms)."""
    error_rate: float = 0.005
    """Error rate below this (0..1)."""
    availability: float = 0.999
    """Availability above this (0..1)."""
    is_literal: bool = False
    """Bare comparison instead of evidence."""
    windows: tuple[timedelta, ...] = (timedelta(minutes=1), timedelta(minutes=5))
    """The widths of the series' windows; multiples of a telemetry slot."""

    @property
    def series(self) -> dict[str, timedelta]:
        """Each series by name: it judges its own disjoint windows (spec W1)."""
        return {_span(width): width for width in self.windows}

    @property
    def texts(self) -> dict[str, str]:
        """Each objective by name, for people."""
        return {
            LATENCY: f"P99 < {self.p99_ms:g} ms",
            ERRORS: f"error rate < {self.error_rate:.3%}",
            AVAILABILITY: f"availability > {self.availability:.3%}",
        }

    def all(self) -> tuple[Objective, ...]:
        return (
            Objective(LATENCY, 0.01, f"requests took {self.p99_ms:g} ms or more"),
            Objective(ERRORS, self.error_rate, "requests failed"),
            Objective(AVAILABILITY, 1 - self.availability, "probes failed"),
        )


@dataclass(frozen=True, slots=True)
class Breach:
    """What calls recovery: the series whose streak is full, and what its last check found."""

    series: str
    window_start: datetime
    judgements: dict[str, Judgement]

    @property
    def cause(self) -> str:
        """One sentence for people."""
        return "; ".join(found.why for found in self.judgements.values() if found.state is Standing.BREACHED)


@dataclass(slots=True)
class Watchdog:
    """Called by the leader's loop; everything that must outlive it is in the database."""

    objectives: Objectives
    telemetry: Telemetry
    database: Database
    lease: Lease
    clock: Clock
    call: Callable[[Breach], None]
    _last: float | None = None
    _term: int | None = None
    _causes: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def causes(self) -> dict[str, tuple[str, str]]:
        """What the watchdog has to alert about: severity and summary by the episode's key."""
        return dict(self._causes)

    def check(self) -> None:
        """Judge the windows that have ended, move the streaks, and call recovery where one is full."""
        if not self.lease.is_trusted:
            return
        mono = self.clock.monotonic()
        elapsed = mono - self._last if self._last is not None and self._term == self.lease.term else 0.0
        judged = self._judge_all()
        breaches: list[Breach] = []
        found: dict[str, tuple[str, str]] = {}
        now = self.clock.now()
        with self.lease.fenced() as connection:
            for series, (until, checks) in judged.items():
                _judged_until, streak = read_streak(connection, series)
                streak = streak.aged(elapsed)
                for start, judgements in checks:
                    state = together(list(judgements.values()))
                    streak = streak.after(state)
                    write_check(connection, series, start, state.value, judgements, now)
                    if streak.calls and state is Standing.BREACHED:
                        breaches.append(Breach(series, start, judgements))
                write_streak(connection, series, until, streak)
                found |= _slo_cause(series, streak, checks)
        self._last, self._term = mono, self.lease.term
        self._causes = {key: cause for key, cause in self._causes.items() if not key.startswith("slo:")} | found
        for breach in breaches[-1:]:
            log.warning("slo breached", series=breach.series, cause=breach.cause)
            self.call(breach)

    def watch_budgets(self) -> None:
        """Renew the burn alerts from the roll-ups."""
        if self.lease.is_trusted:
            burning = {
                f"burn:{name}:{rule.severity}:{_span(rule.long)}": (rule.severity, text)
                for name, rule, text in self._burning(self.budgets())
            }
            self._causes = {key: cause for key, cause in self._causes.items() if not key.startswith("burn:")} | burning

    def now(self) -> dict[str, dict[str, Judgement]]:
        """The last minute and the last five as they are at this moment; counts for no streak. Raises StoreDown."""
        end = self.telemetry.now()
        return {series: self._judge(end - width.total_seconds(), end) for series, width in self.objectives.series.items()}

    def _judge_all(self) -> dict[str, tuple[datetime | None, list[tuple[datetime, dict[str, Judgement]]]]]:
        """For each series, until when it is judged now, and the checks that are new."""
        with self.database.read() as connection:
            until = {series: read_streak(connection, series)[0] for series in self.objectives.series}
        try:
            store_now = datetime.fromtimestamp(self.telemetry.now(), UTC)
        except StoreDown as error:
            log.info("not judged", reason=str(error))
            return {series: (moment, []) for series, moment in until.items()}
        answer = {}
        for series, width in self.objectives.series.items():
            windows = ended_windows(until[series], store_now, width)
            checks = [(start, self._judge(start.timestamp(), (start + width).timestamp())) for start in windows]
            answer[series] = (windows[-1] + width if windows else _not_after(until[series], store_now), checks)
        return answer

    def _judge(self, start_s: float, end_s: float) -> dict[str, Judgement]:
        try:
            problem = self.telemetry.http_window(60).problem
            span = self.telemetry.between(start_s, end_s)
        except StoreDown as error:
            problem, span = str(error), None
        counts = _counts(span, problem, self.objectives.p99_ms)
        return {
            objective.name: judge(counts[objective.name], objective, is_literal=self.objectives.is_literal)
            for objective in self.objectives.all()
        }

    def budgets(self) -> dict[str, dict[str, Any]]:
        """For each objective: the share of the 30-day budget that is left, and the burn rate over each rule's windows."""
        return error_budgets(self.database, self.objectives, self.clock.now())

    def _burning(self, budgets: dict[str, dict[str, Any]]) -> Iterable[tuple[str, BurnRule, str]]:
        for name, budget in budgets.items():
            for rule in BURN_RULES:
                if _rule(rule) in budget["alerts"]:
                    rate = budget["burn"][_span(rule.long)]
                    text = f"{name} burns its error budget {rate:.1f} times too fast over {_span(rule.long)} and {_span(rule.short)}"
                    yield name, rule, f"{text} (alert from {rule.factor:g})"

    def answer(self) -> dict[str, Any]:
        """Objectives, the last checks, streaks, budgets, and when recovery would be called: for the API."""
        with self.database.read() as connection:
            series = {name: (*read_streak(connection, name), list_checks(connection, name, 10)) for name in self.objectives.series}
        try:
            now: dict[str, Any] | None = {name: _said(found) for name, found in self.now().items()}
        except StoreDown:
            now = None
        return {
            "objectives": self.objectives.texts,
            "evidence": "literal" if self.objectives.is_literal else "significant",
            "now": now,
            "series": {
                name: {
                    "judged_until": None if until is None else until.isoformat(),
                    "streak": len(streak.ages_s),
                    "calls_recovery": streak.calls,
                    "next": _next(streak),
                    "checks": checks,
                }
                for name, (until, streak, checks) in series.items()
            },
            "budgets": self.budgets(),
            "unknown": ["now"] if now is None else [],
        }


def error_budgets(database: Database, objectives: Objectives, now: datetime) -> dict[str, dict[str, Any]]:
    """As `Watchdog.budgets`, for whoever has no watchdog: it needs the roll-ups alone."""
    spans = sorted({span for rule in BURN_RULES for span in (rule.long, rule.short)} | {BUDGET_PERIOD})
    with database.read() as connection:
        counts = {
            span: sum_counts(connection, "minute" if span < timedelta(days=1) else "hour", now - span, now, objectives.p99_ms)
            for span in spans
        }
    totals = {span: _totals(found) for span, found in counts.items()}
    answer = {}
    for objective in objectives.all():
        rates = {span: burn_rate(*totals[span][objective.name], objective.allowed) for span in spans}
        answer[objective.name] = {
            "allowed": objective.allowed,
            "total": totals[BUDGET_PERIOD][objective.name][0],
            "bad": totals[BUDGET_PERIOD][objective.name][1],
            "budget_left": budget_left(*totals[BUDGET_PERIOD][objective.name], objective.allowed),
            "burn": {_span(span): rate for span, rate in rates.items()},
            "alerts": [_rule(rule) for rule in BURN_RULES if burns(rule, rates[rule.long], rates[rule.short])],
        }
    return answer


def ended_windows(judged_until: datetime | None, now: datetime, width: timedelta) -> list[datetime]:
    """The starts of the windows that have ended and are not judged yet, the oldest first.

    Windows lie on multiples of their width, so they never share a request. After a gap, or a clock that was set, the
    series begins again with the newest window.
    """
    newest_end = _floor(now - LATE, width)
    until = _not_after(judged_until, now)
    if until is None or until < newest_end - FORGOTTEN:
        return [newest_end - width]
    return [until + n * width for n in range(int((newest_end - until) / width))]


def _not_after(judged_until: datetime | None, now: datetime) -> datetime | None:
    """A moment in the future is a clock that was set back: judge from here on."""
    return None if judged_until is not None and judged_until > now + LATE else judged_until


def _floor(moment: datetime, width: timedelta) -> datetime:
    seconds = width.total_seconds()
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)


def _counts(span: Span | None, problem: str | None, p99_ms: float) -> dict[str, Count]:
    if span is None or problem is not None:
        why = problem or "the store has lost a part of this window"
        probes = Count(None, None, why) if span is None else Count(span.probes.total, span.probes.failed)
        return {LATENCY: Count(None, None, why), ERRORS: Count(None, None, why), AVAILABILITY: probes}
    return {
        LATENCY: Count(span.http.total, span.http.at_least(p99_ms)),
        ERRORS: Count(span.http.total, span.http.failed),
        AVAILABILITY: Count(span.probes.total, span.probes.failed) if span.probes.total else Count(None, None, "no probe in this window"),
    }


def _totals(counts: Counts) -> dict[str, tuple[int, int]]:
    return {
        LATENCY: (counts.requests, counts.slow),
        ERRORS: (counts.requests, counts.failed),
        AVAILABILITY: (counts.probes, counts.probes_failed),
    }


def _slo_cause(series: str, streak: Streak, checks: list[tuple[datetime, dict[str, Judgement]]]) -> dict[str, tuple[str, str]]:
    if not streak.calls:
        return {}
    why = Breach(series, *checks[-1]).cause if checks else f"{CALLS_AFTER} checks in a row"
    return {f"slo:{series}": ("page", why)}


def _next(streak: Streak) -> str:
    missing = max(0, CALLS_AFTER - len(streak.ages_s))
    return "recovery is called at every further breach" if streak.calls else f"recovery is called after {missing} more breaches in a row"


def _said(judgements: dict[str, Judgement]) -> dict[str, Any]:
    return {name: {"state": found.state.value, "p_value": found.p_value, "why": found.why} for name, found in judgements.items()}


def _rule(rule: BurnRule) -> dict[str, Any]:
    return {"severity": rule.severity, "factor": rule.factor, "long": _span(rule.long), "short": _span(rule.short)}


def _span(span: timedelta) -> str:
    if span % timedelta(minutes=1):
        return f"{span.total_seconds():.0f}s"
    minutes = round(span.total_seconds() / 60)
    if minutes % 1440 == 0:
        return f"{minutes // 1440}d"
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"
