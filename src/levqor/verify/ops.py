"""The endpoints that operators and the autopilot's audience rely on: their answers, field by field."""

from datetime import date
from typing import Any

from levqor.verify.checks import Check, NotAsExpected, Stage, field, listed, must, number, shown, table, text, whole
from levqor.verify.public import SIGNAL_STATES
from levqor.verify.target import Target
from levqor.verify.v6_2 import moment

ACTIONS = ("scale_up", "scale_down", "freeze", "hold")
MOST_DAYS = 30
ACTIVE = ("dau", "wau", "mau")


def ops(target: Target) -> Stage:
    """Dry runs of scaling and recovery, retention, forecast."""
    limit_s = 2 * target.timeout_s + 1
    action = f"/ops/autoscale/dryrun: an action of {', '.join(ACTIONS)}, with its figures and reasons"
    days = "/admin/retention: whole numbers for at most 30 closed days, newest first"
    return Stage(
        "ops",
        (
            Check("dryrun", action, lambda: _dryrun(target), limit_s),
            Check("recover", "/ops/recover, a dry run: ok true, a plan, nothing done", lambda: _recover(target), limit_s),
            Check("retention", days, lambda: _retention(target), limit_s),
            Check("forecast", "/ops/cost/forecast: a finite number between its low and high", lambda: _forecast(target), limit_s),
        ),
    )


def _dryrun(target: Target) -> str:
    answer = target.get("/ops/autoscale/dryrun").must_be(200).json()
    action = field(answer, "action")
    must(action in ACTIONS, f"action is {shown(action)}")
    current, proposed = whole(answer, "current"), whole(answer, "target")
    must(field(answer, "running") is None or whole(answer, "running") >= 0, "running is no count")
    moves = {"scale_up": proposed > current, "scale_down": proposed < current, "hold": proposed == current, "freeze": proposed <= current}
    must(moves[action], f"action {action} from {current} to {proposed}")
    for name, signal in table(answer, "inputs").items():
        state = signal.get("state") if isinstance(signal, dict) else None
        must(state in SIGNAL_STATES and "value" in signal and "age_s" in signal, f"input {name} is {shown(signal)}")
    reasons = listed(answer, "reasons")
    must(bool(reasons), "no reason")
    for reason in reasons:
        must(isinstance(reason, dict), f"a reason is {shown(reason)}")
        text(reason, "code")
        text(reason, "text")
    text(answer, "next")
    return f"{action}, from {current} to {proposed}: {reasons[0]['code']}"


def _recover(target: Target) -> str:
    answer = target.ask("POST", "/ops/recover", target.admin(), {"dry_run": True}).must_be(200).json()
    must(field(answer, "ok") is True, f"ok is {shown(answer['ok'])}")
    must(field(answer, "dry_run") is True, f"dry_run is {shown(answer['dry_run'])}")
    must(field(answer, "recovered") is False, f"recovered is {shown(answer['recovered'])}")
    steps = listed(answer, "steps")
    for step in steps:
        must(isinstance(step, dict), f"a step is {shown(step)}")
        text(step, "name")
        text(step, "status")
    return f"ok, {len(steps)} steps planned"


def _retention(target: Target) -> str:
    answer = target.ask("GET", "/admin/retention", target.admin()).must_be(200).json()
    must(field(answer, "ok") is True, f"ok is {shown(answer['ok'])}")
    rows = listed(answer, "metrics")
    must(len(rows) <= MOST_DAYS, f"{len(rows)} days")
    days = [_day(row) for row in rows]
    must(days == sorted(set(days), reverse=True), "the days are not the newest first, each once")
    if not days:
        return "empty"
    return f"{len(days)} days up to {days[0]}, {rows[0]['mau']} active in 30"


def _day(row: Any) -> date:
    """One day's counts, as whole numbers that fit into one another; the day."""
    if not isinstance(row, dict):
        raise NotAsExpected(f"a day is {shown(row)}")
    dau, wau, mau = (whole(row, name) for name in ACTIVE)
    must(dau <= wau <= mau, f"dau {dau}, wau {wau}, mau {mau}: a week holds its days, and a month its weeks")
    said = text(row, "day")
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise NotAsExpected(f"day is {shown(said)}") from None


def _forecast(target: Target) -> str:
    answer = target.get("/ops/cost/forecast").must_be(200).json()
    total, between = number(answer, "forecast_next_30d"), _interval(answer)
    for name in ("breakdown", "sources"):
        must(isinstance(field(answer, name), dict | list), f"{name} is {shown(answer[name])}")
    moment(answer, "computed_at")
    return f"{total:g} ({between}), method {text(answer, 'method')}"


def _interval(answer: dict[str, Any]) -> str:
    """Low and high on either side of the figure; null where there is too little history to say, which must then be said."""
    is_low_data = field(answer, "low_data")
    must(isinstance(is_low_data, bool), f"low_data is {shown(is_low_data)}")
    if is_low_data and field(answer, "confidence_low") is None and field(answer, "confidence_high") is None:
        return "too little history for an interval"
    total, low, high = (number(answer, name) for name in ("forecast_next_30d", "confidence_low", "confidence_high"))
    must(low <= total <= high, f"{total:g} is not between {low:g} and {high:g}")
    return f"{low:g} to {high:g}"
