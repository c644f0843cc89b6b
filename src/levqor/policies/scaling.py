"""The `threshold` rule (spec A2-A4) with its guards: one pure function for tick, dry run, apply and lab."""

from dataclasses import dataclass, field
from decimal import Decimal
from math import floor
from typing import Any

from levqor.domain.decisions import Action, Code, Decision, Hold, Reason
from levqor.domain.fleet import FleetState
from levqor.domain.signals import Signal, Signals, SignalState
from levqor.policies.room import no_room
from levqor.policies.spend_guard import HOURS_PER_DAY, Spend, SpendVerdict, guard_spend, step_price

INPUTS = ("queue_depth", "p95_ms", "requests", "slow_requests", "error_rate", "spend_last_24h", "forecast_next_30d")


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """The dials of the `threshold` rule."""

    up_p95_ms: float = 150.0
    """A P95 strictly above this asks for a step up (ms)."""
    up_depth: int = 10
    """More waiting jobs than this ask for a step up."""
    down_p95_ms: float = 40.0
    """A P95 strictly below this, with an empty queue, is calm (ms)."""
    down_quiet_s: float = 600.0
    """Calm for this long without a break allows a step down (s)."""
    min_workers: int = 1
    """The target never goes below this."""
    max_workers: int = 4
    """The target never goes above this."""
    p95_min_requests: int = 20
    """With fewer requests in the window P95 has no vote upwards."""
    daily_spend_limit: Decimal | None = None
    """Money allowed per day; None: the spend guard is not configured."""
    worker_hourly_cost: Decimal = Decimal(0)
    """The price of a step: one worker for one hour."""
    guard_categories: tuple[str, ...] = ("workers", "infra", "ai")
    """What the guarded figures are made of: what a team can control."""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that `decide` reads besides the signals."""

    fleet: FleetState
    rules: ScalingRules
    calm_s: float = 0.0
    """Seconds of calm accrued (see `policies.quiet`)."""
    hold: Hold | None = None
    what_if: frozenset[str] = field(default_factory=frozenset)
    """Names of inputs that were given, not measured (spec A6): room and starting workers are then notes."""


def is_calm(signals: Signals, rules: ScalingRules) -> bool | None:
    """Is this sample calm? None where a signal that the rule reads is unknown: never calm, and said so."""
    depth, p95 = signals.queue_depth, signals.p95_ms
    if depth.is_value and depth.value != 0:
        return False
    latency_calm = _latency_is_calm(signals, rules)
    if latency_calm is False:
        return False
    if depth.is_unknown or p95.is_unknown or latency_calm is None:
        return None
    return True


def _latency_is_calm(signals: Signals, rules: ScalingRules) -> bool | None:
    p95 = signals.p95_ms
    if p95.state in (SignalState.NO_TRAFFIC, SignalState.NOT_CONFIGURED):
        return True
    if p95.value is None:
        return None
    if _has_evidence(signals, rules):
        return p95.value < rules.down_p95_ms
    return None if signals.slow_requests.value is None else signals.slow_requests.value == 0


def _has_evidence(signals: Signals, rules: ScalingRules) -> bool:
    return signals.requests.value is not None and signals.requests.value >= rules.p95_min_requests


def decide(signals: Signals, context: Context) -> Decision:
    """The decision now. Same arguments, same answer.

    Guards speak in the order of `Code`; a rule is blocked only by the signals that it reads, so a known signal may still
    ask for a step up while another is unknown, and unknown never allows a step down (spec S3).
    """
    rules, fleet = context.rules, context.fleet
    pressure, notes = _pressure(signals, rules)
    calm = is_calm(signals, rules)
    guard = guard_spend(signals.spend_last_24h, signals.forecast_next_30d, rules.daily_spend_limit)
    if guard.spend is Spend.NOT_CONFIGURED:
        notes.append(Reason(Code.NOT_CONFIGURED, guard.text, votes=False))

    if context.hold is not None:
        voting = [Reason(Code.HELD, _held_text(context.hold)), *_as_notes(pressure)]
        return _decision(Action.HOLD, fleet.target, signals, context, voting + notes, guard)
    if pressure:
        action, reasons = _step_up(pressure, guard.spend, guard.text, context)
        notes += _price_notes(rules)
    else:
        action, reasons = _step_down(signals, calm, guard.spend, guard.text, context)
    step = {Action.SCALE_UP: 1, Action.SCALE_DOWN: -1}.get(action, 0)
    return _decision(action, fleet.target + step, signals, context, reasons + notes, guard)


def _pressure(signals: Signals, rules: ScalingRules) -> tuple[list[Reason], list[Reason]]:
    """Rules that ask for a step up, and notes."""
    asks: list[Reason] = []
    notes: list[Reason] = []
    depth, p95 = signals.queue_depth.value, signals.p95_ms.value
    if depth is not None and depth > rules.up_depth:
        asks.append(Reason(Code.DEPTH_HIGH, f"depth {depth:.0f} > {rules.up_depth}"))
    if p95 is not None and p95 > rules.up_p95_ms:
        if _has_evidence(signals, rules):
            asks.append(Reason(Code.P95_HIGH, f"P95 {p95:.0f} ms > {rules.up_p95_ms:.0f} ms"))
        else:
            seen = "an unknown number of" if signals.requests.value is None else f"{signals.requests.value:.0f}"
            text = f"P95 {p95:.0f} ms rests on {seen} requests; it votes from {rules.p95_min_requests}"
            notes.append(Reason(Code.TOO_FEW, text, votes=False))
    return asks, notes


def _step_up(pressure: list[Reason], spend: Spend, spend_text: str, context: Context) -> tuple[Action, list[Reason]]:
    fleet, rules = context.fleet, context.rules
    notes: list[Reason] = []
    if spend is Spend.FROZEN:
        return Action.FREEZE, [Reason(Code.FREEZE, spend_text), *_as_notes(pressure)]
    if spend is Spend.UNKNOWN:
        return Action.HOLD, [Reason(Code.SPEND_UNKNOWN, spend_text), *_as_notes(pressure)]
    for code, text in _local_obstacles(fleet):
        if not context.what_if:
            return Action.HOLD, [Reason(code, text), *_as_notes(pressure)]
        notes.append(Reason(code, text, votes=False))
    if fleet.target >= rules.max_workers:
        return Action.HOLD, [Reason(Code.AT_MAX, f"target {fleet.target} is the maximum {rules.max_workers}"), *_as_notes(pressure), *notes]
    return Action.SCALE_UP, pressure + notes


def _price_notes(rules: ScalingRules) -> list[Reason]:
    price = step_price(rules.worker_hourly_cost, rules.daily_spend_limit)
    return [Reason(Code.STEP_PRICE, price, votes=False)] if price else []


def _local_obstacles(fleet: FleetState) -> list[tuple[Code, str]]:
    """What stands in the way on the workers' own machine."""
    obstacles: list[tuple[Code, str]] = []
    crowded = no_room(fleet.room)
    if crowded:
        obstacles.append((Code.NO_ROOM, crowded))
    if fleet.is_scalable and fleet.running is None:
        obstacles.append((Code.UNKNOWN, "no agent has reported its workers"))
    if fleet.starting:
        obstacles.append((Code.STARTING, f"{fleet.starting} worker still starting"))
    return obstacles


