"""The `threshold` rule (spec A2-A4), and the guards of every rule: one pure function for tick, dry run, apply and lab."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from math import floor
from typing import Any

from levqor.domain.decisions import Action, Code, Decision, Hold, Reason
from levqor.domain.fleet import FleetKind, FleetState
from levqor.domain.signals import Signal, Signals, SignalState
from levqor.policies.p95_step import P95Sample, P95State, P95Step
from levqor.policies.promise import Backlog, Estimate, estimate
from levqor.policies.room import no_room, room_for
from levqor.policies.spend_guard import HOURS_PER_DAY, Spend, SpendVerdict, guard_spend, step_price
from levqor.policies.wait import Load, Proposal, WaitMemory, WaitRules, propose

INPUTS = ("queue_depth", "p95_ms", "requests", "slow_requests", "error_rate", "spend_last_24h", "forecast_next_30d")
_FROZEN_UP = "up needs spend below 90 % and forecast at or below 80 % of the limit"
WAIT_INPUTS = ("running", "oldest_wait_s", "arrival_rate", "mean_service_s")
"""What the rule `wait` reads besides the depth."""


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
    name: str = "threshold"
    """The rule that decides: `threshold` or `wait` (spec A12)."""
    wait_slo_s: float = 5.0
    """Rule `wait`: a job should begin within this (s)."""
    worker_start_s: float = 2.0
    """Rule `wait`: a new worker takes its first job after this (s)."""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that `decide` reads besides the signals."""

    fleet: FleetState
    rules: ScalingRules
    calm_s: float = 0.0
    """Seconds of calm accrued (see `policies.quiet`)."""
    hold: Hold | None = None
    what_if: frozenset[str] = field(default_factory=frozenset)
    """Names of inputs that were given, not measured (spec A6): room, starting workers and `did_not_help` are then notes."""
    wait: WaitMemory | None = None
    """What the rule `wait` remembers, this tick included; None: nothing."""
    p95_step: P95Step | None = None
    """What is remembered of the last step that P95 alone asked for (spec A12); None: nothing."""
    depth_slope: float | None = None
    """How the depth has moved in the last minute (jobs a second); None: not known."""


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


def p95_sample(signals: Signals, rules: ScalingRules) -> P95Sample:
    """P95 as the memory of its last step judges it: with evidence only."""
    return P95Sample(signals.p95_ms.value if _has_evidence(signals, rules) else None, is_calm=_latency_is_calm(signals, rules) is True)


def is_asked_by_p95_alone(reasons: Iterable[Reason]) -> bool:
    """Did P95, and no other rule, ask for this step up?"""
    return {reason.code for reason in reasons if reason.votes} == {Code.P95_HIGH}


def promise_of(signals: Signals, context: Context, target: int) -> Estimate:
    """When the queue will be clear after a step to `target`."""
    fleet = context.fleet
    return estimate(
        Backlog(
            depth=signals.queue_depth.value,
            workers=fleet.target if fleet.running is None else fleet.running,
            target=target,
            start_s=context.rules.worker_start_s,
            arrival_rate=signals.arrival_rate.value,
            mean_service_s=signals.mean_service_s.value,
            slope=context.depth_slope,
        )
    )


def _has_evidence(signals: Signals, rules: ScalingRules) -> bool:
    return signals.requests.value is not None and signals.requests.value >= rules.p95_min_requests


def decide(signals: Signals, context: Context) -> Decision:
    """The decision now. Same arguments, same answer.

    Guards speak in the order of `Code`; a rule is blocked only by the signals that it reads, so a known signal may still
    ask for a step up while another is unknown, and unknown never allows a step down (spec S3).
    """
    rules, fleet = context.rules, context.fleet
    proposal = _propose(signals, context) if rules.name == "wait" else None
    pressure, notes = _pressure(signals, rules) if proposal is None else (list(proposal.reasons) if proposal.is_pressed else [], [])
    guard = guard_spend(signals.spend_last_24h, signals.forecast_next_30d, rules.daily_spend_limit)
    if guard.spend is Spend.NOT_CONFIGURED:
        notes.append(Reason(Code.NOT_CONFIGURED, guard.text, votes=False))

    if context.hold is not None:
        voting = [Reason(Code.HELD, _held_text(context.hold)), *_as_notes(pressure)]
        return _decision(Action.HOLD, fleet.target, signals, context, voting + notes, guard, proposal)
    if pressure:
        action, reasons = _step_up(pressure, guard.spend, guard.text, context)
        target, limits = _step_up_to(proposal, context)
        notes += [*limits, *_price_notes(rules, max(1, target - fleet.target))]
        if action is Action.SCALE_UP:
            promised = promise_of(signals, context, target)
            notes.append(Reason(Code.PROMISE, promised.text, votes=False))
    elif proposal is None:
        target = fleet.target - 1
        action, reasons = _step_down(signals, is_calm(signals, rules), guard.spend, guard.text, context)
    else:
        target = proposal.target
        action, reasons = _fewer(proposal, guard.spend, guard.text, context)
    is_step = action in (Action.SCALE_UP, Action.SCALE_DOWN)
    return _decision(action, target if is_step else fleet.target, signals, context, reasons + notes, guard, proposal)


