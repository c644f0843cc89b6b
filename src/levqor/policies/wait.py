"""The `wait` rule (spec A12): the smallest pool whose predicted wait stays within the objective. Pure: memory in, memory out."""

from dataclasses import asdict, dataclass, replace
from math import ceil, exp, inf, sqrt
from typing import Any

from levqor.domain.decisions import Code, Reason
from levqor.domain.signals import RATE_OVER_S

PRIOR_SERVICE_S = 1.0
"""A job's length where none has ended yet. It may ask for workers; it never lets one go."""

SERVICE_JOBS = 100.0
"""A job's mean length is that of about so many jobs: a few of them tell little."""

HOUR_S = 3_600.0
DAY_S = 86_400.0
LONGEST_PAUSE_S = 600.0


@dataclass(frozen=True, slots=True)
class WaitRules:
    """The dials of the `wait` rule; a team sets the first two. docs/decisions/0026 says how the others were found."""

    slo_s: float = 5.0
    """A job should begin within this (s)."""
    start_s: float = 2.0
    """A new worker takes its first job after this (s)."""
    share: float = 0.55
    """A wait predicted above this share of the objective, less half a tick, asks for workers: the rest is for what cannot be foreseen."""
    errors: float = 1.0
    """A smaller pool must carry the load and so many standard errors of its estimate."""
    pause_s: float = 7.0
    """A smaller pool must have been enough for so long (s), and for `pause_starts` start-ups more."""
    pause_starts: float = 0.4
    ready_errors: float = 3.0
    """Instead of `errors` where a start-up takes longer than the objective: a step comes too late, so workers stand ready."""
    ready_starts: float = 6.0
    """Instead of `pause_starts`, likewise."""
    changes_per_hour: float = 40.0
    """The flap budget: from half of it on the pause grows, up to ten minutes."""
    late_share: float = 0.01
    """So many jobs may wait longer than the objective; `late_goal` of them is what the rule aims at."""
    late_goal: float = 0.6
    late_prior: float = 4_000.0
    """Late jobs change the rule's caution once there were about so many jobs within a day."""

    @property
    def needs_headroom(self) -> bool:
        """Is a worker that starts now too late for the jobs that wait now?"""
        return self.start_s > self.slo_s


@dataclass(frozen=True, slots=True)
class Load:
    """What the rule sees at one tick; None: not known."""

    target: int
    min_workers: int
    max_workers: int
    depth: float | None
    """Jobs waiting."""
    busy: float | None
    """Jobs running."""
    workers: int | None
    """Workers that take jobs; None: no agent is heard. Those that start are counted apart."""
    starting: int
    arrival_rate: float | None
    """Jobs a second, over the last `rate_over_s` seconds."""
    mean_service_s: float | None
    oldest_wait_s: float | None
    elapsed_s: float
    """Since the last tick; 0 for the first one of a term."""
    rate_over_s: float = RATE_OVER_S

    @property
    def service_s(self) -> float:
        return self.mean_service_s or PRIOR_SERVICE_S

    @property
    def in_system(self) -> float | None:
        return None if self.depth is None or self.busy is None else self.depth + self.busy

    @property
    def work_rate(self) -> float | None:
        """Seconds of work that arrive each second: so many workers it keeps busy."""
        return None if self.arrival_rate is None else self.arrival_rate * self.service_s

    @property
    def work_rate_error(self) -> float:
        """Its standard error: arrivals are counted, and a count's error is its root."""
        return sqrt((self.arrival_rate or 0.0) / self.rate_over_s) * self.service_s

    @property
    def unknown_names(self) -> list[str]:
        """What must be known before workers may go. Where nothing arrives and nothing runs, a job's length does not matter."""
        names = [name for name in ("depth", "busy", "workers", "arrival_rate") if getattr(self, name) is None]
        is_idle = self.in_system == 0 and self.arrival_rate == 0
        return names + (["mean_service_s"] if self.mean_service_s is None and not is_idle else [])


