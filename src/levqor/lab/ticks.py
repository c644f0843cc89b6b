"""What a scaling policy sees at each tick, and what a policy is."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Tick:
    """One reading of the pool. Times and waits in s, counts of workers and jobs; None: not known (nothing to measure yet)."""

    t: float
    """Since the start of the run (s)."""
    dt: float
    """Since the last tick (s)."""
    workers: int
    """Ready to take jobs; those that start or drain are counted apart."""
    starting: int
    """Paid, not ready yet."""
    draining: int
    """Removed while busy: they end their job, take no other, and are paid until then."""
    target: int
    """The last answer, within the limits."""
    min_workers: int
    max_workers: int
    depth: int | None
    """Jobs waiting."""
    busy: int | None
    """Ready workers with a job now; the jobs of draining workers are not counted."""
    oldest_wait_s: float | None
    """Age of the job at the head of the queue; 0 where none waits."""
    arrivals: int | None
    """Jobs that came since the last tick."""
    started: int | None
    """Jobs that began since the last tick."""
    p95_wait_s: float | None
    """P95 of the waits of the jobs that began in the last 60 s; None: none began."""
    mean_service_s: float | None
    """Mean length of the jobs that ended in the last 60 s, or of all before that; None: none has ended."""
    utilisation: float | None
    """Busy workers / ready workers, now; None: no worker is ready."""
    slo_s: float
    startup_s: float


class Policy(Protocol):
    """A policy in one run: what it remembers is inside, so each run gets an object of its own."""

    def decide(self, tick: Tick) -> int:
        """The target from now on; the simulator keeps it within min_workers and max_workers."""
        ...


def within_limits(target: int, tick: Tick) -> int:
    """A policy's answer as it is carried out."""
    return min(tick.max_workers, max(tick.min_workers, target))