def _step_down(signals: Signals, calm: bool | None, spend: Spend, spend_text: str, context: Context) -> tuple[Action, list[Reason]]:
    """No rule asks for a step up: down, frozen, or no move."""
    fleet, rules = context.fleet, context.rules
    frozen = [Reason(Code.FREEZE, spend_text)] if spend is Spend.FROZEN else []
    no_move = Action.FREEZE if frozen else Action.HOLD
    if calm is None:
        return no_move, [*_unknown_reasons(signals), *frozen]
    if not calm:
        return no_move, [*frozen, Reason(Code.STEADY, "neither pressed nor calm")]
    if fleet.target <= rules.min_workers:
        return no_move, [*frozen, Reason(Code.AT_MIN, f"calm, and target {fleet.target} is the minimum {rules.min_workers}")]
    if context.calm_s >= rules.down_quiet_s:
        text = f"calm for {context.calm_s:.0f} s, {rules.down_quiet_s:.0f} s are enough"
        return Action.SCALE_DOWN, [Reason(Code.CALM, text), *_as_notes(frozen)]
    return no_move, [*frozen, Reason(Code.CALMING, f"calm for {context.calm_s:.0f} of {rules.down_quiet_s:.0f} s")]


def _unknown_reasons(signals: Signals) -> list[Reason]:
    named = {"queue_depth": signals.queue_depth, "p95_ms": signals.p95_ms, "slow_requests": signals.slow_requests}
    return [Reason(Code.UNKNOWN, f"{name} is unknown: {signal.detail}") for name, signal in named.items() if signal.is_unknown] or [
        Reason(Code.UNKNOWN, "slow_requests is unknown")
    ]


