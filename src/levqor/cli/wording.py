"""Signals, moments and workers in words: unknown, no traffic and a number never look alike (spec S3)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from levqor.cli.spans import say_span

LABELS = {
    "p50_ms": "P50",
    "p95_ms": "P95",
    "p99_ms": "P99",
    "request_rate": "requests/s",
    "requests": "requests in window",
    "slow_requests": "slow requests",
    "error_rate": "error rate",
    "availability": "availability",
    "queue_depth": "queue depth",
    "oldest_wait_s": "oldest wait",
    "running": "jobs running",
    "arrival_rate": "jobs/s that come",
    "mean_service_s": "mean length of jobs",
    "dead": "dead letters",
    "failures_5m": "failures in 5 min",
    "spend_last_24h": "guarded spend in 24 h",
    "forecast_next_30d": "guarded forecast for 30 d",
}
STYLES = {"value": "", "no_traffic": "dim", "not_configured": "dim", "unknown": "bold yellow"}


def label(name: str) -> str:
    return LABELS.get(name, name)


def say_number(name: str, value: float) -> str:
    """A signal's number in the unit that its name carries."""
    if name.endswith("_ms"):
        return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"
    if name in ("error_rate", "availability"):
        return f"{value * 100:.2f} %"
    if name.endswith("_s"):
        return say_span(value)
    if name in ("spend_last_24h", "forecast_next_30d", "DAILY_SPEND_LIMIT"):
        return f"{value:.2f}"
    return f"{value:.2f}".rstrip("0").rstrip(".")


def say_signal(name: str, signal: Mapping[str, Any]) -> str:
    """A reading in words: the number, or why there is none."""
    state, value, detail = str(signal.get("state", "unknown")), signal.get("value"), str(signal.get("detail") or "")
    if state == "value" and value is not None:
        number = say_number(name, float(value))
        return f"{number} ({detail})" if detail and detail != "given" else number
    words = state.replace("_", " ") if state != "value" else "unknown"
    return f"{words}: {detail}" if detail and words == "unknown" else words


def say_age(signal: Mapping[str, Any]) -> str:
    age_s = signal.get("age_s")
    return "" if age_s is None else f"{say_span(float(age_s))} old"


def say_count(count: object) -> str:
    """A count, or the word for not having one."""
    return "unknown" if count is None else str(count)


def say_moment(moment: datetime | None) -> str:
    """Local time; the date only where it is not today's is left to whoever needs it, so it is always there."""
    return "at an unknown time" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def say_time(moment: datetime | None) -> str:
    return "?" if moment is None else moment.astimezone().strftime("%H:%M:%S")


def say_hold(hold: Mapping[str, Any]) -> str:
    """A hold with its owner and its end."""
    left = hold.get("remaining_s")
    until = "until released" if left is None else f"for {say_span(float(left))} more"
    number = f" (hold {hold['id']})" if hold.get("id") is not None else ""
    return f"held by {hold.get('owner', 'somebody')} {until}: {hold.get('why') or 'no reason given'}{number}"


def say_deploy(deploy: Mapping[str, Any]) -> str:
    """A deploy mark: the version and what came with it."""
    return f"deploy {deploy.get('sha')}" + (f" ({deploy['note']})" if deploy.get("note") else "")


def say_before(earlier: datetime, moment: datetime) -> str:
    """How long before `moment` something was."""
    return f"{say_span(max(0.0, (moment - earlier).total_seconds()))} before"


def say_score(score: Mapping[str, Any] | None) -> str:
    """How many promises of a clear queue were kept, of those that could be judged."""
    if score is None:
        return "unknown"
    kept, judged = int(score.get("kept", 0)), int(score.get("kept", 0)) + int(score.get("missed", 0))
    return f"{kept} of {judged} kept" if judged else "none was due yet"


MODES = {
    "observe": "observe: it measures and recommends, and changes nothing (AUTOSCALE_ENABLED is off)",
    "act": "act: it changes the number of workers by itself",
    "held": "held: a person's word, nothing automatic acts",
}


def say_mode(mode: object) -> str:
    return MODES.get(str(mode), str(mode))
