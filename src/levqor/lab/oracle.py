"""The oracle: a cheap feasible schedule by one who knows every job in advance.

Backwards in time it finds for each job the latest moment to begin at which this job and all later ones can still make
the SLO with the largest fleet. Forwards, the minimal fleet takes what it can; a worker is added so that it is ready at
the latest moment of a job that would otherwise be late, and goes when its job is done and it is needed no more before a
new one, started at that moment, would be ready. The allowed misses are spent where one miss saves the most starts.
Each schedule is played in the same pool as any policy, and the cheapest with at most 1 % missed is the oracle. It is an
upper bound of the optimum, not the optimum.
"""

import math
from heapq import heappop, heappush, heapreplace

from levqor.lab.pool import Pool
from levqor.lab.simulator import Case, Run, play_length_s
from levqor.lab.workload import Workload

Spell = tuple[float, float]
"""One worker beyond the minimum: from its start to its removal (s)."""
FORGIVEN = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Misses allowed for each start that is saved; the largest that keeps to 1 % in all is searched for."""


def oracle(workload: Workload, case: Case) -> Run:
    """The cheapest feasible schedule found. The largest fleet from the first second is one of those tried."""
    latest = latest_begins(workload, case)
    best = play_spells(workload, [(0.0, math.inf)] * (case.max_workers - case.min_workers), case)
    passed, failed = -1, len(FORGIVEN)
    while failed - passed > 1:
        rung = (passed + failed) // 2
        run = play_spells(workload, LateFleet(workload, case, latest, FORGIVEN[rung]).spells(), case)
        if not run.is_passed:
            failed = rung
            continue
        passed = rung
        if run.paid_s < best.paid_s or not best.is_passed:
            best = run
    return best


def play_spells(workload: Workload, spells: list[Spell], case: Case) -> Run:
    """Play a schedule in the same pool as any policy; of busy workers the next to end is removed."""
    pool = Pool(workload, case.min_workers, case.startup_s, case.slo_s, seed=None)
    length_s = play_length_s(workload, case)
    steps = sorted([(start, 1) for start, _ in spells] + [(end, -1) for _, end in spells])
    target, actions = case.min_workers, 0
    for at, step in steps:
        if at >= length_s:
            break
        pool.advance(at)
        target, actions = target + step, actions + 1
        pool.resize(target)
    pool.advance(length_s)
    beyond_s = sum(end - length_s for end in pool.draining)
    return Run(workload.jobs, pool.begun, pool.missed + workload.jobs - pool.begun, pool.paid_s - beyond_s, actions, length_s)


def latest_begins(workload: Workload, case: Case) -> list[float]:
    """For each job the latest moment to begin; its arrival, where even the largest fleet cannot make all later ones."""
    taken = [-math.inf] * case.max_workers
    latest = [0.0] * workload.jobs
    after = math.inf
    for job in range(workload.jobs - 1, -1, -1):
        arrival = workload.arrivals[job]
        moment = min(arrival + case.slo_s, after, -taken[0] - workload.services[job])
        after = latest[job] = max(moment, arrival)
        heapreplace(taken, -after)
    return latest


class LateFleet:
    """Workers beyond the minimum that come at the last moment; none is started where that costs `forgiven` misses at most."""

    def __init__(self, workload: Workload, case: Case, latest: list[float], forgiven: int) -> None:
        self._workload = workload
        self._case = case
        self._latest = latest
        self._forgiven = forgiven
        self._kept = [0.0] * case.min_workers
        self._extra: list[tuple[float, int]] = []
        """(free at, spell) of the added workers that have a job."""
        self._idle: list[tuple[float, int]] = []
        """(free since, spell), the last to become free at the end: kept only if it is needed again soon."""
        self._begins: list[float] = []
        self._ends: list[float] = []
        self._last_begin = 0.0

    def spells(self) -> list[Spell]:
        """The whole schedule."""
        kept, arrivals, services, latest = self._kept, self._workload.arrivals, self._workload.services, self._latest
        job, jobs = 0, self._workload.jobs
        while job < jobs:
            arrival, free = arrivals[job], kept[0]
            start = arrival if arrival > free else free
            if start <= latest[job]:
                heapreplace(kept, start + services[job])
                self._last_begin = start
                job += 1
            else:
                job = self._late(job)
        return list(zip(self._begins, self._ends, strict=True))

    def _late(self, job: int) -> int:
        """A job that the kept workers would begin too late; the next job to look at."""
        moment = max(self._latest[job], self._last_begin)
        while self._extra and self._extra[0][0] <= moment:
            self._idle.append(heappop(self._extra))
        if self._idle and moment - self._idle[-1][0] <= self._case.startup_s:
            _, spell = self._idle.pop()
            return self._begin_on(spell, job, moment)
        self._idle.clear()
        is_full = len(self._extra) >= self._case.max_workers - self._case.min_workers
        recovered = self._recovered(job, math.inf if is_full else self._forgiven)
        if recovered is not None:
            return recovered
        self._begins.append(max(0.0, moment - self._case.startup_s))
        self._ends.append(moment)
        return self._begin_on(len(self._begins) - 1, job, moment)

    def _begin_on(self, spell: int, job: int, moment: float) -> int:
        end = moment + self._workload.services[job]
        heappush(self._extra, (end, spell))
        self._ends[spell] = end
        self._last_begin = moment
        return job + 1

    def _recovered(self, job: int, forgiven: float) -> int | None:
        """Go on with the workers that are there until a job begins in time again; None: more than `forgiven` would be missed."""
        if not forgiven:
            return None
        kept, extra, ends, missed, last = self._kept[:], self._extra[:], {}, 0, self._last_begin
        arrivals, services, latest, slo_s = self._workload.arrivals, self._workload.services, self._latest, self._case.slo_s
        while job < len(services):
            is_extra = bool(extra) and extra[0][0] < kept[0]
            start = max(arrivals[job], last, extra[0][0] if is_extra else kept[0])
            if start <= latest[job]:
                break
            missed += start > arrivals[job] + slo_s
            if missed > forgiven:
                return None
            end = start + services[job]
            if is_extra:
                spell = extra[0][1]
                heapreplace(extra, (end, spell))
                ends[spell] = end
            else:
                heapreplace(kept, end)
            last, job = start, job + 1
            if forgiven == math.inf:
                break
        self._kept[:], self._extra, self._last_begin = kept, extra, last
        for spell, end in ends.items():
            self._ends[spell] = end
        return job
