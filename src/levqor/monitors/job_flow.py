"""How fast jobs come and how long they take, from the broker alone: differences between looks at its queues and workers."""

import threading
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from levqor.domain.fleet import QueueState, Worker
from levqor.domain.signals import RATE_OVER_S, Signal

RATE_FROM_S = 5.0
"""A rate counted over less than this says nothing."""

RATE_TO_S = 3 * RATE_OVER_S
"""And one over more than this is too old to follow a load."""

SERVICE_OVER_S = 300.0
"""A job's mean length is that of the jobs that ended in so long; where none did, of all that the living workers ended."""

_Identity = tuple[str, float | None]
"""A worker's name and birth: one that begins anew under an old name counts from zero."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Everything counted up to one look (`at`: monotonic seconds)."""

    at: float
    arrived: float
    ended: int
    worked_s: float
    depths: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flow:
    """What the looks so far tell. `marks` begin with the one before the window and end with the last look."""

    now: Mark
    before: Mark | None
    """About `RATE_OVER_S` ago; None: nobody looked then."""
    earlier: Mark
    """About `SERVICE_OVER_S` ago, or as long as anybody has looked."""
    ended: int
    """By the workers that live now, since they began, and the seconds that it took."""
    worked_s: float

    def arrival_rate(self, paused: Collection[str] = ()) -> Signal:
        """Jobs a second. In a paused queue nothing is taken, so that what it grew by is what came."""
        if self.before is None:
            return Signal.unknown("arrivals are the difference between two looks at the broker, and there was no other one lately")
        aside = sum(max(0, self.now.depths.get(name, 0) - self.before.depths.get(name, 0)) for name in paused)
        arrived = max(0.0, self.now.arrived - self.before.arrived - aside)
        return Signal.of(arrived / (self.now.at - self.before.at))

    def mean_service_s(self) -> Signal:
        """The mean length of a job (s)."""
        ended, worked_s = self.now.ended - self.earlier.ended, self.now.worked_s - self.earlier.worked_s
        if ended > 0 and worked_s > 0:
            return Signal.of(worked_s / ended)
        return Signal.of(self.worked_s / self.ended) if self.ended and self.worked_s > 0 else Signal.no_traffic()


class JobFlow:
    """Keeps the marks of the last minutes. Safe to share between threads; a process that begins has none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[_Identity, tuple[float, int, float]] = {}
        self._marks: deque[Mark] = deque()
        self._in_system: int | None = None
        self._owed = 0

    def see(self, now: float, queues: Sequence[QueueState], workers: Sequence[Worker]) -> Flow:
        """One more look, at `now` (monotonic seconds)."""
        serving = _serving(queues, workers)
        with self._lock:
            last = self._marks[-1] if self._marks else None
            ended, worked_s = self._work_since(last, now, serving)
            arrived = self._arrived(queues, serving, ended)
            depths = {queue.name: queue.depth for queue in queues}
            if last is None:
                mark = Mark(now, 0.0, 0, 0.0, depths)
            else:
                mark = Mark(now, last.arrived + arrived, last.ended + ended, last.worked_s + worked_s, depths)
            self._marks.append(mark)
            while len(self._marks) > 1 and self._marks[1].at <= now - SERVICE_OVER_S:
                self._marks.popleft()
            return Flow(
                now=mark,
                before=self._before(now),
                earlier=self._marks[0],
                ended=sum(worker.ended_jobs or 0 for worker in serving),
                worked_s=sum(worker.worked_s or 0.0 for worker in serving),
            )

    def _work_since(self, last: Mark | None, now: float, workers: Sequence[Worker]) -> tuple[int, float]:
        """Jobs ended since the last look, and the seconds that they took. What a worker did that has left meanwhile is not known."""
        ended, worked_s = 0, 0.0
        for worker in workers:
            if worker.ended_jobs is None or worker.worked_s is None:
                continue
            jobs, seconds = self._base(worker, last, now)
            ended += max(0, worker.ended_jobs - jobs)
            worked_s += max(0.0, worker.worked_s - seconds)
            self._known[_identity(worker)] = (now, max(jobs, worker.ended_jobs), max(seconds, worker.worked_s))
        self._known = {name: known for name, known in self._known.items() if now - known[0] <= SERVICE_OVER_S}
        return ended, worked_s

    def _base(self, worker: Worker, last: Mark | None, now: float) -> tuple[int, float]:
        """What of a worker's counts is old. One that is new and did more than the time since allows was only not seen for a while.

        Threads look at once, so a look may come after a younger one: the same worker's lower counts are old, all of them.
        """
        ended, worked_s = worker.ended_jobs or 0, worker.worked_s or 0.0
        if _identity(worker) in self._known:
            _, jobs, seconds = self._known[_identity(worker)]
            return (jobs, seconds) if ended >= jobs or worker.started_at is not None else (0, 0.0)
        is_new = last is not None and worked_s <= now - last.at
        return (0, 0.0) if is_new else (ended, worked_s)

    def _arrived(self, queues: Sequence[QueueState], workers: Sequence[Worker], ended: int) -> float:
        """Jobs that came: by so much the jobs in the system grew, and those that ended.

        Queues and workers are read one after another, so a job that ends between is counted twice, and then once too few:
        as many as there are workers are owed. Fewer than that were taken out of the queue by hand; nobody came for them.
        """
        in_system = sum(queue.depth + queue.running for queue in queues)
        came = 0 if self._in_system is None else in_system - self._in_system + ended - self._owed
        self._in_system = in_system
        self._owed = min(len(workers), max(0, -came))
        return max(0, came)

    def _before(self, now: float) -> Mark | None:
        """The newest mark that is as old as the window, or the oldest that is old enough to count at all."""
        full = [mark for mark in self._marks if now - mark.at >= RATE_OVER_S]
        found = full[-1] if full else next((mark for mark in self._marks if now - mark.at >= RATE_FROM_S), None)
        return found if found is not None and now - found.at <= RATE_TO_S else None


def _identity(worker: Worker) -> _Identity:
    return worker.name, worker.started_at


def _serving(queues: Sequence[QueueState], workers: Sequence[Worker]) -> list[Worker]:
    """The workers that serve one of these queues. One that serves others too makes the rate too high, never too low."""
    names = {queue.name for queue in queues}
    return [worker for worker in workers if worker.serves(names)]
