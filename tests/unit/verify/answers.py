"""An installation that answers as the contract says, for checks to be right and wrong about."""

import copy
from typing import Any

from tests.fake_service import Answer, Asked, FakeService

from levqor.verify.public import CONTRACT, INTAKE

TOKEN = "right-token-1234"
SIGNAL = {"state": "value", "value": 3.0, "age_s": 0.5, "detail": ""}
DAYS = [{"day": f"2026-02-{day:02}", "dau": 1, "wau": 2, "mau": 3} for day in range(28, 0, -1)]

GOOD: dict[str, Any] = {
    "/livez": {"status": "ok"},
    "/health": {"status": "ok"},
    "/healthz": {"status": "ok"},
    "/readyz": {"ok": True, "checks": {"store": {"ok": True, "detail": "answers"}}},
    "/status": {
        "mode": "observe",
        "holds": [],
        "flags": {"state": "ok", "error": None},
        "signals": {"queue_depth": SIGNAL, "p95_ms": {"state": "unknown", "value": None, "age_s": None}},
        "unknown": ["p95_ms"],
    },
    "/openapi.json": {"openapi": "3.1.0", "paths": {path: {} for path in (*CONTRACT, INTAKE)}},
    "/metrics": b'# TYPE levqor_info gauge\nlevqor_info{version="1"} 1.0\n',
    "/api/v1/intake": {"job_id": "j1", "status": "queued"},
    "/api/v1/status/j1": {"job_id": "j1", "status": "succeeded"},
    "/ops/uptime": {"started_at": "2026-03-01T12:00:00+00:00", "uptime_s": 5.0, "availability": {"1h": 0.99, "24h": None}},
    "/ops/queue_health": {
        "depth": 0,
        "oldest_age_s": None,
        "running": 0,
        "dead": 0,
        "workers": [{"pid": 1, "host": "h", "state": "idle", "job": None}],
        "unknown": [],
    },
    "/billing/health": {"status": "not_configured"},
    "/admin/analytics": {
        "ok": True,
        "users": {"total": 3, "new_7d": 1, "new_30d": 2, "returning_7d": 0, "returning_30d": 1},
        "referral_sources": [{"source": "friend", "users": 2}],
    },
    "/ops/autoscale/dryrun": {
        "action": "hold",
        "current": 2,
        "running": 2,
        "target": 2,
        "inputs": {"queue_depth": SIGNAL},
        "reasons": [{"code": "steady", "text": "nothing asks for a step"}],
        "next": "needs depth 11, now 3",
    },
    "/ops/recover": {"ok": True, "dry_run": True, "recovered": False, "steps": [{"name": "restart_workers", "status": "planned"}]},
    "/admin/retention": {"ok": True, "metrics": DAYS},
    "/ops/cost/forecast": {
        "forecast_next_30d": 30.0,
        "confidence_low": 24.0,
        "confidence_high": 36.0,
        "breakdown": {},
        "sources": {},
        "method": "linear",
        "low_data": False,
        "computed_at": "2026-03-01T12:00:00Z",
    },
}
POSTED = ("/api/v1/intake", "/ops/recover")
ADMIN = ("/admin/retention", "/admin/analytics", "/ops/recover")


def answering(**wrong: Any) -> FakeService:
    """All of it as it should be, except what a test gives by path: `(status, document)` or the document."""
    answers = copy.deepcopy(GOOD) | wrong
    service = FakeService()
    for path, answer in answers.items():
        status = 202 if path == INTAKE else 200
        found: Answer = answer if isinstance(answer, tuple) else (status, answer)
        service.routes["POST" if path in POSTED else "GET", path] = _guarded(found) if path in ADMIN else found
    return service


def _guarded(answer: Answer) -> Any:
    """The admin's alone."""

    def asked(request: Asked) -> Answer:
        return answer if request.headers.get("x-admin-token") == TOKEN else (401, {"detail": "The token is wrong."})

    return asked


def changed(path: str, **fields: Any) -> dict[str, Any]:
    """The good answer of that path with other fields."""
    return {path: {**copy.deepcopy(GOOD[path]), **fields}}


def without(path: str, field: str) -> dict[str, Any]:
    return {path: {name: value for name, value in GOOD[path].items() if name != field}}
