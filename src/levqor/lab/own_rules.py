"""Levqor's own rules in the lab: the code that runs live, fed from a tick."""

from dataclasses import replace

from levqor.domain.decisions import Action
from levqor.domain.fleet import FleetKind, FleetState
from levqor.domain.signals import RATE_OVER_S, Signal, Signals
from levqor.lab.baselines.history import Beat, Window
from levqor.lab.ticks import Tick
from levqor.policies.quiet import Quiet
from levqor.policies.scaling import Context, ScalingRules, decide, is_calm, load_of, wait_rules
from levqor.policies.wait import WaitMemory


class Threshold:
    """Rule `threshold` with its promised dials, through the one `decide`: P95 is that of the queue waits (ms).

    The rule's steps are one worker; `period_s` is TICK_S, so that slower settings are scored as they run.
    """

    def __init__(self, period_s: float = 15.0, rules: ScalingRules | None = None) -> None:
        """`rules`: other dials than the promised ones."""
        self._rules = rules or ScalingRules()
        self._period_s = period_s
        self._beat = Beat(period_s)
        self._quiet = Quiet()
        self._last_t: float | None = None

    def decide(self, tick: Tick) -> int:
        if not self._beat.is_due(tick.t):
            return tick.target
        rules = replace(self._rules, min_workers=tick.min_workers, max_workers=tick.max_workers, worker_start_s=tick.startup_s)
        signals = self._signals(tick, rules)
        elapsed_s = tick.dt if self._last_t is None else tick.t - self._last_t
        self._last_t = tick.t
        self._quiet = self._quiet.after(is_calm=is_calm(signals, rules) is True, elapsed_s=elapsed_s, tick_s=max(self._period_s, tick.dt))
        decision = decide(signals, Context(_fleet(tick), rules, calm_s=self._quiet.accrued_s))
        if decision.action is Action.SCALE_DOWN:
            self._quiet = Quiet()
        return decision.target

    def _signals(self, tick: Tick, rules: ScalingRules) -> Signals:
        """The waits behind the P95 always count as enough to vote: a tick does not say how many they are."""
        depth = _signal(tick.depth)
        if tick.p95_wait_s is not None:
            return Signals(queue_depth=depth, p95_ms=Signal.of(tick.p95_wait_s * 1000), requests=Signal.of(rules.p95_min_requests))
        return Signals(queue_depth=depth, p95_ms=Signal.no_traffic())


class Wait:
    """Rule `wait` through the one `decide`, with the memory that the live loop carries; the arrival rate is that of the last 15 s."""

    def __init__(self) -> None:
        self._memory = WaitMemory()
        self._arrivals = Window(RATE_OVER_S)
        self._unknown_until = 0.0

    def decide(self, tick: Tick) -> int:
        rules = ScalingRules(
            name="wait",
            min_workers=tick.min_workers,
            max_workers=tick.max_workers,
            wait_slo_s=tick.slo_s,
            worker_start_s=tick.startup_s,
        )
        fleet, signals = _fleet(tick), self._signals(tick)
        self._memory = self._memory.after(load_of(signals, fleet, rules, elapsed_s=tick.dt), wait_rules(rules))
        return decide(signals, Context(fleet, rules, wait=self._memory)).target

    def _signals(self, tick: Tick) -> Signals:
        return Signals(
            queue_depth=_signal(tick.depth),
            running=_signal(tick.busy),
            oldest_wait_s=_signal(tick.oldest_wait_s),
            arrival_rate=_signal(self._rate(tick)),
            mean_service_s=_signal(tick.mean_service_s),
        )

    def _rate(self, tick: Tick) -> float | None:
        """Jobs a second; None before any time has passed, and while the window holds a tick whose arrivals are not known."""
        if tick.arrivals is None:
            self._unknown_until = tick.t + RATE_OVER_S
        self._arrivals.add(tick.t, tick.arrivals or 0)
        over_s = max(tick.dt, min(RATE_OVER_S, tick.t))
        return None if tick.t < self._unknown_until or not over_s else sum(self._arrivals.values()) / over_s


def _fleet(tick: Tick) -> FleetState:
    return FleetState("lab", FleetKind.AGENT, ("lab",), tick.target, tick.workers, tick.starting, tick.draining)


def _signal(value: float | None) -> Signal:
    return Signal.unknown("not in the tick") if value is None else Signal.of(value)
