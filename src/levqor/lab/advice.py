"""The advice report: the work of the last days played again under each rule, beside what really was (spec A12)."""

import math
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from levqor.domain.advice import FULL, RECORDED, Advice, LateSpan, Proposed, Side
from levqor.domain.errors import ConditionNotMet
from levqor.lab.baselines.fixed import FullFleet
from levqor.lab.pool import Pool
from levqor.lab.simulator import Case, play
from levqor.lab.ticks import Policy, Tick
from levqor.lab.workload import SERVICE_SIGMA, Workload, given_workload
from levqor.store.work import Work

LEAST_S = 600.0
"""Less than this says nothing."""

MOST_JOBS = 500_000
"""More are not played: the newest minutes that hold so many are taken."""

SAME_SPAN_S = 300.0
"""Late jobs that came within so long of each other are one span."""

SHOWN_SPANS = 5

Minutes = Sequence[tuple[datetime, Work]]


@dataclass(frozen=True, slots=True)
class Played:
    """The known minutes one after another: gaps are left out, for each side alike."""

    workload: Workload
    minutes: Minutes
    starts_s: tuple[float, ...]

    def minute_at(self, played_s: float) -> int:
        return max(0, bisect_right(self.starts_s, played_s) - 1)

    def moment(self, played_s: float) -> datetime:
        """When that really was."""
        number = self.minute_at(played_s)
        return self.minutes[number][0] + timedelta(seconds=min(played_s - self.starts_s[number], 60.0))


class Recorded:
    """The workers that really ran, minute by minute."""

    def __init__(self, played: Played) -> None:
        self._played = played

    def decide(self, tick: Tick) -> int:
        _start, work = self._played.minutes[self._played.minute_at(tick.t)]
        return round(work.worker_s / work.covered_s)


def advise(
    minutes: Minutes,
    case: Case,
    rules: dict[str, Callable[[], Policy]],
    rule: str,
    proposed: tuple[Sequence[Proposed], int],
    hourly_cost: float | None,
    seed: int = 1,
) -> Advice:
    """Play the minutes under each of `rules`. `proposed`: the last steps that were not put in force, and how many there were.

    Raises ConditionNotMet where too little is known.
    """
    played = _played(minutes, seed)
    known = played.minutes
    most = max(case.max_workers, max(round(work.worker_s / work.covered_s) for _start, work in known))
    wide = Case(most, case.startup_s, case.slo_s, case.tick_s, min_workers=0)
    sides = [_side(RECORDED, played, Recorded(played), wide)[0]]
    spans: tuple[LateSpan, ...] = ()
    for name, make in rules.items():
        side, late = _side(name, played, make(), case)
        sides.append(side)
        if name == rule:
            spans = late
    sides.append(_side(FULL, played, FullFleet(), case)[0])
    return Advice(
        since=known[0][0],
        until=known[-1][0] + timedelta(minutes=1),
        covered_s=played.workload.length_s,
        jobs=played.workload.jobs,
        mean_service_s=played.workload.work_s / max(1, played.workload.jobs),
        objective_s=case.slo_s,
        rule=rule,
        measured=_measured(known, case.slo_s),
        sides=tuple(sides),
        late_spans=spans,
        proposed=tuple(proposed[0]),
        proposed_count=proposed[1],
        hourly_cost=hourly_cost,
    )


def _played(minutes: Minutes, seed: int) -> Played:
    """The jobs of those minutes: as many as came, at random within the minute, log-normal around the mean length that was seen."""
    minutes = _newest([(start, work) for start, work in minutes if work.covered_s > 0])
    if sum(work.covered_s for _start, work in minutes) < LEAST_S:
        raise ConditionNotMet(
            "there is nothing to report on yet: it takes ten minutes in which arrivals and workers are known (`levqor status` shows both)"
        )
    lengths = _service_lengths(minutes)
    dice = random.Random(seed)  # noqa: S311 (a repeatable play, no secret)
    jobs: list[tuple[float, float]] = []
    starts: list[float] = []
    now_s, owed = 0.0, 0.0
    for (_start, work), mean_s in zip(minutes, lengths, strict=True):
        owed += work.arrivals
        count = int(owed)
        owed -= count
        starts.append(now_s)
        at = sorted(now_s + dice.random() * work.covered_s for _ in range(count))
        jobs += [(one, dice.lognormvariate(math.log(mean_s) - SERVICE_SIGMA**2 / 2, SERVICE_SIGMA)) for one in at]
        now_s += work.covered_s
    return Played(given_workload("report", jobs, now_s), minutes, tuple(starts))


