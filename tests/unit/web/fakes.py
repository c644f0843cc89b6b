"""An installation in memory for the web tests: it records what it was asked, and fails on demand."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.clock import ManualClock

from levqor.domain.errors import EngineDown, LevqorError, NotFound
from levqor.settings import Settings
from levqor.store.idempotency import Claim
from levqor.web.services import Services

TOKEN = "right-token-1234"
KEY = "job-key-5678"
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

SIGNAL = {"state": "value", "value": 12.5, "age_s": 1.0, "detail": ""}
UNKNOWN = {"state": "unknown", "value": None, "age_s": None, "detail": "the store does not answer"}
DECISION: dict[str, Any] = {
    "action": "hold",
    "current": 2,
    "running": 2,
    "target": 2,
    "inputs": {"queue_depth": SIGNAL},
    "reasons": [{"code": "steady", "text": "nothing asks for a step", "votes": True}],
    "next": "needs depth 11, now 7",
    "mode": "observe",
}


class FakeOperations:
    """Answers like the real one. `calls` holds what was ordered; `error` is raised by every method while it is set."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.error: Exception | None = None
        self.before: Callable[[], None] = lambda: None
        self.state: dict[str, Any] = {
            "mode": "observe",
            "holds": [],
            "flags": {"state": "ok", "error": None, "values": {}},
            "signals": {"queue_depth": SIGNAL, "p95_ms": UNKNOWN},
            "unknown": ["p95_ms"],
            "target": 2,
            "running": 2,
            "workers": [],
            "leader": {},
            "episodes": [],
            "last_decision": DECISION,
            "measured_at": AT,
        }
        self.is_ready = True

    def _asked(self, *call: Any) -> None:
        self.before()
        if self.error is not None:
            raise self.error
        self.calls.append(call)

    def reading(self) -> Any:
        self._asked("reading")
        return None

    def dryrun(self, what_if: dict[str, float]) -> dict[str, Any]:
        self._asked("dryrun", what_if)
        return {**DECISION, "held": False, "measured_at": AT}

    def apply(self, dry_run: bool, actor: str) -> dict[str, Any]:
        self._asked("apply", dry_run, actor)
        return {**DECISION, "applied": False, "why_not": "AUTOSCALE_ENABLED is off", "workers_before": 2, "workers_after": 2}

    def status(self) -> dict[str, Any]:
        self._asked("status")
        return self.state

    def uptime(self) -> dict[str, Any]:
        self._asked("uptime")
        return {"started_at": AT, "uptime_s": 5.0, "availability": {"1h": None}}

    def queue_health(self) -> dict[str, Any]:
        self._asked("queue_health")
        return {"depth": None, "oldest_age_s": None, "running": None, "dead": None, "workers": None, "unknown": ["depth"], "advice": []}

    def ready(self) -> dict[str, Any]:
        self._asked("ready")
        return {"ok": self.is_ready, "checks": {"store": {"ok": self.is_ready, "detail": "secret-host:6379"}}}

    def decisions(
        self, limit: int = 50, since: datetime | None = None, until: datetime | None = None, changes: bool = True
    ) -> list[dict[str, Any]]:
        self._asked("decisions", limit, since, until, changes)
        return [DECISION]

    def decision_at(self, at: datetime) -> dict[str, Any] | None:
        self._asked("decision_at", at)
        return DECISION if at >= AT else None

    def action_counts(self) -> dict[str, int]:
        self._asked("action_counts")
        return {"scale_up": 1}

    def scale(self, count: int | None, delta: int | None, owner: str, why: str, for_s: float | None) -> dict[str, Any]:
        self._asked("scale", count, delta, owner, why, for_s)
        return {"target": count}

    def scale_auto(self, owner: str) -> dict[str, Any]:
        self._asked("scale_auto", owner)
        return {}

    def hold(self, owner: str, why: str, for_s: float | None) -> dict[str, Any]:
        self._asked("hold", owner, why, for_s)
        return {"id": 1}

    def holds(self) -> list[dict[str, Any]]:
        self._asked("holds")
        return []

    def release(self, owner: str, hold_id: int | None) -> dict[str, Any]:
        self._asked("release", owner, hold_id)
        if hold_id == 404:
            raise NotFound("no hold 404")
        return {}

    def pause(self, queue: str, owner: str, why: str) -> dict[str, Any]:
        self._asked("pause", queue, owner, why)
        return {}

    def resume(self, queue: str, owner: str) -> dict[str, Any]:
        self._asked("resume", queue, owner)
        return {}

    def paused(self) -> list[dict[str, Any]]:
        self._asked("paused")
        return []

    def flags(self) -> dict[str, Any]:
        self._asked("flags")
        return {"AUTOSCALE_ENABLED": False}

    def set_flag(self, name: str, value: bool | int, actor: str) -> dict[str, Any]:
        self._asked("set_flag", name, value, actor)
        return {name: value}

    def restart(self, worker: str | None, actor: str) -> dict[str, Any]:
        self._asked("restart", worker, actor)
        return {"agents": 1}

    def episodes(self, open_only: bool = True) -> list[dict[str, Any]]:
        self._asked("episodes", open_only)
        return []

    def slo(self) -> dict[str, Any]:
        self._asked("slo")
        return {"objectives": {}}

    def audit(self, limit: int) -> list[dict[str, Any]]:
        self._asked("audit", limit)
        return []

    def configuration(self) -> dict[str, Any]:
        self._asked("configuration")
        return {}


