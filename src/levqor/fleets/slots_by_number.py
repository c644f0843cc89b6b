"""Slots that are started and stopped one by one: the idlest worker goes, and finishes its job (spec A8)."""

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from levqor.domain.fleet import Worker, WorkerState
from levqor.domain.slots import ListedSlot, SeenSlot, SlotMemory, SlotState
from levqor.fleets.slot_commands import Acts, SlotCommands
from levqor.fleets.slot_workers import is_listed_dead, worker_of
from levqor.fleets.slots import Found, Intend, Limits
from levqor.policies.slots import ChangeWatch, Deaths, Retry, changes, plan_slots
from levqor.ports import Clock

log = logging.getLogger(__name__)

CHANGED_AFTER_S = 5.0
"""A slot that somebody else stopped or started must have been so for this long."""

RESTARTS_MAX = 1_000

_SERVING = (WorkerState.IDLE, WorkerState.BUSY, WorkerState.UNKNOWN)


class ByNumber:
    """The slots of one process manager, as the leader's thread knows them."""

    def __init__(self, commands: SlotCommands, acts: Acts, limits: Limits, boot: str, host: str, clock: Clock) -> None:
        self._commands, self._acts, self._limits = commands, acts, limits
        self._boot, self._host, self._clock = boot, host, clock
        self._memory: SlotMemory | None = None
        self._kept: SlotMemory | None = None
        self._listed: dict[int, ListedSlot] = {}
        self._seen: list[SeenSlot] = []
        self._has_workers = False
        self._jobs: dict[int, tuple[tuple[int | None, str | None], float]] = {}
        self._unlisted: dict[int, tuple[int | None, float]] = {}
        self._told: dict[int, float] = {}
        self._died: set[int] = set()
        self._given_up: set[int] = set()
        self._deaths = Deaths()
        self._watch = ChangeWatch(CHANGED_AFTER_S)
        self._outside: tuple[frozenset[int], int, str] | None = None
        self._failures: dict[int, tuple[str, Retry]] = {}
        self._restarts: deque[int] = deque(maxlen=RESTARTS_MAX)
        self._why_not: str | None = None

    # What is

    def recall(self, data: Mapping[str, Any]) -> None:
        """What was commanded last, by whoever led; nothing at the first contact."""
        self._memory = self._kept = SlotMemory.from_dict(data) if data else None

    def look(self, workers: Sequence[Worker] | None, stop: threading.Event) -> None:
        """Ask the process manager, and match its slots with the engine's workers. Raises SlotsUnknown."""
        before, self._listed = self._listed, self._commands.listed(stop)
        now = self._clock.monotonic()
        self._count_deaths(before, workers, now)
        self._given_up = {number for number, slot in self._listed.items() if self._is_given_up(slot)}
        if self._memory is not None:
            self._memory = _after_look(self._memory, self._listed)
        self._has_workers = workers is not None
        self._seen = [self._see(slot, workers, now) for _, slot in sorted(self._listed.items()) if slot.state is not SlotState.STOPPED]

    def _count_deaths(self, before: Mapping[int, ListedSlot], workers: Sequence[Worker] | None, now: float) -> None:
        for number, was in before.items():
            slot = self._listed.get(number, ListedSlot(number, SlotState.STOPPED))
            if slot.state.is_up and slot.pid == was.pid:
                self._died.discard(number)
            deaths = _deaths(was, slot, workers or ())
            if deaths and not self._is_told_to_stop(number, was):
                log.warning("the worker of slot %d died (process %s)", number, was.pid)
                self._deaths.add(deaths, now)
                self._died.add(number)

    def _is_told_to_stop(self, number: int, was: ListedSlot) -> bool:
        return self._memory is not None and number in self._memory.draining and self._memory.draining[number] == was.pid

    def _see(self, slot: ListedSlot, workers: Sequence[Worker] | None, now: float) -> SeenSlot:
        worker = None if workers is None or slot.pid is None else worker_of(slot.pid, workers)
        work = (slot.pid, worker.job_id if worker is not None else None)
        if self._jobs.get(slot.number, (None, 0.0))[0] != work:
            self._jobs[slot.number] = (work, now)
        does = self._does(slot, worker, now)
        if does is not WorkerState.UNKNOWN or workers is None:
            self._unlisted.pop(slot.number, None)
        elif self._unlisted.get(slot.number, (None, 0.0))[0] != slot.pid:
            self._unlisted[slot.number] = (slot.pid, now)
        return SeenSlot(slot.number, slot.state, does, slot.pid, worker, self._jobs[slot.number][1])

    def _does(self, slot: ListedSlot, worker: Worker | None, now: float) -> WorkerState:
        draining = self._memory.draining if self._memory is not None else {}
        if slot.state is SlotState.STOPPING or (slot.number in draining and draining[slot.number] == slot.pid):
            return WorkerState.DRAINING
        if slot.state is SlotState.FAILED:
            return WorkerState.LOST
        if worker is not None and slot.state is SlotState.RUNNING:
            self._told.pop(slot.number, None)
            is_busy = worker.job_id is not None or worker.state is WorkerState.BUSY
            return WorkerState.BUSY if is_busy else worker.state if worker.state is not WorkerState.STARTING else WorkerState.IDLE
        is_starting = slot.state is SlotState.STARTING or (self._has_workers and self._is_in_start(slot.number, now))
        return WorkerState.STARTING if is_starting else WorkerState.UNKNOWN

    def _is_in_start(self, number: int, now: float) -> bool:
        """Was it told to start, and may it still take its time?"""
        return number in self._told and now - self._told[number] < self._limits.start_timeout_s

    def _is_given_up(self, slot: ListedSlot) -> bool:
        """Did its process manager give it up, and has it not run since?"""
        return slot.state is SlotState.FAILED or (slot.state is SlotState.STARTING and slot.number in self._given_up)

    def found(self) -> Found:
        """What the last look showed, for the report. A slot that failed is named, so that it can be restarted, and counts for nothing."""
        now = self._clock.monotonic()
        wanted = self._memory.wanted if self._memory is not None else {}
        named = [slot for slot in self._seen if slot.state is not SlotState.FAILED or slot.number in wanted]
        does = [slot.does for slot in named]
        return Found(
            workers=[self._describe(slot) for slot in named],
            running=sum(one in _SERVING for one in does),
            starting=does.count(WorkerState.STARTING),
            draining=does.count(WorkerState.DRAINING),
            pids=[slot.pid for slot in named if slot.pid is not None],
            deaths_10m=self._deaths.in_window(now),
            crash_looping=self._deaths.are_looping(now),
            outside=None if self._outside is None else len(self._outside[0]),
            problems=tuple(self._problems(now)),
            why_not=self._why_not,
        )

    def _describe(self, slot: SeenSlot) -> Worker:
        if slot.worker is not None:
            return replace(slot.worker, state=slot.does)
        return Worker(f"slot-{slot.number}", self._host, slot.pid, slot.does)

    def _problems(self, now: float) -> list[str]:
        wanted = self._memory.wanted if self._memory is not None else {}
        failed = [f"slot {number} has failed, and its process manager gave it up" for number in sorted(self._given_up & wanted.keys())]
        gone = [
            f"the worker of slot {number} died and was not restarted"
            for number in sorted(self._died & wanted.keys())
            if self._is_down(number)
        ]
        alone = [
            f"slot {number} runs as process {pid}, but the engine lists no worker of it"
            for number, (pid, since) in sorted(self._unlisted.items())
            if number in self._listed and now - since >= self._limits.start_timeout_s
        ]
        return [*(text for text, _ in self._failures.values()), *failed, *gone, *alone]

    def _is_down(self, number: int) -> bool:
        return number not in self._listed or self._listed[number].state is SlotState.STOPPED

    def _has_failed(self, number: int) -> bool:
        return number in self._listed and self._listed[number].state is SlotState.FAILED

    @property
    def is_moving(self) -> bool:
        """Is a slot on its way up or down, so that the next look should come soon?"""
        moving = (WorkerState.STARTING, WorkerState.DRAINING)
        return bool(self._acts.numbers or self._restarts or any(slot.does in moving for slot in self._seen))

    # What is done

    def follow(self, target: int, intend: Intend) -> None:
        """Have the slots follow the target. Raises NotTheLeader, DatabaseDown: then nothing more is done."""
        now = self._clock.monotonic()
        self._settle(target)
        self._why_not = self._hear_of_others(target, now)
        if self._why_not is None and not self._hear_of_failures(now):
            self._start_again(intend, now)
            self._step(target, intend, now)
            self._roll(intend, now)
        if self._memory != self._kept and self._outside is None:
            self._keep(self._memory, intend)

    def _settle(self, target: int) -> None:
        """At the first contact what runs is somebody's choice; after a start of the machine it is nobody's."""
        up = {number: True for number, slot in self._listed.items() if slot.state.is_up}
        if self._memory is None:
            self._memory = SlotMemory(self._boot, up)
            if up and len(up) != target:
                self._outside = (frozenset(up), target, f"{len(up)} slots ran at the first contact")
        elif self._memory.boot != self._boot:
            self._memory = SlotMemory(self._boot, up)

    def _hear_of_others(self, target: int, now: float) -> str | None:
        """Why nothing is done while somebody else's act is not settled; None: it is, or there is none."""
        memory = self._memory or SlotMemory()
        change = changes(self._listed, memory, self._died)
        if self._outside is not None and (target == len(self._outside[0]) or target != self._outside[1]):
            self._memory = replace(memory, wanted=dict.fromkeys(sorted(self._outside[0]), True))
            self._outside = None
            change = changes(self._listed, self._memory, self._died)
        if self._outside is not None and not change and self._kept is not None:
            self._outside = None  # whoever changed it has put it back
        if self._watch.confirmed(change, now):
            others = (frozenset(memory.wanted) - change.stopped) | change.started
            self._outside = (others, target, change.text)
        if self._outside is not None:
            return f"{self._outside[2]} outside Levqor; it leaves them so"
        return f"{change.text} outside Levqor, it seems; it looks again" if change else None

    def _hear_of_failures(self, now: float) -> bool:
        """Did a command fail? Then what the last look showed is no ground for the next one."""
        problems = {number: problem for number, problem in self._acts.ended().items() if problem is not None}
        for number, problem in problems.items():
            self._note_failure(number, problem, now)
        return bool(problems)

    def _note_failure(self, number: int, problem: str, now: float) -> None:
        """A slot that could not be stopped serves on; one that could not be started is tried again later."""
        log.warning("slot %d: %s", number, problem)
        retry = self._failures.get(number, ("", Retry()))[1].after_failure(now)
        self._failures[number] = (f"slot {number}: {problem}", retry)
        memory = self._memory or SlotMemory()
        if number in memory.draining and not self._is_down(number):
            draining = {one: pid for one, pid in memory.draining.items() if one != number}
            self._memory = replace(memory, wanted={**memory.wanted, number: True}, draining=draining)

    def _may_act(self, number: int, now: float) -> bool:
        return number not in self._acts.numbers and self._failures.get(number, ("", Retry()))[1].may_try(now)

    def _start_again(self, intend: Intend, now: float) -> None:
        """Slots that were told to start, or to restart, and have not been seen up."""
        memory = self._memory or SlotMemory()
        for number, was_seen in memory.wanted.items():
            is_up = number in self._listed and self._listed[number].state is not SlotState.STOPPED
            if is_up and number in self._failures and was_seen and self._failures[number][1].may_try(now):
                del self._failures[number]
            if was_seen or is_up or number in memory.draining or number in self._acts.numbers:
                continue
            told = self._told.get(number)
            if told is None:
                self._start(number, intend, now)
            elif now - told >= self._limits.start_timeout_s and self._may_act(number, now):
                if number not in self._failures or self._failures[number][1].at <= told:
                    self._note_failure(number, f"not up within {self._limits.start_timeout_s:.0f} s of its start", now)
                else:
                    self._start(number, intend, now)

    def _step(self, target: int, intend: Intend, now: float) -> None:
        plan = plan_slots(target, self._limits.slots_max, self._seen, self._memory or SlotMemory())
        self._why_not = plan.why_not
        for number in plan.start:
            if self._may_act(number, now):
                self._start(number, intend, now)
        for number in plan.stop:
            if self._may_act(number, now):
                self._stop(number, intend, now, is_wanted=False)

    def _start(self, number: int, intend: Intend, now: float) -> None:
        memory = self._memory or SlotMemory()
        log.info("slot %d starts", number)
        self._keep(replace(memory, wanted={**memory.wanted, number: False}), intend)
        self._told[number] = now
        self._died.discard(number)
        problem = self._acts.begin(number, "start", self._commands.start(number))
        if problem is not None:
            self._note_failure(number, problem, now)

    def _stop(self, number: int, intend: Intend, now: float, *, is_wanted: bool) -> None:
        """Stop a slot's worker after its job; `is_wanted`: it is to start again."""
        memory = self._memory or SlotMemory()
        slot = self._listed.get(number)
        others = {one: was_seen for one, was_seen in memory.wanted.items() if one != number}
        wanted = {**others, number: False} if is_wanted else others
        self._told.pop(number, None)
        self._failures.pop(number, None)
        if slot is None or slot.state is SlotState.STOPPED or number in memory.draining:
            self._keep(replace(memory, wanted=wanted), intend)
            return
        log.info("slot %d stops (process %s)", number, slot.pid)
        self._keep(replace(memory, wanted=wanted, draining={**memory.draining, number: slot.pid}), intend)
        problem = self._acts.begin(number, "stop", self._commands.stop(number))
        if problem is not None:
            self._note_failure(number, problem, now)

    def _keep(self, memory: SlotMemory | None, intend: Intend) -> None:
        """Written down under the leader's term before it is done: who does not lead any more does nothing."""
        intend((memory or SlotMemory()).as_dict())
        self._memory = self._kept = memory

    # Restarts

    @property
    def names_workers(self) -> bool:
        return True

    def restart(self, name: str | None) -> None:
        """Replace one worker, or all, one after another, each after its job; a slot that failed has none and is started."""
        wanted = self._memory.wanted if self._memory is not None else {}
        numbers = {self._describe(slot).name: slot.number for slot in self._seen if slot.number in wanted}
        numbers |= {f"slot-{number}": number for number in wanted}
        chosen = sorted(set(numbers.values())) if name is None else [numbers[name]] if name in numbers else []
        self._restarts.extend(number for number in chosen if number not in self._restarts)

    def _roll(self, intend: Intend, now: float) -> None:
        """Failed ones are started; of the others the next is stopped once the last is back and known to the engine."""
        for number in [one for one in self._restarts if self._has_failed(one) and one not in self._acts.numbers]:
            self._restarts.remove(number)
            if number in (self._memory or SlotMemory()).wanted:
                self._start(number, intend, now)
        memory = self._memory or SlotMemory()
        settled = all(
            was_seen or (self._has_failed(number) and not self._is_in_start(number, now)) for number, was_seen in memory.wanted.items()
        ) and not any(slot.number in memory.wanted and slot.does in (WorkerState.STARTING, WorkerState.DRAINING) for slot in self._seen)
        if self._restarts and settled and not self._acts.numbers:
            number = self._restarts.popleft()
            if number in memory.wanted:
                self._stop(number, intend, now, is_wanted=True)

    def close(self) -> None:
        self._acts.close()


