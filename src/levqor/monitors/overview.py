"""Everything that the dashboard's first screen shows, in one answer; a part whose source fails says so and spoils no other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from levqor.domain.errors import DependencyDown
from levqor.domain.incidents import IncidentState
from levqor.monitors.history import History, deploy_marks
from levqor.monitors.slow_answers import SlowAnswers
from levqor.policies.scaling import ScalingRules
from levqor.policies.verdict import Facts, judge
from levqor.ports import Clock
from levqor.store.database import Database

T = TypeVar("T")
Answer = dict[str, Any]

DECISIONS = 5
INCIDENTS = 6


class Operations(Protocol):
    """The readings and records that are shown."""

    def status(self) -> Answer: ...
    def queue_health(self) -> Answer: ...
    def decisions(self, limit: int = ..., *, changes: bool = ...) -> list[Answer]: ...
    def slo(self) -> Answer: ...


class Incidents(Protocol):
    """What was wrong."""

    def incidents(self, limit: int, open_only: bool) -> Answer: ...


@dataclass(frozen=True, slots=True)
class OverviewParts:
    """What it is put together from; `bootstrap` hands it in. The last two are None where there is no such part."""

    operations: Operations
    incidents: Incidents
    database: Database
    clock: Clock
    rules: ScalingRules
    slo_p99_ms: float
    version: str
    cost_today: Callable[[], Answer] | None = None
    cost_forecast: Callable[[], Answer] | None = None


class Overview:
    """One per web process; thread-safe."""

    def __init__(self, parts: OverviewParts) -> None:
        self._parts = parts
        self._history = History(parts.slo_p99_ms)
        self._slow = SlowAnswers(parts.clock)

    def chart(self, span: str) -> Answer:
        """The past hour, day or month as lines (`history.LINES`), and the deploys in it. Raises DatabaseDown."""
        with self._parts.database.read() as connection:
            now = self._parts.clock.now()
            return {
                **self._history.chart(connection, now, span),
                "deploys": deploy_marks(connection, now, span),
                "thresholds": self._thresholds(),
            }

    def answer(self) -> Answer:
        """The first screen. Parts that cannot be read are None, or as they were last; `unavailable` says why, and how old."""
        parts, status = self._parts, self._parts.operations.status()
        reading = _Reading()
        incidents = reading.of("incidents", lambda: parts.incidents.incidents(INCIDENTS, False)["incidents"])
        spend = reading.of("spend", self._spend)
        queues = reading.of("workers", parts.operations.queue_health) or {}
        budgets = reading.of("budgets", lambda: self._slowly("budgets", lambda: parts.operations.slo()["budgets"]))
        reading.note("budgets", self._slow.problem("budgets"))
        reading.note("spend", self._slow.problem("today") or self._slow.problem("forecast"))
        return {
            "version": parts.version,
            "verdict": judge(_facts(status, incidents, spend)).as_dict(),
            "status": status,
            "workers": queues.get("workers"),
            "queues": queues.get("queues"),
            "decisions": reading.of("decisions", lambda: parts.operations.decisions(DECISIONS, changes=True)),
            "chart": reading.of("chart", lambda: self.chart("1h")),
            "thresholds": self._thresholds(),
            "budgets": budgets,
            "spend": spend,
            "incidents": incidents,
            "unavailable": reading.unavailable,
            "measured_at": status["measured_at"],
        }

    def _spend(self) -> Answer:
        """Today's spend and the forecast; each None where there is no such part."""
        parts = self._parts
        return {
            "limit": None if parts.rules.daily_spend_limit is None else float(parts.rules.daily_spend_limit),
            "today": self._slowly("today", parts.cost_today),
            "forecast": self._slowly("forecast", parts.cost_forecast),
        }

    def _slowly(self, name: str, question: Callable[[], Answer] | None) -> Answer | None:
        """Budgets and cost change slowly, and cost more to read than all the rest."""
        return None if question is None else cast(Answer, self._slow.of(name, question))

    def _thresholds(self) -> Answer:
        rules = self._parts.rules
        return {
            "scale_up_p95_ms": rules.up_p95_ms,
            "scale_down_p95_ms": rules.down_p95_ms,
            "scale_up_depth": rules.up_depth,
            "slo_p99_ms": self._parts.slo_p99_ms,
            "workers_min": rules.min_workers,
            "workers_max": rules.max_workers,
        }


class _Reading:
    """Asks part after part, and remembers why one had no answer."""

    def __init__(self) -> None:
        self.unavailable: dict[str, str] = {}

    def note(self, name: str, problem: str | None) -> None:
        """What is wrong with an answer that is shown all the same."""
        if problem is not None:
            self.unavailable.setdefault(name, problem)

    def of(self, name: str, question: Callable[[], T]) -> T | None:
        """The answer; None where a dependency is down."""
        try:
            return question()
        except DependencyDown as error:
            self.unavailable[name] = str(error)
            return None


def _facts(status: Answer, incidents: list[Answer] | None, spend: Answer | None) -> Facts:
    episodes = status.get("episodes") or []
    signals = status["signals"]
    last = status.get("last_decision") or {}
    hold = next(iter(status.get("holds") or []), None)
    ongoing = [incident for incident in incidents or [] if incident["state"] != IncidentState.CLOSED]
    return Facts(
        database_problem=status["problems"].get("database"),
        leads=bool(status["leader"]["leads"]),
        pages=tuple(episode["summary"] for episode in episodes if episode["severity"] == "page"),
        tickets=tuple(episode["summary"] for episode in episodes if episode["severity"] != "page"),
        open_incidents=len(ongoing),
        escalated=sum(incident["state"] == IncidentState.ESCALATED for incident in ongoing),
        unknown=tuple(status["unknown"]),
        is_frozen=last.get("action") == "freeze",
        hold=None if hold is None else f"held by {hold['owner']}: {hold['why']}",
        target=status.get("target"),
        running=status.get("running"),
        depth=signals["queue_depth"]["value"],
        oldest_wait_s=signals["oldest_wait_s"]["value"],
        dead=signals["dead"]["value"],
        spent_share=_share(spend),
    )


def _share(spend: Answer | None) -> float | None:
    """Today's spend over the daily limit; None where either is not known."""
    if spend is None or not spend["limit"] or spend["today"] is None:
        return None
    total = spend["today"].get("guarded_today")
    return None if total is None else float(total) / float(spend["limit"])