def load_of(signals: Signals, fleet: FleetState, rules: ScalingRules, elapsed_s: float = 0.0) -> Load:
    """What the rule `wait` sees of a reading, `elapsed_s` after the tick before."""
    return Load(
        target=fleet.target,
        min_workers=rules.min_workers,
        max_workers=rules.max_workers,
        depth=signals.queue_depth.value,
        busy=signals.running.value,
        workers=fleet.running,
        starting=fleet.starting,
        arrival_rate=signals.arrival_rate.value,
        mean_service_s=signals.mean_service_s.value,
        oldest_wait_s=signals.oldest_wait_s.value,
        elapsed_s=elapsed_s,
    )


def wait_rules(rules: ScalingRules) -> WaitRules:
    """The dials of the rule `wait` that a team sets."""
    return WaitRules(slo_s=rules.wait_slo_s, start_s=rules.worker_start_s)


def _propose(signals: Signals, context: Context) -> Proposal:
    memory = context.wait or WaitMemory()
    load, rules = load_of(signals, context.fleet, context.rules), wait_rules(context.rules)
    if "calm_for_s" in context.what_if:
        memory = memory.low_for(context.calm_s, load, rules)
    return propose(load, memory, rules)


def _step_up_to(proposal: Proposal | None, context: Context) -> tuple[int, list[Reason]]:
    """The target of a step up: one more, or as many as the rule `wait` asks for and there is room for."""
    fleet = context.fleet
    if proposal is None:
        return fleet.target + 1, []
    asked, free = proposal.target - fleet.target, room_for(fleet.room)
    fits = asked if free is None else max(0, free - fleet.starting)
    if asked <= fits:
        return proposal.target, []
    note = Reason(Code.NO_ROOM, f"memory is free for {fits} of {asked} more workers", votes=False)
    return (proposal.target if context.what_if else fleet.target + fits), [note]


def _fewer(proposal: Proposal, spend: Spend, spend_text: str, context: Context) -> tuple[Action, list[Reason]]:
    """The rule `wait` asks for no more workers: down, frozen, or no move."""
    frozen = [Reason(Code.FREEZE, spend_text)] if spend is Spend.FROZEN else []
    if proposal.target < context.fleet.target:
        return Action.SCALE_DOWN, [*proposal.reasons, *_as_notes(frozen)]
    no_move = Action.FREEZE if frozen else Action.HOLD
    is_unknown = any(reason.code is Code.UNKNOWN for reason in proposal.reasons)
    return no_move, [*proposal.reasons, *frozen] if is_unknown else [*frozen, *proposal.reasons]


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
    for code, text in _local_obstacles(fleet, is_one_by_one=rules.name == "threshold"):
        if not context.what_if:
            return Action.HOLD, [Reason(code, text), *_as_notes(pressure)]
        notes.append(Reason(code, text, votes=False))
    if fleet.target >= rules.max_workers:
        return Action.HOLD, [Reason(Code.AT_MAX, f"target {fleet.target} is the maximum {rules.max_workers}"), *_as_notes(pressure), *notes]
    judged = _judged_steps(pressure, context)
    if judged and not context.what_if:
        return Action.HOLD, [*judged, *_as_notes(pressure), *notes]
    return Action.SCALE_UP, [*pressure, *notes, *_as_notes(judged)]


