"""Control planes that schedule in the test's own process: a clock in the test's hand, and runs that end when the test says so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from tests.clock import ManualClock

from levqor.domain.errors import NotTheLeader
from levqor.domain.schedule import Ended, Job
from levqor.monitors.scheduler import Scheduler, SchedulerParts
from levqor.store.database import Database
from levqor.store.leases import Lease
from levqor.store.schedule import Run, list_runs

DONE = Ended(0, "done\n")


@dataclass
class FakeRun:
    """A run that dies with its control plane, as its keeper sees to."""

    words: Sequence[str]
    identity: str
    outcome: Ended | None = None
    stopped: bool = False

    def ended(self) -> Ended | None:
        return self.outcome

    def stop(self) -> None:
        self.stopped = True
        self.outcome = self.outcome or Ended(-15, "")


@dataclass
class World:
    """Who lives, and every run that was ever begun."""

    living: set[str] = field(default_factory=set)
    runs: list[FakeRun] = field(default_factory=list)
    judge: Callable[[Sequence[str]], Ended | None] = lambda _words: DONE
    """What becomes of a run at once; None: it goes on."""

    def is_gone(self, identity: str) -> bool:
        return identity not in self.living


class Plane:
    """One control plane's scheduler."""

    def __init__(self, name: str, jobs: Sequence[Job], database: Database, clock: ManualClock, world: World) -> None:
        self.name, self.world, self.clock = name, world, clock
        self.begun: list[FakeRun] = []
        world.living.add(name)
        self.lease = Lease(database, clock, name, is_dead=world.is_gone)
        self.scheduler = Scheduler(SchedulerParts(jobs, self, database, self.lease, clock, name, world.is_gone))

    def start(self, words: Sequence[str], grace_s: float) -> FakeRun:
        run = FakeRun(words, f"{self.name}/keeper-{len(self.world.runs)}", self.world.judge(words))
        self.world.living.add(run.identity)
        self.world.runs.append(run)
        self.begun.append(run)
        return run

    def turn(self) -> None:
        """What the loop does; a leader twice, so that what has ended is written down."""
        for _ in range(2 if self.lease.attempt() else 1):
            try:
                self.scheduler.turn()
            except NotTheLeader:
                return

    def kill(self) -> None:
        """As by SIGKILL: nothing is written, and its keepers end what they keep."""
        self.world.living -= {self.name, *(run.identity for run in self.begun)}


def rows(database: Database, job: str | None = None) -> list[Run]:
    """Oldest first."""
    with database.read() as connection:
        return list_runs(connection, job, 10_000)[::-1]


HOUR = timedelta(hours=1)
