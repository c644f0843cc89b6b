"""The `slots` fleet: a thread of its own has a process manager follow the target, and the tick never waits for it (spec A7)."""

import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from levqor.domain.errors import DatabaseDown, EngineDown, GuardRefused, NotTheLeader
from levqor.domain.fleet import Room, Worker
from levqor.fleets.agent import FleetReport
from levqor.fleets.slot_commands import SlotsUnknown
from levqor.ports import Clock, Engine
from levqor.store.database import Database
from levqor.store.leases import Lease
from levqor.store.memories import forget_memory, names_of_memories, read_memory, write_memory

log = logging.getLogger(__name__)

LOOK_S = 2.0
LOOK_WHILE_MOVING_S = 0.5
ASKED_S = 15.0
"""Where nobody leads, the list is looked at only while somebody asks."""

ORDER_TRUSTED_S = 10.0
"""A target that was not handed on for so long, or three ticks, is followed no more: whoever handed it on may not lead now."""

AGE_MAX_S = 15.0
"""A look that is older says nothing about now; the slowest list command ends within ten seconds."""

CLOSE_WITHIN_S = 12.0

Intend = Callable[[Mapping[str, Any]], None]
"""Writes down what is about to be done, under the leader's term. Raises NotTheLeader, DatabaseDown."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many slots there are, how long a worker may take to start, and which queues the fleet serves."""

    slots_max: int
    start_timeout_s: float
    queues: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """What a look showed."""

    workers: list[Worker]
    running: int
    starting: int
    draining: int
    pids: list[int]
    deaths_10m: int
    crash_looping: bool
    outside: int | None
    problems: tuple[str, ...]
    why_not: str | None


class Hands(Protocol):
    """One way to scale: slot by slot, or by count. Used by the fleet's thread alone, but for `names_workers`."""

    def recall(self, data: Mapping[str, Any]) -> None: ...
    def look(self, workers: Sequence[Worker] | None, stop: threading.Event) -> None: ...
    def found(self) -> Found: ...
    def follow(self, target: int, intend: Intend) -> None: ...
    def restart(self, name: str | None) -> None: ...
    def close(self) -> None: ...
    @property
    def is_moving(self) -> bool:
        """Is a worker on its way up or down, so that the next look should come soon?"""
        ...

    @property
    def names_workers(self) -> bool:
        """Can one worker be told from another? It never changes."""
        ...


@dataclass(frozen=True, slots=True)
class SlotsParts:
    """What the fleet works with; `bootstrap` hands it in. `room`: memory for one more worker, by the workers' processes."""

    name: str
    hands: Hands
    engine: Engine
    database: Database
    lease: Lease
    clock: Clock
    room: Callable[[Iterable[int]], Room | None]
    tick_s: float


@dataclass(frozen=True, slots=True)
class _Order:
    """The target in force as a leader handed it on last."""

    target: int
    term: int
    at: float