def _judged_steps(pressure: list[Reason], context: Context) -> list[Reason]:
    """P95 alone asks for no step while its last one is being judged, nor after that one did not help (spec A12)."""
    memory = context.p95_step
    if memory is None or not memory.is_blocking or not is_asked_by_p95_alone(pressure):
        return []
    code = Code.WATCHING if memory.state is P95State.WATCHING else Code.DID_NOT_HELP
    return [Reason(code, memory.text)]


def _price_notes(rules: ScalingRules, workers: int) -> list[Reason]:
    price = step_price(rules.worker_hourly_cost, rules.daily_spend_limit, workers)
    return [Reason(Code.STEP_PRICE, price, votes=False)] if price else []


def _local_obstacles(fleet: FleetState, *, is_one_by_one: bool) -> list[tuple[Code, str]]:
    """What stands in the way on the workers' own machine. The rule `wait` counts workers that start as ready, and waits for none."""
    obstacles: list[tuple[Code, str]] = []
    crowded, fits = no_room(fleet.room), room_for(fleet.room)
    if crowded:
        obstacles.append((Code.NO_ROOM, crowded))
    elif fits is not None and fits <= fleet.starting and not is_one_by_one:
        obstacles.append((Code.NO_ROOM, f"memory is free for {fits} more, and {fleet.starting} still start"))
    if fleet.is_scalable and fleet.running is None:
        who = "no agent has reported its workers" if fleet.kind is FleetKind.AGENT else "how many workers live is unknown"
        obstacles.append((Code.UNKNOWN, who))
    if fleet.starting and is_one_by_one:
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


def _decision(
    action: Action, target: int, signals: Signals, context: Context, reasons: list[Reason], guard: SpendVerdict, proposal: Proposal | None
) -> Decision:
    inputs: dict[str, Signal] = {name: getattr(signals, name) for name in (*INPUTS, *(WAIT_INPUTS if proposal else ()))}
    limit = context.rules.daily_spend_limit
    inputs["DAILY_SPEND_LIMIT"] = Signal.not_configured("not set") if limit is None else Signal.of(float(limit))
    return Decision(
        action=action,
        current=context.fleet.target,
        running=context.fleet.running,
        target=target,
        inputs=inputs,
        reasons=tuple(reasons),
        next=_next(action, signals, context) if proposal is None else _next_of_wait(action, target, proposal, context),
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


def _next_of_wait(action: Action, target: int, proposal: Proposal, context: Context) -> str:
    if context.hold is not None:
        return "needs the hold to end (`levqor release`)"
    if action is Action.SCALE_UP:
        return f"a step to {target}; the next one is for what these will not carry"
    if action is Action.SCALE_DOWN:
        return f"a step to {target}; the next one needs a pause again"
    up = _FROZEN_UP if action is Action.FREEZE else proposal.next_up
    return f"{up}; {proposal.next_down}"


def _needs_for_step_up(action: Action, signals: Signals, context: Context) -> str:
    rules = context.rules
    if action is Action.FREEZE:
        return _FROZEN_UP
    if context.fleet.target >= rules.max_workers:
        return f"up needs a WORKERS_MAX above {rules.max_workers}"
    depth, p95 = signals.queue_depth.value, signals.p95_ms.value
    now_depth = "unknown" if depth is None else f"{floor(depth)}"
    now_p95 = signals.p95_ms.state.value.replace("_", " ") if p95 is None else f"{p95:.0f} ms"
    if context.p95_step is not None and context.p95_step.is_blocking:
        is_watched = context.p95_step.state is P95State.WATCHING
        until = "its last step has been judged" if is_watched else f"it has been below {rules.down_p95_ms:.0f} ms"
        return f"up needs depth {rules.up_depth + 1}, now {now_depth}; P95 counts again once {until}"
    return f"up needs depth {rules.up_depth + 1}, now {now_depth}, or P95 above {rules.up_p95_ms:.0f} ms, now {now_p95}"


def _needs_for_step_down(signals: Signals, context: Context) -> str:
    rules, fleet = context.rules, context.fleet
    if fleet.target <= rules.min_workers:
        return f"down needs a WORKERS_MIN below {rules.min_workers}"
    left = max(0.0, rules.down_quiet_s - context.calm_s)
    if is_calm(signals, rules):
        return f"down needs {left:.0f} s more of calm"
    return f"down needs depth 0 and P95 below {rules.down_p95_ms:.0f} ms for {rules.down_quiet_s:.0f} s"