def _after_look(memory: SlotMemory, listed: Mapping[int, ListedSlot]) -> SlotMemory:
    """Wanted slots that are up have been seen; a drained one is gone, or another process is in its place."""

    def drains(number: int, pid: int | None) -> bool:
        slot = listed.get(number)
        return slot is not None and (slot.state is SlotState.STOPPING or (slot.state.is_up and pid in (slot.pid, None)))

    draining = {number: pid for number, pid in memory.draining.items() if drains(number, pid)}
    wanted = {
        number: was_seen or (number in listed and listed[number].state is SlotState.RUNNING and number not in draining)
        for number, was_seen in memory.wanted.items()
    }
    return replace(memory, wanted=wanted, draining=draining)


def _deaths(was: ListedSlot, slot: ListedSlot, workers: Sequence[Worker]) -> int:
    """How often the worker died between two looks: by its process manager's word, else by the engine's list."""
    if was.restarts is not None and slot.restarts is not None and slot.restarts > was.restarts:
        return slot.restarts - was.restarts
    if slot.state is SlotState.FAILED and was.state is not SlotState.FAILED:
        return 1
    is_another = was.state.is_up and was.pid is not None and slot.pid != was.pid
    return int(is_another and was.restarts is None and was.pid is not None and is_listed_dead(was.pid, workers))