def _newest(minutes: list[tuple[datetime, Work]]) -> list[tuple[datetime, Work]]:
    kept: list[tuple[datetime, Work]] = []
    jobs = 0.0
    for start, work in reversed(minutes):
        jobs += work.arrivals
        if kept and jobs > MOST_JOBS:
            break
        kept.append((start, work))
    return kept[::-1]


def _service_lengths(minutes: Minutes) -> list[float]:
    """A job's mean length in each minute; where none was seen, the last one before it, or else the first one after."""
    first = next((work.mean_service_s for _start, work in minutes if work.mean_service_s), None)
    if first is None:
        raise ConditionNotMet("there is nothing to report on yet: no job's length is known (`levqor status` shows mean_service_s)")
    lengths: list[float] = []
    for _start, work in minutes:
        lengths.append(work.mean_service_s or (lengths[-1] if lengths else first))
    return lengths


def _side(name: str, played: Played, policy: Policy, case: Case) -> tuple[Side, tuple[LateSpan, ...]]:
    """One policy's figures, and when its jobs were late."""
    first = round(played.minutes[0][1].worker_s / played.minutes[0][1].covered_s)
    begun_with = min(case.max_workers, max(case.min_workers, first))
    pool = Pool(played.workload, begun_with, case.startup_s, case.slo_s)
    counted = _Counting(policy, begun_with, case)
    run = play(played.workload, counted, case, pool)
    waited = pool.waits()
    late = [(at, wait) for at, wait in waited if wait > case.slo_s]
    side = Side(
        name=name,
        worker_h=run.paid_s / 3_600.0,
        p95_wait_s=_p95([wait for _at, wait in waited], run.begun),
        worst_wait_s=max((wait for _at, wait in waited), default=0.0),
        late=run.miss,
        steps_up=counted.ups,
        steps_down=counted.downs,
    )
    return side, _spans(late, played)


class _Counting:
    """Another policy, with its steps counted."""

    def __init__(self, policy: Policy, target: int, case: Case) -> None:
        self._policy, self._target, self._case = policy, target, case
        self.ups = self.downs = 0

    def decide(self, tick: Tick) -> int:
        wanted = min(self._case.max_workers, max(self._case.min_workers, self._policy.decide(tick)))
        self.ups += wanted > self._target
        self.downs += wanted < self._target
        self._target = wanted
        return wanted


def _p95(waits: list[float], jobs: int) -> float | None:
    """Of all jobs; those that are not in `waits` did not wait."""
    if not jobs:
        return None
    place = math.ceil(0.95 * jobs) - 1 - (jobs - len(waits))
    return 0.0 if place < 0 else sorted(waits)[place]


def _spans(late: list[tuple[float, float]], played: Played) -> tuple[LateSpan, ...]:
    """The spans with the most late jobs, in the order of time."""
    groups: list[list[tuple[float, float]]] = []
    for at, wait in late:
        if not groups or at - groups[-1][-1][0] > SAME_SPAN_S:
            groups.append([])
        groups[-1].append((at, wait))
    worst = sorted(groups, key=len, reverse=True)[:SHOWN_SPANS]
    return tuple(_span(group, played) for group in sorted(worst))


def _span(group: list[tuple[float, float]], played: Played) -> LateSpan:
    first, last = played.minute_at(group[0][0]), played.minute_at(group[-1][0])
    really = [work for _start, work in played.minutes[first : last + 1]]
    return LateSpan(
        start=played.moment(group[0][0]),
        end=played.moment(group[-1][0]),
        late=len(group),
        worst_wait_s=max(wait for _at, wait in group),
        was_worst_wait_s=max((work.oldest_wait_s for work in really if work.oldest_wait_s is not None), default=None),
        was_workers=sum(work.worker_s for work in really) / sum(work.covered_s for work in really),
    )


def _measured(minutes: Minutes, slo_s: float) -> Side:
    """From what was seen at the queue's head: an upper bound for each job of its minute."""
    seen = sorted((work.oldest_wait_s, work.arrivals) for _start, work in minutes if work.oldest_wait_s is not None)
    jobs, passed, p95 = sum(arrivals for _wait, arrivals in seen), 0.0, None
    for wait, arrivals in seen:
        passed += arrivals
        if jobs and passed >= 0.95 * jobs:
            p95 = wait
            break
    return Side(
        name="measured",
        worker_h=sum(work.worker_s for _start, work in minutes) / 3_600.0,
        p95_wait_s=p95,
        worst_wait_s=seen[-1][0] if seen else None,
        late=sum(arrivals for wait, arrivals in seen if wait > slo_s) / jobs if jobs else None,
    )
