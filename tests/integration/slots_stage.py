"""A process manager, an engine and a leader that a test holds in its hand; the fleet's turns are taken one by one."""

import socket
import subprocess
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import redis
from tests.clock import ManualClock

from levqor.domain.errors import EngineDown
from levqor.domain.fleet import QueueState, Room, Worker, WorkerState
from levqor.domain.slots import ListedSlot, SlotState
from levqor.fleets.agent import FleetReport
from levqor.fleets.slot_commands import Acts, SlotsUnknown
from levqor.fleets.slots import Limits, SlotsFleet, SlotsParts
from levqor.fleets.slots_by_number import ByNumber
from levqor.store.database import Database
from levqor.store.leases import Lease

START_TIMEOUT_S = 30.0
SLOTS_MAX = 4


@dataclass
class Manager:
    """A process manager in memory, whose workers are real processes that sleep. Its commands can be told to fail."""

    slots: dict[int, ListedSlot] = field(default_factory=dict)
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    problem: str | None = None
    argv: tuple[str, ...] = ("true",)
    is_slow: bool = False
    """It takes a command, and does nothing yet."""

    def listed(self, stop: threading.Event) -> dict[int, ListedSlot]:
        if self.problem is not None:
            raise SlotsUnknown(self.problem)
        return dict(self.slots)

    def start(self, number: int) -> list[str]:
        self.commands.append(f"start {number}")
        if self.argv == ("true",) and not self.is_slow:
            self.begin(number)
        return list(self.argv)

    def stop(self, number: int) -> list[str]:
        """The worker finishes its job first: it goes when the test says so."""
        self.commands.append(f"stop {number}")
        if self.argv == ("true",) and not self.is_slow:
            self.slots[number] = ListedSlot(number, SlotState.STOPPING, self.slots[number].pid)
        return list(self.argv)

    def begin(self, number: int) -> None:
        """Somebody starts it."""
        self.processes[number] = subprocess.Popen(["sleep", "600"])
        self.slots[number] = ListedSlot(number, SlotState.RUNNING, self.processes[number].pid)

    def end(self, number: int, state: SlotState = SlotState.STOPPED) -> None:
        """Its process is gone."""
        self.processes[number].kill()
        self.processes[number].wait()
        self.slots[number] = ListedSlot(number, state)

    def take_commands(self) -> list[str]:
        taken, self.commands = self.commands, []
        return taken

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@dataclass
class Listing:
    """The engine: it lists a worker for each running slot, busy where the test says so."""

    manager: Manager
    jobs: dict[int, str] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    is_down: bool = False

    def workers(self) -> list[Worker]:
        if self.is_down:
            raise EngineDown("the broker does not answer")
        return [self._worker(slot) for slot in self.manager.slots.values() if slot.pid is not None and slot.number not in self.hidden]

    def _worker(self, slot: ListedSlot) -> Worker:
        job = self.jobs.get(slot.number)
        state = WorkerState.IDLE if job is None else WorkerState.BUSY
        return Worker(f"w{slot.number}-{slot.pid}", socket.gethostname(), slot.pid, state, job, ("default",))

    def queues(self, names: Sequence[str]) -> list[QueueState]:
        return []

    def queue_names(self) -> list[str]:
        return []


class Stage:
    """One installation with slots; `led_by` gives it another leader."""

    def __init__(self, database: Database, broker: redis.Redis) -> None:
        self.database, self.broker, self.clock, self.manager = database, broker, ManualClock(), Manager()
        self.engine = Listing(self.manager)
        self.boot = "boot-1"
        self.fleets: list[SlotsFleet] = []
        self.lead("leader")

    def lead(self, name: str) -> None:
        """A control plane of that name begins, and takes the lease once it is free."""
        self.lease = Lease(self.database, self.clock, name, is_dead=lambda holder: holder != name)
        assert self.lease.attempt()
        limits = Limits(SLOTS_MAX, START_TIMEOUT_S, frozenset({"default"}))
        acts = Acts(self.clock, mask=lambda text: text.replace("hunter2", "***"), timeout_s=60)
        hands = ByNumber(self.manager, acts, limits, self.boot, socket.gethostname(), self.clock)
        self.fleet = self.fleet_with(hands)

    def fleet_with(self, hands: object) -> SlotsFleet:
        parts = SlotsParts("default", hands, self.engine, self.database, self.lease, self.clock, no_room, 2.0)  # type: ignore[arg-type]
        self.fleets.append(SlotsFleet(parts))
        return self.fleets[-1]

    def turns(self, target: int, times: int = 1, every_s: float = 2.0) -> FleetReport:
        """The leader hands the target on, and the fleet looks and follows; so often."""
        for _ in range(times):
            self.lease.attempt()
            assert self.lease.term is not None
            self.fleet.publish(target, self.lease.term)
            self.fleet.turn()
            self.clock.advance(every_s)
        return self.fleet.report()

    def settle(self, target: int) -> FleetReport:
        """The fleet has reached the target, with nothing in between."""
        for _ in range(20):
            report = self.turns(target)
            for number, slot in list(self.manager.slots.items()):
                if slot.state is SlotState.STOPPING:
                    self.manager.end(number)
            if (report.running, report.starting, report.draining) == (target, 0, 0):
                self.manager.take_commands()
                return report
        raise AssertionError(f"the fleet did not settle: {report}")

    @property
    def up(self) -> list[int]:
        return sorted(number for number, slot in self.manager.slots.items() if slot.state.is_up)

    def close(self) -> None:
        for fleet in self.fleets:
            fleet.close()
        self.manager.close()


def no_room(_: Iterable[int]) -> Room | None:
    return None