FORECAST: dict[str, Any] = {"forecast_next_30d": 1200.5, "confidence_low": 1000.0, "confidence_high": 1400.0, "low_data": False}


class FakeCosts:
    """Answers like the cost desk. `calls` holds what was asked; `error` is raised by every method while it is set."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.error: Exception | None = None
        self.billing = "not_configured"

    def _asked(self, *call: Any) -> None:
        if self.error is not None:
            raise self.error
        self.calls.append(call)

    def forecast(self, refresh: bool = False) -> dict[str, Any]:
        self._asked("forecast", refresh)
        return FORECAST

    def today(self) -> dict[str, Any]:
        self._asked("today")
        return {"day": "2026-03-01", "cost": 1.5}

    def daily(self, days: int) -> dict[str, Any]:
        self._asked("daily", days)
        return {"currency": "usd", "days": [], "categories": {}}

    def billing_health(self) -> dict[str, Any]:
        self._asked("billing_health")
        return {"status": self.billing, "detail": "STRIPE_SECRET_KEY is not set"}

    def ledger(self, *asked: Any) -> dict[str, Any]:
        self._asked("ledger", *asked)
        return {"entries": []}

    def gauges(self) -> dict[str, float | None]:
        self._asked("gauges")
        return {"forecast_30d": 1200.5, "today": None}


@dataclass
class FakeJob:
    """A job as the engine tells of it."""

    job_id: str
    handler: str
    payload: dict[str, Any]
    queue: str
    max_attempts: int
    status: str = "queued"
    attempts: int = 0
    losses: int = 0
    enqueued_at: datetime | None = AT
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None


@dataclass
class FakeEngine:
    """Jobs in a dict; submitting an id twice changes nothing."""

    jobs: dict[str, FakeJob] = field(default_factory=dict)
    is_down: bool = False
    submissions: int = 0

    def submit(
        self,
        job_id: str,
        handler: str,
        payload: dict[str, Any],
        queue: str,
        max_attempts: int,
        backoff: list[float],
        timeout_s: float,
        keep_s: float,
    ) -> None:
        self.submissions += 1
        if self.is_down:
            raise EngineDown("the broker does not answer")
        self.jobs.setdefault(job_id, FakeJob(job_id, handler, payload, queue, max_attempts))

    def job(self, job_id: str) -> FakeJob | None:
        if self.is_down:
            raise EngineDown("the broker does not answer")
        return self.jobs.get(job_id)


class FakeIdempotency:
    """Keys in a dict. While `error` is set, every call raises it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.error: LevqorError | None = None

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    def claim(self, scope: str, key: str, body: bytes) -> Claim:
        self._check()
        with self._lock:
            row = self.rows.get((scope, key))
            if row is None:
                token = f"token-{len(self.rows)}"
                self.rows[scope, key] = {"body": body, "token": token, "status": None, "answer": None}
                return Claim("new", token)
        if row["body"] != body:
            return Claim("mismatch", row["token"])
        if row["status"] is None:
            return Claim("pending", row["token"])
        return Claim("answered", row["token"], row["status"], row["answer"])

    def answer(self, scope: str, key: str, status: int, answer: dict[str, Any]) -> None:
        self._check()
        self.rows[scope, key].update(status=status, answer=answer)

    def abandon(self, scope: str, key: str) -> None:
        self._check()
        self.rows.pop((scope, key), None)


@dataclass(frozen=True)
class FakeSession:
    """Somebody who is signed in."""

    id: str
    name: str
    expires_at: datetime


class FakeSignIns:
    """Sessions in a dict. While `error` is set, every call raises it."""

    LASTS = timedelta(hours=12)

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.sessions: dict[str, FakeSession] = {}
        self.error: LevqorError | None = None

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    def begin(self, name: str) -> FakeSession:
        self._check()
        session = FakeSession(f"session-{len(self.sessions)}", name, self._clock.now() + self.LASTS)
        self.sessions[session.id] = session
        return session

    def find(self, session_id: str) -> FakeSession | None:
        self._check()
        found = self.sessions.get(session_id)
        return found if found is not None and found.expires_at > self._clock.now() else None

    def end(self, session_id: str) -> None:
        self._check()
        self.sessions.pop(session_id, None)


@dataclass
class Installation:
    """All fakes of one app, and the app's services."""

    operations: FakeOperations
    engine: FakeEngine
    idempotency: FakeIdempotency
    clock: ManualClock
    services: Services
    costs: FakeCosts


def installation(**settings: Any) -> Installation:
    """An installation with these settings; the token is TOKEN unless told otherwise."""
    operations, engine, idempotency, clock = FakeOperations(), FakeEngine(), FakeIdempotency(), ManualClock()
    telemetry: Any = None
    costs = FakeCosts()
    services = Services(
        settings=Settings(**{"admin_token": TOKEN, **settings}),
        operations=operations,
        engine=engine,
        idempotency=idempotency,
        telemetry=telemetry,
        clock=clock,
        version="1.2.3",
        handlers=("sleep", "fail"),
        costs=costs,
    )
    return Installation(operations, engine, idempotency, clock, services, costs)
