"""When will the queue be clear? A promise that a step up makes, and how it is scored (pure).

Clear is a queue in which no job waits (paused queues apart). The estimate is a fluid one: jobs arrive at one rate, workers
take them at another, and those that a step adds take none until they have started.
"""

from dataclasses import dataclass
from enum import StrEnum

from levqor.policies.quiet import credited_s

BUSIEST = 0.9
"""Workers that would be busier than this share of the time clear a queue at a moment that nobody can name."""

LATE = 1.5
LEAST_SLACK_S = 10.0
"""A promise is missed when it took half as long again as it said, and at least ten seconds longer: ticks and starts are coarse."""

LONGEST_S = 86_400.0
"""Nothing is promised for later than tomorrow."""


class PromiseState(StrEnum):
    """What became of a promise; void: nobody could tell, or somebody else changed what it rested on."""

    OPEN = "open"
    KEPT = "kept"
    MISSED = "missed"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a promise is made from. None is unknown; nothing is put in its place."""

    depth: float | None
    workers: int
    """That take jobs now."""
    target: int
    """Workers once the step has been made."""
    start_s: float
    """Until a new worker takes its first job."""
    arrival_rate: float | None = None
    """Jobs a second."""
    mean_service_s: float | None = None
    """A job's time on a worker."""
    slope: float | None = None
    """How the depth has moved of late (jobs a second; below zero: it shrinks)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """When the queue will be clear (s), or None; either way in words."""

    clear_in_s: float | None
    text: str


def estimate(backlog: Backlog) -> Estimate:
    """The promise of a step to `backlog.target`, or why there is none."""
    if backlog.depth is None:
        return Estimate(None, "no promise: how many jobs wait is unknown")
    if backlog.depth <= 0:
        return Estimate(None, "no promise: no job waits, the queue is clear")
    if backlog.arrival_rate is not None and backlog.mean_service_s is not None and backlog.mean_service_s > 0:
        return _from_rates(backlog, backlog.depth, backlog.arrival_rate, 1 / backlog.mean_service_s)
    return _from_slope(backlog.depth, backlog.slope)


def _from_rates(backlog: Backlog, depth: float, arriving: float, each: float) -> Estimate:
    """`each`: jobs a second that one worker does."""
    workers = "1 worker does" if backlog.target == 1 else f"{backlog.target} workers do"
    figures = f"{depth:.0f} wait, {arriving:.2g} a second arrive, {workers} {backlog.target * each:.2g}"
    if arriving > BUSIEST * backlog.target * each:
        return Estimate(None, f"no promise: {figures}, too few to say when it will be clear")
    now, then = backlog.workers * each - arriving, backlog.target * each - arriving
    left = max(0.0, depth - now * backlog.start_s)
    clear_in_s = backlog.start_s + left / then if left > 0 else depth / now
    return _promised(clear_in_s, figures)


def _from_slope(depth: float, slope: float | None) -> Estimate:
    """Without the jobs' times nobody knows what a worker more brings: only a queue that shrinks already makes a promise."""
    if slope is None or slope >= 0:
        moves = "the queue does not shrink by itself" if slope is not None else "how the queue moves is not known yet"
        return Estimate(None, f"no promise: how fast jobs arrive and end is unknown, and {moves}")
    return _promised(depth / -slope, f"{depth:.0f} wait, and they shrink by {-slope:.2g} a second without the new worker")


def _promised(clear_in_s: float, figures: str) -> Estimate:
    if clear_in_s > LONGEST_S:
        return Estimate(None, f"no promise: {figures}, which takes more than a day")
    rounded = max(1.0, round(clear_in_s, 1))
    return Estimate(rounded, f"clear in about {_span(rounded)}: {figures}")


def _span(seconds: float) -> str:
    """`40 s`, `6 min`, `2.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.1f} h"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a tick sees that matters to the promises that are open."""

    depth: float | None
    is_first: bool = False
    """The first tick of a leader: nobody knows what happened before it."""
    is_changed: bool = False
    """Somebody else paused or resumed a queue, or set the target; the autopilot's own steps excuse nothing."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise and how long it has been waited for. Persisted as time accrued: a gap credits nothing."""

    clear_in_s: float
    waited_s: float = 0.0
    state: PromiseState = PromiseState.OPEN

    @property
    def deadline_s(self) -> float:
        """It is missed once it has been waited for this long."""
        return max(LATE * self.clear_in_s, self.clear_in_s + LEAST_SLACK_S)

    def after(self, seen: Seen, *, elapsed_s: float, tick_s: float) -> "Promise":
        """The promise after one more tick."""
        if self.state is not PromiseState.OPEN:
            return self
        if seen.depth is None or seen.is_first or seen.is_changed:
            return Promise(self.clear_in_s, self.waited_s, PromiseState.VOID)
        waited_s = self.waited_s + credited_s(elapsed_s, tick_s)
        in_time = PromiseState.KEPT if seen.depth == 0 else PromiseState.OPEN
        state = PromiseState.MISSED if waited_s > self.deadline_s else in_time
        return Promise(self.clear_in_s, waited_s, state)


def slope_of(samples: list[tuple[float, float]], least_s: float = 10.0) -> float | None:
    """How the depth moves (jobs a second), a line through (seconds, depth); None where they span less than `least_s`."""
    if len(samples) < 3 or samples[-1][0] - samples[0][0] < least_s:
        return None
    middle = sum(at for at, _ in samples) / len(samples)
    spread = sum((at - middle) ** 2 for at, _ in samples)
    return sum((at - middle) * depth for at, depth in samples) / spread
