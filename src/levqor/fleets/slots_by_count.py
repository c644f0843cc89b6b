"""Workers that are scaled by a count alone: nobody chooses which one goes, so the count falls only while none is at work."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from levqor.domain.fleet import Worker, WorkerState
from levqor.fleets.slot_commands import COUNT, Acts, Asking, SlotsUnknown, filled
from levqor.fleets.slots import Found, Intend, Limits
from levqor.policies.slots import ChangeWatch, Retry, why_not_fewer
from levqor.ports import Clock

log = logging.getLogger(__name__)

CHANGED_AFTER_S = 60.0
"""A count that differs must have done so for this long: a crashed container is started again within it."""

ANY = 0
"""The one command of this kind has no slot."""


@dataclass(frozen=True, slots=True)
class CountMemory:
    """The count that was commanded last, and whether it has been reached since."""

    boot: str
    count: int
    is_reached: bool

    def as_dict(self) -> dict[str, Any]:
        return {"boot": self.boot, "count": self.count, "is_reached": self.is_reached}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "CountMemory":
        return cls(str(data["boot"]), int(data["count"]), bool(data["is_reached"]))


@dataclass(frozen=True, slots=True)
class CountCommands:
    """SLOTS_SCALE, and SLOTS_LIST, which prints one line for each running worker; without it the engine's list is counted."""

    scale_command: str
    list_command: Sequence[str]
    asking: Asking

    def count(self, stop: threading.Event) -> int | None:
        """None where the engine's list is to be counted. Raises SlotsUnknown."""
        if not self.list_command:
            return None
        return sum(bool(line.strip()) for line in self.asking.output(self.list_command, stop).splitlines())

    def scale(self, count: int) -> list[str]:
        return filled(self.scale_command, COUNT, count)


