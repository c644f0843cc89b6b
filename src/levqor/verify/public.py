"""The public smoke test: does it answer, is it ready, and does a job go through?"""

import threading
from typing import Any

from levqor.ports import Clock
from levqor.verify.checks import Check, NotApplicable, NotAsExpected, Stage, field, listed, must, shown, table, text
from levqor.verify.target import Target

ALIVE = ("/livez", "/health", "/healthz")
MODES = ("observe", "act", "held")
SIGNAL_STATES = ("value", "no_traffic", "not_configured", "unknown")
CONTRACT = (
    "/livez", "/readyz", "/status", "/ops/uptime", "/ops/queue_health", "/billing/health", "/ops/autoscale/dryrun", "/ops/recover",
    "/admin/retention", "/admin/analytics", "/ops/cost/forecast", "/metrics",
)  # fmt: skip
INTAKE = "/api/v1/intake"
JOB_WITHIN_S = 60.0
LOOK_AGAIN_S = 0.2


def public(target: Target, clock: Clock) -> Stage:
    """Health, readiness, status, OpenAPI, metrics, a job."""
    limit_s = 2 * target.timeout_s + 1
    return Stage(
        "public",
        (
            Check("health", "/livez, /health and /healthz answer 200 with status ok", lambda: _health(target), 3 * target.timeout_s + 1),
            Check("readiness", "/readyz answers 200 with ok true", lambda: _readiness(target), limit_s),
            Check("status", "/status with mode, holds, flags without an error, and every signal's state", lambda: _status(target), limit_s),
            Check("openapi", f"/openapi.json describes the {len(CONTRACT)} routes of the contract", lambda: _openapi(target), limit_s),
            Check("metrics", "/metrics in Prometheus' text format, with levqor_info", lambda: _metrics(target), limit_s),
            Check("job", "a job from intake to succeeded", lambda: _job(target, clock), JOB_WITHIN_S + 3 * target.timeout_s),
        ),
    )


def _health(target: Target) -> str:
    for path in ALIVE:
        said = text(target.get(path).must_be(200).json(), "status")
        must(said == "ok", f"{path} says status {said}")
    return "status ok, three times"


def _readiness(target: Target) -> str:
    answer = target.ask("GET", "/readyz?verbose", target.admin() if target.place.token else {}).must_be(200, 503).json()
    failed = [f"{name}: {check.get('detail')}" for name, check in _checks(answer).items() if check.get("ok") is not True]
    must(field(answer, "ok") is True, "; ".join(["not ready", *failed]))
    return "ok"


def _checks(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What `?verbose` adds for whom it trusts."""
    checks = answer.get("checks")
    return {name: check for name, check in checks.items() if isinstance(check, dict)} if isinstance(checks, dict) else {}


def _status(target: Target) -> str:
    answer = target.read_if_allowed("/status").must_be(200).json()
    mode = text(answer, "mode")
    must(mode in MODES, f"mode {mode}")
    listed(answer, "holds")
    flags = table(answer, "flags")
    text(flags, "state")
    must(field(flags, "error") is None, f"the flags file: {flags['error']}")
    unknown, signals = set(listed(answer, "unknown")), table(answer, "signals")
    must(bool(signals), "no signals")
    for name, signal in signals.items():
        state = signal.get("state") if isinstance(signal, dict) else None
        must(state in SIGNAL_STATES, f"signal {name} is {shown(state)}")
        must((state == "value") == (signal.get("value") is not None), f"signal {name}: state {state}, value {shown(signal.get('value'))}")
        must((state == "unknown") == (name in unknown), f"signal {name}: state {state}, and `unknown` says otherwise")
    return f"mode {mode}, {len(signals)} signals, {len(unknown)} unknown"


def _openapi(target: Target) -> str:
    paths = _paths(target)
    missing = [path for path in CONTRACT if path not in paths]
    must(not missing, f"no {', '.join(missing)}")
    return f"{len(paths)} paths"


def _paths(target: Target) -> dict[str, Any]:
    answer = target.read_if_allowed("/openapi.json").must_be(200).json()
    must(text(answer, "openapi").startswith("3."), f"openapi {answer['openapi']}")
    return table(answer, "paths")


def _metrics(target: Target) -> str:
    from prometheus_client.parser import text_string_to_metric_families

    page = target.read_if_allowed("/metrics").must_be(200).text()
    try:
        names = {family.name for family in text_string_to_metric_families(page)}
    except ValueError as error:
        raise NotAsExpected(f"not Prometheus' text format: {error}") from None
    must("levqor_info" in names, "no levqor_info")
    return f"{len(names)} metrics"


def _job(target: Target, clock: Clock) -> str:
    place = target.place
    if place.api_key is None and not place.is_local:
        raise NotApplicable("beyond this machine a job needs a key: set API_KEYS")
    if (place.token or place.is_local) and INTAKE not in _paths(target):
        raise NotApplicable("this installation takes no jobs (INTAKE_ENABLED is false)")
    headers = {} if place.api_key is None else {"X-API-Key": place.api_key}
    began = clock.monotonic()
    accepted = target.ask("POST", INTAKE, headers, {"handler": "sleep", "payload": {"seconds": 0}}).must_be(202).json()
    job_id = text(accepted, "job_id")
    must(accepted.get("status") == "queued", f"status {shown(accepted.get('status'))} at once")
    status = _ended(target, clock, job_id, headers)
    must(status == "succeeded", f"the job is {status} after {clock.monotonic() - began:.1f} s")
    return f"queued, then succeeded within {clock.monotonic() - began:.1f} s"


def _ended(target: Target, clock: Clock, job_id: str, headers: dict[str, str]) -> str:
    """The job's status once it has ended, or after JOB_WITHIN_S."""
    deadline, pause = clock.monotonic() + JOB_WITHIN_S, threading.Event()
    while True:
        answer = target.ask("GET", f"/api/v1/status/{job_id}", headers).must_be(200).json()
        must(answer.get("job_id") == job_id, "the status is of another job")
        status = text(answer, "status")
        if status in ("succeeded", "dead") or clock.monotonic() >= deadline:
            return status
        pause.wait(LOOK_AGAIN_S)
