"""What a host's workers need to match the target: pure, so that every case has a row in a table (spec A8)."""

from collections.abc import Sequence
from dataclasses import dataclass

from levqor.domain.fleet import WorkerState

STARTS_AT_ONCE = 4
"""No more workers than this are in their start at the same time."""

_IDLEST_FIRST = {WorkerState.LOST: 0, WorkerState.STARTING: 1, WorkerState.IDLE: 2, WorkerState.BUSY: 3}
_UNSEEN = 4
"""What the engine does not show for the moment may hold a long job: it is drained last."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A living worker of this host. `since` is when its job, or without one itself, began (monotonic s)."""

    name: str
    state: WorkerState
    since: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How many workers to spawn, and which to drain; never both."""

    spawn: int = 0
    drain: tuple[str, ...] = ()


def plan(target: int, slots: Sequence[Slot]) -> Plan:
    """Draining workers count as gone: one that is wanted back is replaced, not called back."""
    serving = [slot for slot in slots if slot.state is not WorkerState.DRAINING]
    missing = target - len(serving)
    if missing >= 0:
        starting = sum(slot.state is WorkerState.STARTING for slot in serving)
        return Plan(spawn=max(0, min(missing, STARTS_AT_ONCE - starting)))
    idlest_first = sorted(serving, key=lambda slot: (_IDLEST_FIRST.get(slot.state, _UNSEEN), -slot.since))
    return Plan(drain=tuple(slot.name for slot in idlest_first[:-missing]))


def share(target: int, agents: Sequence[str], me: str) -> int:
    """This agent's part of the fleet's target: as even as it goes, the first in order of their ids take one more.

    Every agent comes to the same parts from the same list, so nobody has to hand them out.
    """
    order = sorted({*agents, me})
    part, left_over = divmod(target, len(order))
    return part + (order.index(me) < left_over)