class ByCount:
    """One service of a process manager that scales by count, as the leader's thread knows it."""

    def __init__(
        self,
        commands: CountCommands,
        acts: Acts,
        limits: Limits,
        boot: str,
        clock: Clock,
        look_again: Callable[[], Sequence[Worker] | None],
    ) -> None:
        """`look_again`: the engine's workers right before the count falls."""
        self._commands, self._acts, self._limits, self._boot, self._clock = commands, acts, limits, boot, clock
        self._look_again = look_again
        self._memory: CountMemory | None = None
        self._kept: CountMemory | None = None
        self._count = 0
        self._workers: list[Worker] = []
        self._has_workers = False
        self._told: float | None = None
        self._watch = ChangeWatch(CHANGED_AFTER_S)
        self._outside: tuple[int, int] | None = None
        self._failure: tuple[str, Retry] = ("", Retry())
        self._why_not: str | None = None

    def recall(self, data: Mapping[str, Any]) -> None:
        """What was commanded last, by whoever led; nothing at the first contact."""
        self._memory = self._kept = CountMemory.from_dict(data) if data else None

    def look(self, workers: Sequence[Worker] | None, stop: threading.Event) -> None:
        """Count the workers, and see what they do. Raises SlotsUnknown."""
        listed = self._commands.count(stop)
        if listed is None and workers is None:
            raise SlotsUnknown("the engine does not tell its workers, and SLOTS_LIST is not set")
        self._has_workers, self._workers = workers is not None, _ours(workers or (), self._limits.queues)
        self._count = len(self._workers) if listed is None else listed
        if self._memory is not None and self._count == self._memory.count:
            self._memory = replace(self._memory, is_reached=True)

    def found(self) -> Found:
        """What the last look showed, for the report."""
        starting = max(0, self._count - len(self._workers)) if self._has_workers and self._is_starting() else 0
        late = self._told is not None and not self._is_starting() and not (self._memory is None or self._memory.is_reached)
        problems = [self._failure[0]] if self._failure[0] else []
        if late and self._memory is not None:
            problems.append(f"{self._memory.count} workers were asked for, and {self._count} run")
        return Found(
            workers=list(self._workers),
            running=self._count - starting,
            starting=starting,
            draining=sum(worker.state is WorkerState.DRAINING for worker in self._workers),
            pids=[],
            deaths_10m=0,
            crash_looping=False,
            outside=None if self._outside is None else self._outside[0],
            problems=tuple(problems),
            why_not=self._why_not,
        )

    def _is_starting(self) -> bool:
        return self._told is not None and self._clock.monotonic() - self._told < self._limits.start_timeout_s

    @property
    def is_moving(self) -> bool:
        return bool(self._acts.numbers) or (self._memory is not None and not self._memory.is_reached and self._is_starting())

    def follow(self, target: int, intend: Intend) -> None:
        """Have the count follow the target. Raises NotTheLeader, DatabaseDown: then nothing more is done."""
        now = self._clock.monotonic()
        self._hear_of_acts(now)
        if self._acts.numbers:
            return
        self._settle(target)
        self._why_not = self._hear_of_others(target, now)
        if self._why_not is None:
            self._step(target, intend, now)
        if self._memory != self._kept and self._outside is None and self._memory is not None:
            self._keep(self._memory, intend)

    def _hear_of_acts(self, now: float) -> None:
        for problem in self._acts.ended().values():
            self._told = now
            if problem is not None:
                log.warning("scaling by count: %s", problem)
                self._failure = (problem, self._failure[1].after_failure(now))
            else:
                self._failure = ("", Retry())

    def _settle(self, target: int) -> None:
        """At the first contact what runs is somebody's choice; after a start of the machine it is nobody's."""
        if self._memory is None or self._memory.boot != self._boot:
            if self._memory is None and self._count not in (0, target):
                self._outside = (self._count, target)
            self._memory = CountMemory(self._boot, self._count, is_reached=True)

    def _hear_of_others(self, target: int, now: float) -> str | None:
        memory = self._memory or CountMemory(self._boot, self._count, is_reached=True)
        if self._outside is not None and (target == self._outside[0] or target != self._outside[1]):
            self._memory = memory = replace(memory, count=self._outside[0], is_reached=True)
            self._outside = None
        differs = self._count if memory.is_reached and self._count != memory.count else None
        if self._outside is not None and differs is None and self._kept is not None:
            self._outside = None
        if self._watch.confirmed(None if differs is None else f"{differs} of {memory.count}", now) and differs is not None:
            self._outside = (differs, target)
        if self._outside is not None:
            return f"{self._outside[0]} workers were set outside Levqor; it leaves them so"
        return None if differs is None else f"{differs} workers run where {memory.count} were asked for; it looks again"

    def _step(self, target: int, intend: Intend, now: float) -> None:
        """The count that was asked for last is asked for again where it was not reached; a lower one only while none is at work."""
        memory = self._memory or CountMemory(self._boot, self._count, is_reached=True)
        is_new = target != memory.count
        is_late = not memory.is_reached and (self._told is None or not self._is_starting())
        if not (is_new or is_late) or not self._failure[1].may_try(now):
            return
        if target < max(self._count, memory.count):
            self._why_not = why_not_fewer(self._count, self._workers if self._has_workers else None) or self._why_not_now()
            if self._why_not is not None:
                return
        log.info("the count goes from %d to %d", self._count, target)
        self._keep(CountMemory(self._boot, target, is_reached=False), intend)
        self._told = now
        problem = self._acts.begin(ANY, f"count {target}", self._commands.scale(target))
        if problem is not None:
            self._failure = (problem, self._failure[1].after_failure(now))

    def _why_not_now(self) -> str | None:
        """The last look before the command: what begins between the two is asked to finish, within its container's grace."""
        workers = self._look_again()
        return why_not_fewer(self._count, None if workers is None else _ours(workers, self._limits.queues))

    def _keep(self, memory: CountMemory, intend: Intend) -> None:
        intend(memory.as_dict())
        self._memory = self._kept = memory

    def restart(self, name: str | None) -> None:
        """Nothing: a count names nobody."""

    @property
    def names_workers(self) -> bool:
        return False

    def close(self) -> None:
        self._acts.close()


def _ours(workers: Sequence[Worker], queues: frozenset[str]) -> list[Worker]:
    """Living workers that serve one of the fleet's queues; one that names no queue may serve any."""
    return [worker for worker in workers if worker.is_alive and worker.serves(queues)]
