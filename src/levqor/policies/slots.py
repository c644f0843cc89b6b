"""Which slots are started and stopped for a target, and which changes are somebody else's: pure, so that every case has a row."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from levqor.domain.fleet import Worker, WorkerState
from levqor.domain.slots import ListedSlot, SeenSlot, SlotMemory, SlotState

STARTS_AT_ONCE = 4
"""No more workers than this are in their start at the same time."""

CHANGED_LOOKS = 2
"""So many looks in a row must show a change before it counts as somebody's act."""

_IDLEST_FIRST = {WorkerState.LOST: 0, WorkerState.STARTING: 1, WorkerState.IDLE: 2, WorkerState.BUSY: 3}


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """Slots to start and to stop, never both; `why_not`: what keeps the fleet from its target."""

    start: tuple[int, ...] = ()
    stop: tuple[int, ...] = ()
    why_not: str | None = None


def plan_slots(target: int, slots_max: int, seen: Sequence[SeenSlot], memory: SlotMemory) -> SlotPlan:
    """Grow by the lowest free slots, shrink by the idlest. What the engine does not show may hold a long job and is never chosen."""
    missing = target - len(memory.wanted)
    if missing > 0:
        return _grow(missing, slots_max, {slot.number: slot for slot in seen}, memory)
    return _shrink(-missing, seen, memory) if missing < 0 else SlotPlan()


def _grow(missing: int, slots_max: int, seen: Mapping[int, SeenSlot], memory: SlotMemory) -> SlotPlan:
    taken = {number for number, slot in seen.items() if slot.state in (SlotState.STARTING, SlotState.RUNNING, SlotState.STOPPING)}
    free = [number for number in range(1, slots_max + 1) if number not in memory.wanted and number not in taken | set(memory.draining)]
    failed = {number for number, slot in seen.items() if slot.state is SlotState.FAILED}
    starting = sum(not is_seen and number not in failed for number, is_seen in memory.wanted.items())
    start = free[: max(0, min(missing, STARTS_AT_ONCE - starting))]
    if len(free) >= missing:
        return SlotPlan(start=tuple(start))
    return SlotPlan(start=tuple(start), why_not=f"no free slot of {slots_max}: {_named(memory.draining)} must finish first")


def _shrink(surplus: int, seen: Sequence[SeenSlot], memory: SlotMemory) -> SlotPlan:
    wanted = [slot for slot in seen if slot.number in memory.wanted]
    not_up = [slot for slot in wanted if not slot.state.is_up]
    known = [slot for slot in wanted if slot.state.is_up and slot.does in _IDLEST_FIRST]
    order = [*not_up, *sorted(known, key=lambda slot: (_IDLEST_FIRST[slot.does], *_idlest(slot)))]
    stop = tuple(slot.number for slot in order[:surplus])
    if len(stop) == surplus:
        return SlotPlan(stop=stop)
    unknown = [slot.number for slot in wanted if slot.number not in {known.number for known in order}]
    return SlotPlan(stop=stop, why_not=f"what {_named(unknown)} does is not known, so it is not stopped")


def _idlest(slot: SeenSlot) -> tuple[float, int]:
    """The longest idle; of busy ones the youngest job, which has least to lose. The highest number decides between equals."""
    return (-slot.since if slot.does is WorkerState.BUSY else slot.since, -slot.number)


@dataclass(frozen=True, slots=True)
class Changes:
    """Slots that somebody else stopped or started since Levqor's last command."""

    stopped: frozenset[int] = frozenset()
    started: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.stopped or self.started)

    @property
    def text(self) -> str:
        found = (("stopped", self.stopped), ("started", self.started))
        return " and ".join(f"{_named(numbers)} {'was' if len(numbers) == 1 else 'were'} {verb}" for verb, numbers in found if numbers)


def changes(listed: Mapping[int, ListedSlot], memory: SlotMemory, died: Collection[int]) -> Changes:
    """What differs from what was commanded. A worker that died, or that its process manager restarts or gave up, is no person's act."""
    stopped = {
        number
        for number, was_seen in memory.wanted.items()
        if was_seen and number not in died and _state(listed, number) is SlotState.STOPPED
    }
    started = {
        number
        for number, slot in listed.items()
        if slot.state.is_up and number not in memory.wanted and not (number in memory.draining and memory.draining[number] == slot.pid)
    }
    return Changes(frozenset(stopped), frozenset(started))


def _state(listed: Mapping[int, ListedSlot], number: int) -> SlotState:
    return listed[number].state if number in listed else SlotState.STOPPED


@dataclass(slots=True)
class ChangeWatch:
    """A change counts once it has been seen without a break, in several looks and for a while."""

    after_s: float
    _last: object = None
    _since: float = 0.0
    _looks: int = 0

    def confirmed(self, change: object, now: float) -> bool:
        """Has exactly this change (falsy: none) lasted?"""
        if change != self._last:
            self._last, self._since, self._looks = change, now, 0
        self._looks += 1
        return bool(change) and self._looks >= CHANGED_LOOKS and now - self._since >= self.after_s


def why_not_fewer(listed: int, workers: Sequence[Worker] | None) -> str | None:
    """Why a fleet that is scaled by count must not shrink now: nobody chooses which worker goes, so none may be at work."""
    if workers is None:
        return "what the workers do is not known"
    busy = sum(worker.state is WorkerState.BUSY or worker.job_id is not None for worker in workers)
    idle = sum(worker.state is WorkerState.IDLE and worker.job_id is None for worker in workers)
    if busy:
        return f"{busy} of {listed} workers {'is' if busy == 1 else 'are'} busy, and by count nobody chooses which one goes"
    if idle < max(listed, len(workers)):
        return f"what {max(listed, len(workers)) - idle} of {listed} workers do is not known, and by count nobody chooses which one goes"
    return None


@dataclass(frozen=True, slots=True)
class Retry:
    """How long after a command that failed the next try waits: each time twice as long."""

    first_s: float = 15.0
    longest_s: float = 300.0
    failures: int = 0
    at: float = 0.0

    def after_failure(self, now: float) -> "Retry":
        return Retry(self.first_s, self.longest_s, self.failures + 1, now)

    def may_try(self, now: float) -> bool:
        return self.failures == 0 or now - self.at >= min(self.longest_s, self.first_s * 2.0 ** min(self.failures - 1, 10))


@dataclass(slots=True)
class Deaths:
    """Deaths of workers in a window, on the monotonic clock."""

    window_s: float = 600.0
    loop_window_s: float = 60.0
    loop_deaths: int = 5
    _at: list[float] = field(default_factory=list)

    def add(self, count: int, now: float) -> None:
        self._at = [*(at for at in self._at if now - at < self.window_s), *[now] * min(count, 1_000)][-1_000:]

    def in_window(self, now: float) -> int:
        return sum(now - at < self.window_s for at in self._at)

    def are_looping(self, now: float) -> bool:
        return sum(now - at < self.loop_window_s for at in self._at) >= self.loop_deaths


def _named(numbers: Collection[int]) -> str:
    ordered = ", ".join(str(number) for number in sorted(numbers))
    return f"slot {ordered}" if len(numbers) == 1 else f"slots {ordered}"
