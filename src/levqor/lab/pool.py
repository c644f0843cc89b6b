"""A simulated pool of one-slot workers over one FIFO queue, and its bill."""

import math
import random
from bisect import bisect_left
from collections import deque
from heapq import heapify, heappush, heapreplace

from levqor.lab.workload import Workload

WINDOW_S = 60.0


class Pool:
    """Workers are known by the moment at which they are free; the queue is the jobs from `begun` on.

    A worker is paid from its start, ready `startup_s` later. Removed are first those that still start (the newest
    first), then idle ones, then busy ones drawn by lot: these end their job and are paid until then. Without a seed the
    next to end is taken instead of a lot: only an oracle knows which that is.
    """

    def __init__(self, workload: Workload, workers: int, startup_s: float, slo_s: float, seed: int | None = 1) -> None:
        self.workload = workload
        self.startup_s = startup_s
        self.slo_s = slo_s
        self.now = 0.0
        self.begun = 0
        self.missed = 0
        self.paid_s = 0.0
        self.ends: list[float] = []
        self.starting: list[float] = []
        self.draining: list[float] = []
        self._free = [0.0] * workers
        self._dice = None if seed is None else random.Random(seed)  # noqa: S311 (a repeatable lot, no secret)
        self._waited: list[int] = []
        self._waits: list[float] = []
        self._under_way: list[int] = []
        self._ended_jobs = 0
        self._ended_s = 0.0
        self._begun_s = 0.0
        self._marks: deque[tuple[float, int, int, float]] = deque([(0.0, 0, 0, 0.0)])

    @property
    def size(self) -> int:
        """Workers that start or work, without those that drain."""
        return len(self._free)

    @property
    def ready(self) -> int:
        return len(self._free) - len(self.starting)

    @property
    def busy(self) -> int:
        """Ready workers with a job."""
        return len(self._under_way) - len(self.draining)

    def advance(self, until: float) -> None:
        """Play the jobs that begin before `until`."""
        first = self.begun
        if self._free:
            self._begin_jobs(until)
        self.paid_s += len(self._free) * (until - self.now)
        self.now = until
        self.starting = [ready for ready in self.starting if ready > until]
        self.draining = [end for end in self.draining if end > until]
        self._count_ended(first)

    def _begin_jobs(self, until: float) -> None:
        free_at, arrivals, services, number = self._free, self.workload.arrivals, self.workload.services, self.begun
        slo_s, add_end = self.slo_s, self.ends.append
        while True:
            start = arrivals[number]
            free = free_at[0]
            if free > start:
                if free >= until:
                    break
                wait = free - start
                self._waited.append(number)
                self._waits.append(wait)
                if wait > slo_s:
                    self.missed += 1
                start = free
            elif start >= until:
                break
            end = start + services[number]
            heapreplace(free_at, end)
            add_end(end)
            number += 1
        self.begun = number

    def _count_ended(self, first: int) -> None:
        now, ends, services = self.now, self.ends, self.workload.services
        self._begun_s += sum(services[first : self.begun])
        self._under_way = [job for job in self._under_way if ends[job] > now]
        self._under_way += [job for job in range(first, self.begun) if ends[job] > now]
        self._ended_jobs = self.begun - len(self._under_way)
        self._ended_s = self._begun_s - sum([services[job] for job in self._under_way])
        self._marks.append((now, self.begun, self._ended_jobs, self._ended_s))
        while len(self._marks) > 1 and self._marks[1][0] <= now - WINDOW_S:
            self._marks.popleft()

    def p95_wait_s(self) -> float | None:
        """P95 of the waits of the jobs that began in the last 60 s."""
        first = self._marks[0][1]
        jobs = self.begun - first
        if not jobs:
            return None
        rank = math.ceil(0.95 * jobs) - 1
        waits = self._waits[bisect_left(self._waited, first) :]
        at_once = jobs - len(waits)
        return 0.0 if rank < at_once else sorted(waits)[rank - at_once]

    def waits(self) -> list[tuple[float, float]]:
        """Arrival and wait (s) of each job that has begun and did not begin at once."""
        return [(self.workload.arrivals[number], wait) for number, wait in zip(self._waited, self._waits, strict=True)]

    def mean_service_s(self) -> float | None:
        """Mean length of the jobs that ended in the last 60 s; of all, where none did."""
        _, _, jobs, seconds = self._marks[0]
        if self._ended_jobs > jobs:
            return (self._ended_s - seconds) / (self._ended_jobs - jobs)
        return self._ended_s / self._ended_jobs if self._ended_jobs else None

    def resize(self, target: int) -> None:
        """Start or remove workers now, until `target` are there."""
        for _ in range(target - len(self._free)):
            ready = self.now + self.startup_s
            heappush(self._free, ready)
            if self.startup_s > 0:
                self.starting.append(ready)
        surplus = len(self._free) - target
        if surplus > 0:
            for _ in range(surplus):
                self._remove()
            heapify(self._free)

    def _remove(self) -> None:
        if self.starting:
            self._free.remove(self.starting.pop())
            return
        idle = [free for free in self._free if free <= self.now]
        if idle:
            self._free.remove(idle[0])
            return
        place = self._free.index(min(self._free)) if self._dice is None else self._dice.randrange(len(self._free))
        end = self._free.pop(place)
        self.draining.append(end)
        self.paid_s += end - self.now
