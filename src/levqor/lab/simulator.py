"""The policy simulator: a policy over a workload, in simulated time.

from levqor.lab.simulator import Case, play
from levqor.lab.traces import find_trace
from levqor.lab.workload import make_workload
from levqor.lab.score import Contest

case = Case(max_workers=4, startup_s=2.0, slo_s=5.0, tick_s=5.0)
workload = make_workload(find_trace("elb_requests"), case.max_workers, seed=1)      # hours=6 plays the first 6 h
run = play(workload, MyPolicy(), case)                                              # run.miss, run.paid_s, run.actions_per_hour
contest = Contest(workload, case)                                                   # the oracle is found once, then reused
score = contest.score(MyPolicy())                                                   # score.ratio, score.miss, score.is_passed, score.score
"""

from bisect import bisect_left
from dataclasses import dataclass

from levqor.lab.pool import Pool
from levqor.lab.ticks import Policy, Tick, within_limits
from levqor.lab.workload import Workload

PASS_MISS = 0.01
"""A run passes with at most this share of its jobs missed."""


@dataclass(frozen=True, slots=True)
class Case:
    """The pool that a policy is scored on."""

    max_workers: int = 4
    startup_s: float = 2.0
    """A new worker takes its first job after this, and is paid for it (s)."""
    slo_s: float = 5.0
    """A job that waits longer is missed (s)."""
    tick_s: float = 5.0
    """The policy is asked this often (s)."""
    min_workers: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a policy on a workload."""

    jobs: int
    begun: int
    missed: int
    """Jobs that waited longer than the SLO; those that never began among them."""
    paid_s: float
    """Worker-seconds."""
    actions: int
    """Ticks that changed the target."""
    length_s: float

    @property
    def miss(self) -> float:
        return self.missed / self.jobs if self.jobs else 0.0

    @property
    def is_passed(self) -> bool:
        return self.miss <= PASS_MISS

    @property
    def actions_per_hour(self) -> float:
        return self.actions * 3600.0 / self.length_s


def play_length_s(workload: Workload, case: Case) -> float:
    """The trace and the SLO after it: then it is known of each job whether it was missed. All bills end here."""
    return workload.length_s + case.slo_s


def play(workload: Workload, policy: Policy, case: Case, pool: Pool | None = None) -> Run:
    """Play the whole workload; it begins with `min_workers` ready, and the policy is asked from the end of the first tick on.

    `pool`: a fresh one to begin with, for a caller who looks at its waits afterwards.
    """
    pool = pool or Pool(workload, case.min_workers, case.startup_s, case.slo_s)
    length_s = play_length_s(workload, case)
    target, actions, number, arrived, begun = pool.size, 0, 1, 0, 0
    while (now := number * case.tick_s) < length_s:
        pool.advance(now)
        arrived_before, arrived = arrived, bisect_left(workload.arrivals, now, lo=arrived)
        tick = _tick(pool, case, target, arrived, arrived - arrived_before, pool.begun - begun)
        begun = pool.begun
        wanted = within_limits(policy.decide(tick), tick)
        if wanted != target:
            target, actions = wanted, actions + 1
            pool.resize(target)
        number += 1
    pool.advance(length_s)
    beyond_s = sum(end - length_s for end in pool.draining)
    missed = pool.missed + workload.jobs - pool.begun
    return Run(workload.jobs, pool.begun, missed, pool.paid_s - beyond_s, actions, length_s)


def _tick(pool: Pool, case: Case, target: int, arrived: int, arrivals: int, started: int) -> Tick:
    depth, ready, busy = arrived - pool.begun, pool.ready, pool.busy
    return Tick(
        t=pool.now,
        dt=case.tick_s,
        workers=ready,
        starting=len(pool.starting),
        draining=len(pool.draining),
        target=target,
        min_workers=case.min_workers,
        max_workers=case.max_workers,
        depth=depth,
        busy=busy,
        oldest_wait_s=pool.now - pool.workload.arrivals[pool.begun] if depth else 0.0,
        arrivals=arrivals,
        started=started,
        p95_wait_s=pool.p95_wait_s(),
        mean_service_s=pool.mean_service_s(),
        utilisation=busy / ready if ready else None,
        slo_s=case.slo_s,
        startup_s=case.startup_s,
    )