class SlotsFleet:
    """The control plane's side: `publish` and `report` return at once, whatever the process manager does."""

    def __init__(self, parts: SlotsParts) -> None:
        self._parts = parts
        self._order: _Order | None = None
        self._followed: int | None = None
        self._sees = True
        self._term: int | None = None
        self._report: tuple[float, FleetReport] | None = None
        self._asked_at = parts.clock.monotonic()
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look, and to follow while this process leads, in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="slots", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; the workers stay as they are."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSE_WITHIN_S)
        self._parts.hands.close()

    # What the tick and the routes call

    def publish(self, target: int, term: int) -> None:
        """Hand the target to the thread. Raises NotTheLeader if a later term has handed one on here."""
        before = self._order
        if before is not None and term < before.term:
            raise NotTheLeader(f"a later leader than term {term} has handed on the fleet's target")
        self._order = _Order(target, term, self._parts.clock.monotonic())
        if before is None or (before.target, before.term) != (target, term):
            self._wake.set()

    def publish_paused(self, queues: list[str]) -> None:
        """Nothing: these workers do not look for what is paused."""

    def report(self) -> FleetReport:
        """What the last look showed; `running` None where there is none, or it is too old."""
        now = self._parts.clock.monotonic()
        is_new_asker = now - self._asked_at > ASKED_S
        self._asked_at = now
        if is_new_asker:
            self._wake.set()
        if self._report is None:
            return _unknown("the slots have not been looked at yet", None)
        at, report = self._report
        if now - at > AGE_MAX_S:
            return _unknown(f"the slots' list is {now - at:.0f} s old", now - at)
        return report

    def restart(self, worker_name: str | None) -> int:
        """Ask the thread of whoever leads to replace one worker, or all one after another. Raises DatabaseDown, GuardRefused."""
        if not self._parts.hands.names_workers:
            raise GuardRefused("these workers are scaled by count, which names none: restart them with your process manager")
        with self._parts.database.write() as connection:
            name = f"{self._restarts}{uuid.uuid4()}"
            write_memory(connection, self._parts.clock.now(), name, {"worker": worker_name})
        self._wake.set()
        return 1

    def rotate(self) -> int:
        """The team's own app is reloaded by its command, and web processes of Levqor's are not of this fleet."""
        return 0

    # The thread

    def run(self) -> None:
        """Until closed; no failure ends it."""
        while not self._stop.is_set():
            try:
                self.turn()
            except (NotTheLeader, DatabaseDown) as error:
                log.warning("slots are left as they are: %s", error)
            except Exception:
                log.exception("a turn of the slots failed")
            self._wake.wait(self.pause_s)
            self._wake.clear()

    @property
    def pause_s(self) -> float:
        """How long until the next look: soon while something moves, but a list that fails is not asked for in haste."""
        has_news = self._order is not None and self._order.target != self._followed
        return LOOK_WHILE_MOVING_S if self._sees and (self._parts.hands.is_moving or has_news) else LOOK_S

    def turn(self) -> None:
        """Look and, while this process leads, follow. Raises NotTheLeader, DatabaseDown."""
        order = self._order if self._order is not None and self._may_act(self._order) else None
        if order is None and self._parts.clock.monotonic() - self._asked_at > ASKED_S:
            return
        self._recall(order)
        try:
            self._parts.hands.look(self._workers(), self._stop)
        except SlotsUnknown as error:
            self._sees = False
            self._say(_unknown(str(error), 0.0))
            return
        self._sees = True
        try:
            if order is not None:
                self._take_restarts()
                self._parts.hands.follow(order.target, self._intend(order))
                self._followed = order.target
        finally:
            self._say(self._described(order))

    def _may_act(self, order: _Order) -> bool:
        age_s = self._parts.clock.monotonic() - order.at
        return not self._stop.is_set() and self._parts.lease.term == order.term and age_s <= max(ORDER_TRUSTED_S, 3 * self._parts.tick_s)

    def _recall(self, order: _Order | None) -> None:
        """A new leader goes on from what was commanded last; who only looks reads it each time."""
        term = None if order is None else order.term
        if term is None or term != self._term:
            with self._parts.database.read() as connection:
                self._parts.hands.recall(read_memory(connection, self._memory))
        self._term = term

    def _workers(self) -> list[Worker] | None:
        try:
            return self._parts.engine.workers()
        except EngineDown as error:
            log.info("the engine does not tell its workers: %s", error)
            return None

    def _intend(self, order: _Order) -> Intend:
        def intend(data: Mapping[str, Any]) -> None:
            if not self._may_act(order):
                raise NotTheLeader(f"term {order.term} has ended")
            with self._parts.lease.fenced() as connection:
                write_memory(connection, self._parts.clock.now(), self._memory, dict(data))

        return intend

    def _take_restarts(self) -> None:
        """What this process and others asked for."""
        with self._parts.database.read() as connection:
            names = names_of_memories(connection, self._restarts)
        for name in names:
            with self._parts.lease.fenced() as connection:
                asked = read_memory(connection, name)
                forget_memory(connection, name)
            self._parts.hands.restart(asked.get("worker"))

    @property
    def _memory(self) -> str:
        return f"slots:{self._parts.name}"

    @property
    def _restarts(self) -> str:
        return f"slots:{self._parts.name}:restart:"

    def _described(self, order: _Order | None) -> FleetReport:
        found = self._parts.hands.found()
        return FleetReport(
            agents=0,
            workers=found.workers,
            running=found.running,
            starting=found.starting,
            draining=found.draining,
            room=self._parts.room(found.pids),
            deaths_10m=found.deaths_10m,
            crash_looping=found.crash_looping,
            age_s=0.0,
            target_seen=None if order is None else order.target,
            outside=found.outside,
            problems=found.problems,
            why_not=found.why_not,
        )

    def _say(self, report: FleetReport) -> None:
        before = self._report[1].problems if self._report is not None else ()
        for problem in report.problems:
            if problem not in before:
                log.warning("slots: %s", problem)
        self._report = (self._parts.clock.monotonic(), report)


def _unknown(why: str, age_s: float | None) -> FleetReport:
    return FleetReport(
        agents=0,
        workers=[],
        running=None,
        starting=0,
        draining=0,
        room=None,
        deaths_10m=0,
        crash_looping=False,
        age_s=age_s,
        target_seen=None,
        problems=(why,),
    )