@dataclass(frozen=True, slots=True)
class WaitMemory:
    """What the rule carries from tick to tick. Persisted: a successor goes on from it and credits no gap."""

    target: int | None = None
    """The target that it saw last; another one begins the pause anew, whoever set it."""
    tick_s: float = 2.0
    """The time between the last two ticks: for half of it, as a mean, nobody looks."""
    low_s: float = 0.0
    """So long a smaller pool has been enough, without a break."""
    low_most: int = 0
    """The largest pool that was needed meanwhile."""
    changes: float = 0.0
    """Changes of the target in about the last hour."""
    begun: float = 0.0
    """Jobs that began in about the last day, and those of them that began late."""
    late: float = 0.0
    arrival_rate: float | None = None
    """As this tick knew it: for a process that asks and has not looked for long enough itself."""
    mean_service_s: float | None = None
    """Of about the last hundred jobs."""

    def after(self, load: Load, rules: WaitRules) -> "WaitMemory":
        """The memory after one more tick."""
        load = replace(load, mean_service_s=self._settled_service_s(load))
        changed = self.target is not None and self.target != load.target
        hour, day = exp(-load.elapsed_s / HOUR_S), exp(-load.elapsed_s / DAY_S)
        begun = (load.busy or 0.0) * load.elapsed_s / load.mean_service_s if load.mean_service_s else 0.0
        late = begun if (load.oldest_wait_s or 0.0) > rules.slo_s else 0.0
        seen = replace(
            self,
            target=load.target,
            tick_s=load.elapsed_s or self.tick_s,
            changes=(self.changes + changed) * hour,
            begun=(self.begun + begun) * day,
            late=(self.late + late) * day,
            arrival_rate=load.arrival_rate,
            mean_service_s=load.mean_service_s or self.mean_service_s,
        )
        needed = smallest_pool(load, seen, rules)
        if needed is None or needed >= load.target:
            return replace(seen, low_s=0.0, low_most=0)
        low_s, most = (0.0, 0) if changed else (self.low_s, self.low_most)
        return replace(seen, low_s=low_s + load.elapsed_s, low_most=max(most, needed))

    def _settled_service_s(self, load: Load) -> float | None:
        """A job's mean length with what is known of earlier ones; None where it is not known now."""
        if load.mean_service_s is None or self.mean_service_s is None:
            return load.mean_service_s
        jobs = (load.arrival_rate or 0.0) * load.elapsed_s
        return self.mean_service_s + (1 - exp(-jobs / SERVICE_JOBS)) * (load.mean_service_s - self.mean_service_s)

    def low_for(self, low_s: float, load: Load, rules: WaitRules) -> "WaitMemory":
        """As if the pool that is needed now had been enough for so long (spec A6: what if)."""
        needed = smallest_pool(load, self, rules)
        return replace(self, target=load.target, low_s=low_s, low_most=load.target if needed is None else needed)

    def caution(self, rules: WaitRules) -> float:
        """Above 1 when more jobs were late than the goal, below when fewer; 1 without experience."""
        usual = rules.late_prior * rules.late_share * rules.late_goal
        used = (self.late + usual) / ((self.begun + rules.late_prior) * rules.late_share)
        return min(3.0, max(1 / 1.5, exp(min(2.0, used - rules.late_goal))))

    def pause_s(self, load: Load, rules: WaitRules) -> float:
        """How long a smaller pool must be enough before workers go: longer after many changes, and never shorter than a job."""
        starts = rules.ready_starts if rules.needs_headroom else rules.pause_starts
        usual = max(rules.pause_s + starts * rules.start_s, load.service_s)
        flaps = 2.0 * max(0.0, self.changes / rules.changes_per_hour - 0.5)
        return min(max(LONGEST_PAUSE_S, usual), usual * exp(min(flaps, 10.0)))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "WaitMemory":
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the rule wants, before any guard has spoken."""

    target: int
    is_pressed: bool
    """It wants more workers, whether or not the maximum allows them."""
    reasons: tuple[Reason, ...]
    next_up: str
    next_down: str


def wait_limit_s(memory: WaitMemory, rules: WaitRules) -> float:
    """The predicted wait above which workers are asked for."""
    within_s = max(0.1 * rules.slo_s, rules.slo_s - memory.tick_s / 2)
    return min(rules.slo_s, rules.share * within_s / memory.caution(rules))


def predicted_wait_s(load: Load, rules: WaitRules, workers: int) -> float | None:
    """How long the last of the queue will wait once a worker that starts now could help, with so many workers from then on.

    Workers that start already count as ready: another step is for what they will not carry. None: nobody knows how many
    wait. Without an arrival rate the queue is taken to stay as it is.
    """
    if load.depth is None:
        return None
    ready = load.target if load.workers is None else load.workers + load.starting
    queue, work_rate = load.depth, load.work_rate
    if work_rate is not None and (queue > 0 or work_rate > ready):
        queue = max(0.0, queue + (work_rate - ready) * rules.start_s / load.service_s)
    if queue <= 0:
        return 0.0
    return inf if workers <= 0 else queue * load.service_s / workers


def smallest_pool(load: Load, memory: WaitMemory, rules: WaitRules) -> int | None:
    """The smallest pool that would be enough as things are: no job waits, and it carries the load with its error. None: unknown."""
    in_system, work_rate = load.in_system, load.work_rate
    if in_system is None or work_rate is None or load.unknown_names:
        return None
    errors = rules.ready_errors * memory.caution(rules) if rules.needs_headroom else rules.errors
    needed = ceil(max(in_system, work_rate + errors * load.work_rate_error) - 1e-9)
    return min(load.max_workers, max(load.min_workers, needed))


def propose(load: Load, memory: WaitMemory, rules: WaitRules) -> Proposal:
    """What the rule wants now, by what it remembers (`memory` has seen this tick)."""
    if load.mean_service_s is not None and memory.mean_service_s is not None:
        load = replace(load, mean_service_s=memory.mean_service_s)
    asked, pressure = _more_workers(load, memory, rules)
    words = {"next_up": _next_up(load, memory, rules), "next_down": _next_down(load, memory, rules)}
    if pressure:
        return Proposal(max(load.target, min(load.max_workers, asked)), True, tuple(pressure), **words)
    target, reason = _fewer_workers(load, memory, rules)
    return Proposal(target, False, (reason,), **words)


def decide_target(load: Load, memory: WaitMemory, rules: WaitRules) -> tuple[int, WaitMemory, tuple[Reason, ...]]:
    """One whole tick without guards: the target, the memory after it, and why."""
    memory = memory.after(load, rules)
    proposal = propose(load, memory, rules)
    return proposal.target, memory, proposal.reasons


def _more_workers(load: Load, memory: WaitMemory, rules: WaitRules) -> tuple[int, list[Reason]]:
    """The pool that is asked for, and why; no reason: none is."""
    limit, wait = wait_limit_s(memory, rules), predicted_wait_s(load, rules, load.target)
    asked, reasons = load.target, []
    if wait is not None and wait > limit:
        work_s = predicted_wait_s(load, rules, 1) or 0.0
        asked = max(load.target + 1, ceil(work_s / limit - 1e-9))
        reasons.append(Reason(Code.WAIT_HIGH, _too_long(load, rules, wait, limit, min(asked, load.max_workers))))
    elif _is_head_late(load, rules):
        asked = load.target + 1
        late = f"the oldest job has waited {load.oldest_wait_s:.1f} s > {rules.slo_s:g} s and every worker is busy"
        reasons.append(Reason(Code.WAIT_HIGH, late))
    ready = _standing_ready(load, memory, rules)
    if ready > asked:
        asked = ready
        slow = f"a worker starts in {rules.start_s:g} s, longer than a job may wait ({rules.slo_s:g} s)"
        reasons.append(Reason(Code.WAIT_HIGH, f"{slow}: {_load_words(load)} needs {ready} standing ready"))
    return asked, reasons


def _is_head_late(load: Load, rules: WaitRules) -> bool:
    """Has a job waited too long although every worker is busy? Where some are idle, more of them would not help it."""
    if not load.depth or load.oldest_wait_s is None or load.oldest_wait_s <= rules.slo_s:
        return False
    return load.busy is None or load.workers is None or load.busy >= load.workers


def _standing_ready(load: Load, memory: WaitMemory, rules: WaitRules) -> int:
    """Workers that must be there before the jobs are, where a step comes too late for those that wait; else 0."""
    if not rules.needs_headroom or load.work_rate is None:
        return 0
    return ceil(load.work_rate + rules.ready_errors * memory.caution(rules) * load.work_rate_error - 1 - 1e-9)


def _fewer_workers(load: Load, memory: WaitMemory, rules: WaitRules) -> tuple[int, Reason]:
    """The target where no more workers are asked for, and why: fewer once that has been enough for a while."""
    target, needed = load.target, smallest_pool(load, memory, rules)
    if needed is None:
        return target, Reason(Code.UNKNOWN, f"{' and '.join(load.unknown_names)} not known: no worker is let go")
    if target <= load.min_workers:
        return target, Reason(Code.AT_MIN, f"{_system_words(load, rules)}; target {target} is the minimum")
    if needed >= target:
        return target, Reason(Code.STEADY, f"{_system_words(load, rules)}; {_load_words(load)}")
    low_s, pause_s = _low_s(load, memory), memory.pause_s(load, rules)
    most = max(needed, memory.low_most)
    if low_s >= pause_s - 1e-9 and most < target:
        return most, Reason(Code.WAIT_LOW, f"{_workers(most)} enough for {low_s:.0f} s, {pause_s:.0f} s is the pause; {_load_words(load)}")
    return target, Reason(Code.PAUSE, f"{_workers(most)} enough for {low_s:.0f} of {pause_s:.0f} s")


def _low_s(load: Load, memory: WaitMemory) -> float:
    """So long a smaller pool has been enough under the target in force."""
    return memory.low_s if memory.target == load.target else 0.0


def _too_long(load: Load, rules: WaitRules, wait: float, limit: float, then: int) -> str:
    text = f"{_jobs(load)}, predicted wait {_seconds(wait)} > {limit:.1f} s at {_workers(load.target)}"
    if then <= load.target:
        return text
    then_wait = predicted_wait_s(load, rules, then) or 0.0
    return f"{text}; {then} {'keep it at' if then_wait <= limit else 'bring it to'} {_seconds(then_wait)}"


def _jobs(load: Load) -> str:
    if load.in_system is not None:
        return f"jobs in the system {load.in_system:.0f}"
    return f"jobs waiting {'unknown' if load.depth is None else f'{load.depth:.0f}'}"


def _system_words(load: Load, rules: WaitRules) -> str:
    wait = predicted_wait_s(load, rules, load.target)
    return f"{_jobs(load)}, predicted wait {'unknown' if wait is None else _seconds(wait)} at {_workers(load.target)}"


def _load_words(load: Load) -> str:
    """`load 1.3 +- 0.3 workers (1.2 jobs/s of 1.1 s)`."""
    if load.work_rate is None:
        return "load unknown"
    figures = f"{load.arrival_rate:.2g} jobs/s of {load.service_s:.2g} s"
    return f"load {load.work_rate:.1f} +- {load.work_rate_error:.1f} workers ({figures})"


def _workers(count: int) -> str:
    return f"{count} worker{'' if count == 1 else 's'}"


def _seconds(wait: float) -> str:
    return "without end" if wait == inf else f"{wait:.1f} s"


def _next_up(load: Load, memory: WaitMemory, rules: WaitRules) -> str:
    if load.target >= load.max_workers:
        return f"up needs a WORKERS_MAX above {load.max_workers}"
    wait = predicted_wait_s(load, rules, load.target)
    return f"up needs a predicted wait above {wait_limit_s(memory, rules):.1f} s, now {'unknown' if wait is None else _seconds(wait)}"


def _next_down(load: Load, memory: WaitMemory, rules: WaitRules) -> str:
    if load.target <= load.min_workers:
        return f"down needs a WORKERS_MIN below {load.min_workers}"
    needed = smallest_pool(load, memory, rules)
    if needed is None:
        return f"down needs {' and '.join(load.unknown_names)}"
    if needed >= load.target:
        return f"down needs a load of at most {_workers(load.target - 1)}, now {needed}"
    left = max(0.0, memory.pause_s(load, rules) - _low_s(load, memory))
    return f"down needs {left:.0f} s more in which {_workers(max(needed, memory.low_most))} would be enough"
