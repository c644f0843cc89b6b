"""What the autopilot remembers from tick to tick, and how its own promises are scored: each read and written under the lease."""

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from levqor.domain.decisions import Action, Decision
from levqor.domain.signals import Signals
from levqor.monitors.reading import Reading
from levqor.monitors.wait_memory import keep_wait, recall_wait
from levqor.policies.p95_step import P95Step
from levqor.policies.promise import Seen, slope_of
from levqor.policies.quiet import Quiet
from levqor.policies.scaling import Context, ScalingRules, is_asked_by_p95_alone, is_calm, p95_sample, promise_of
from levqor.policies.wait import WaitMemory
from levqor.store.memories import forget_memory, read_memory, write_memory
from levqor.store.promises import make_promise, open_promises, write_promise
from levqor.store.timers import checkpoint_timer, quiet_timer, read_timer

SLOPE_OVER_S = 60.0
"""How the depth moves is told from the samples of so long."""


@dataclass(frozen=True, slots=True)
class Beat:
    """One tick's time: `elapsed_s` since the one before in this term, 0 for its first."""

    now: datetime
    monotonic: float
    elapsed_s: float
    tick_s: float
    is_first: bool


@dataclass(frozen=True, slots=True)
class RuleMemory:
    """What the rules carry from one tick to the next."""

    quiet: Quiet
    p95_step: P95Step
    wait: WaitMemory | None = None

    def after_step(self, decision: Decision, signals: Signals) -> "RuleMemory":
        """What is remembered once a decision's step was put in force: calm begins anew, and P95's own step is watched."""
        before_ms = signals.p95_ms.value
        if decision.action is not Action.SCALE_UP or before_ms is None or not is_asked_by_p95_alone(decision.reasons):
            return replace(self, quiet=Quiet())
        return replace(self, quiet=Quiet(), p95_step=self.p95_step.stepped(before_ms))


def p95_memory(fleet: str) -> str:
    """The name of what is remembered of P95's last step."""
    return f"p95_step:{fleet}"


def read_p95_step(connection: Connection, fleet: str) -> P95Step:
    """P95's last step as the last tick left it."""
    return P95Step.from_dict(read_memory(connection, p95_memory(fleet)))


def recall(connection: Connection, reading: Reading, rules: ScalingRules, beat: Beat) -> RuleMemory:
    """The memory as this tick's signals leave it. The first tick of a term credits nothing for the gap."""
    fleet, signals = reading.fleet.name, reading.signals
    quiet = Quiet(read_timer(connection, quiet_timer(fleet)))
    if not beat.is_first:
        quiet = quiet.after(is_calm=is_calm(signals, rules) is True, elapsed_s=beat.elapsed_s, tick_s=beat.tick_s)
    step = read_p95_step(connection, fleet).after(
        p95_sample(signals, rules), elapsed_s=beat.elapsed_s, tick_s=beat.tick_s, up_p95_ms=rules.up_p95_ms
    )
    return RuleMemory(quiet, step, recall_wait(connection, reading, rules, elapsed_s=beat.elapsed_s, tick_s=beat.tick_s))


def remember(connection: Connection, now: datetime, fleet: str, memory: RuleMemory) -> None:
    """Checkpoint it, within the leader's fenced transaction."""
    checkpoint_timer(connection, quiet_timer(fleet), memory.quiet.accrued_s, now)
    keep_wait(connection, now, fleet, memory.wait)
    before = read_p95_step(connection, fleet)
    if memory.p95_step != before:
        if memory.p95_step == P95Step():
            forget_memory(connection, p95_memory(fleet))
        else:
            write_memory(connection, now, p95_memory(fleet), memory.p95_step.as_dict())


@dataclass(slots=True)
class Trail:
    """What one leader has seen since it began to lead; a successor begins with none."""

    _depths: deque[tuple[float, float]] = field(default_factory=deque)
    _left: tuple[int, tuple[str, ...]] | None = None

    def see(self, beat: Beat, depth: float | None) -> float | None:
        """One more depth; how the depth moves by now (jobs a second). A depth that is not known ends what was seen."""
        if depth is None:
            self._depths.clear()
            return None
        self._depths.append((beat.monotonic, depth))
        while beat.monotonic - self._depths[0][0] > SLOPE_OVER_S:
            self._depths.popleft()
        return slope_of(list(self._depths))

    def is_changed(self, target: int, paused: tuple[str, ...]) -> bool:
        """Did somebody else set the target, or pause or resume a queue, since the last tick?"""
        return self._left is not None and self._left != (target, paused)

    def leave(self, target: int, paused: tuple[str, ...]) -> None:
        """What this tick leaves in force."""
        self._left = (target, paused)


def score_promises(connection: Connection, reading: Reading, trail: Trail, beat: Beat) -> None:
    """Let open promises wait one tick longer, and end those that were kept, were missed, or can no longer be judged."""
    fleet = reading.fleet
    seen = Seen(
        depth=reading.signals.queue_depth.value,
        is_first=beat.is_first,
        is_changed=trail.is_changed(fleet.target, fleet.paused_queues),
    )
    for number, promise in open_promises(connection, fleet.name).items():
        write_promise(connection, beat.now, number, promise.after(seen, elapsed_s=beat.elapsed_s, tick_s=beat.tick_s))


def promise_clear_queue(
    connection: Connection, reading: Reading, context: Context, decision: Decision, record_id: int, now: datetime
) -> None:
    """Write down when a step up, just put in force, said that the queue will be clear; nothing where it could not say."""
    depth = reading.signals.queue_depth.value
    promised = promise_of(reading.signals, context, decision.target).clear_in_s
    if depth is not None and promised is not None:
        make_promise(connection, now, reading.fleet.name, record_id, depth=depth, target=decision.target, clear_in_s=promised)