def _as_notes(reasons: list[Reason]) -> list[Reason]:
    return [Reason(reason.code, reason.text, votes=False) for reason in reasons]


def _held_text(hold: Hold) -> str:
    until = "until released" if hold.remaining_s is None else f"for {hold.remaining_s:.0f} s more"
    return f"held by {hold.owner} {until}: {hold.why}"


def _decision(action: Action, target: int, signals: Signals, context: Context, reasons: list[Reason], guard: SpendVerdict) -> Decision:
    inputs: dict[str, Signal] = {name: getattr(signals, name) for name in INPUTS}
    limit = context.rules.daily_spend_limit
    inputs["DAILY_SPEND_LIMIT"] = Signal.not_configured("not set") if limit is None else Signal.of(float(limit))
    return Decision(
        action=action,
        current=context.fleet.target,
        running=context.fleet.running,
        target=target,
        inputs=inputs,
        reasons=tuple(reasons),
        next=_next(action, signals, context),
        guard=_guard_figures(guard, context.rules),
    )


def _guard_figures(verdict: SpendVerdict, rules: ScalingRules) -> dict[str, Any]:
    """The guard's word with the price of a step; None where no price is set."""
    hour = rules.worker_hourly_cost or None
    price = {"step_per_hour": hour and float(hour), "step_per_day": hour and float(hour * HOURS_PER_DAY)}
    return {**verdict.as_dict(), "categories": list(rules.guard_categories), **price}


def _next(action: Action, signals: Signals, context: Context) -> str:
    """What would change this decision, in one sentence."""
    rules, fleet = context.rules, context.fleet
    if context.hold is not None:
        return "needs the hold to end (`levqor release`)"
    if action is Action.SCALE_UP:
        return f"a step to {fleet.target + 1}; the next one waits until that worker has started"
    if action is Action.SCALE_DOWN:
        return f"a step to {fleet.target - 1}; the next one needs {rules.down_quiet_s:.0f} s of calm again"
    up = _needs_for_step_up(action, signals, context)
    return f"{up}; {_needs_for_step_down(signals, context)}"


def _needs_for_step_up(action: Action, signals: Signals, context: Context) -> str:
    rules = context.rules
    if action is Action.FREEZE:
        return "up needs spend below 90 % and forecast at or below 80 % of the limit"
    if context.fleet.target >= rules.max_workers:
        return f"up needs a WORKERS_MAX above {rules.max_workers}"
    depth, p95 = signals.queue_depth.value, signals.p95_ms.value
    now_depth = "unknown" if depth is None else f"{floor(depth)}"
    now_p95 = signals.p95_ms.state.value.replace("_", " ") if p95 is None else f"{p95:.0f} ms"
    return f"up needs depth {rules.up_depth + 1}, now {now_depth}, or P95 above {rules.up_p95_ms:.0f} ms, now {now_p95}"


def _needs_for_step_down(signals: Signals, context: Context) -> str:
    rules, fleet = context.rules, context.fleet
    if fleet.target <= rules.min_workers:
        return f"down needs a WORKERS_MIN below {rules.min_workers}"
    left = max(0.0, rules.down_quiet_s - context.calm_s)
    if is_calm(signals, rules):
        return f"down needs {left:.0f} s more of calm"
    return f"down needs depth 0 and P95 below {rules.down_p95_ms:.0f} ms for {rules.down_quiet_s:.0f} s"
