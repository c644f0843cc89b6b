"""Decision records: small enough to keep one for every tick, whole enough to be replayed (spec A11)."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from levqor.domain.decisions import Decision, Hold
from levqor.domain.fleet import FleetKind, FleetState, Room
from levqor.domain.signals import Signal, Signals, SignalState
from levqor.policies.p95_step import P95Step
from levqor.policies.scaling import Context, ScalingRules, decide
from levqor.policies.wait import WaitMemory

MONEY = ("daily_spend_limit", "worker_hourly_cost")
"""Rules that are Decimals, written as text. A record older than one of them holds none."""


def to_record(signals: Signals, context: Context, decision: Decision, **facts: Any) -> dict[str, Any]:
    """The record of one decision: what was read, under which rules, what was decided. `facts`: mode, applied, ..."""
    written = decision.as_dict()
    for name in ("inputs", "guard"):
        del written[name]  # they follow from the signals and the rules
    return {
        "decision": written,
        "signals": {name: _pack(getattr(signals, name)) for name in Signals.names()},
        "context": {
            "calm_s": round(context.calm_s, 3),
            "wait": None if context.wait is None else context.wait.as_dict(),
            "p95_step": None if context.p95_step is None else context.p95_step.as_dict(),
            "depth_slope": context.depth_slope,
            "hold": None if context.hold is None else context.hold.as_dict(),
            "fleet": {**asdict(context.fleet), "kind": context.fleet.kind.value},
            "rules": {**asdict(context.rules), **{name: _text(getattr(context.rules, name)) for name in MONEY}},
        },
        **facts,
    }


def replay(record: dict[str, Any]) -> Decision:
    """Decide again from a record; the same answer as then."""
    return decide(*inputs_of(record))


def inputs_of(record: dict[str, Any]) -> tuple[Signals, Context]:
    """The arguments of `decide` that a record holds."""
    signals = Signals(**{name: _unpack(packed) for name, packed in record["signals"].items()})
    context = record["context"]
    fleet = context["fleet"]
    rules = context["rules"]
    money = {name: Decimal(rules[name]) for name in MONEY if rules.get(name) is not None}
    guarded = {"guard_categories": tuple(rules["guard_categories"])} if "guard_categories" in rules else {}
    return signals, Context(
        fleet=FleetState(
            **{
                **fleet,
                "kind": FleetKind(fleet["kind"]),
                "room": None if fleet["room"] is None else Room(**fleet["room"]),
                **{name: tuple(fleet[name]) for name in ("queues", "paused_queues", "unserved_queues")},
            }
        ),
        rules=ScalingRules(**{**rules, **money, **guarded}),
        calm_s=context["calm_s"],
        wait=None if context.get("wait") is None else WaitMemory.from_dict(context["wait"]),
        p95_step=None if context.get("p95_step") is None else P95Step.from_dict(context["p95_step"]),
        depth_slope=context.get("depth_slope"),
        hold=None if context["hold"] is None else Hold(**context["hold"]),
    )


def to_answer(record: dict[str, Any]) -> dict[str, Any]:
    """A record as the API shows it: the decision with its inputs, and what became of it."""
    decision = replay(record).as_dict()
    rest = {name: value for name, value in record.items() if name not in ("decision", "signals", "context")}
    return {**rest, **record["decision"], "inputs": decision["inputs"], "guard": decision["guard"], "calm_s": record["context"]["calm_s"]}


def _pack(signal: Signal) -> list[Any]:
    """A signal as a short list: state, value, age, detail; trailing blanks left out."""
    packed = [signal.state.value, signal.value, None if signal.age_s is None else round(signal.age_s, 2), signal.detail or None]
    while packed[-1] is None:
        packed.pop()
    return packed


def _unpack(packed: list[Any]) -> Signal:
    state, value, age_s, detail = [*packed, None, None, None][:4]
    return Signal(SignalState(state), value, age_s, detail or "")


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)
