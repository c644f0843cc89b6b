"""A scaling policy, one tick a line: `{"target": n}` for each."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from levqor.domain.errors import UsageError
from levqor.lab.lines import answer_lines, number, whole
from levqor.lab.ticks import Policy, Tick, within_limits

MAX_LINE = 10_000
MOST_WORKERS = 1_000_000
MOST_JOBS = 10**12
MOST_SECONDS = 1e9
LEAST_SLO_S = 0.001


def target_lines(lines: Iterable[str], make: Callable[[], Policy]) -> Iterator[str]:
    """For each line with a tick, a line with the target."""
    return answer_lines(lines, PolicyRun(make).answer, MAX_LINE)


class PolicyRun:
    """One policy that remembers from line to line; a `t` that goes back begins a new run with a new memory."""

    def __init__(self, make: Callable[[], Policy]) -> None:
        self._make = make
        self._policy: Policy | None = None
        self._last_t = 0.0

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The target for a tick, within its limits. Raises UsageError for a bad one, which then leaves the memory as it was."""
        tick = tick_of(asked)
        if self._policy is None or tick.t < self._last_t:
            self._policy = self._make()
        elif tick.t == self._last_t:
            raise UsageError("t: expected a later moment than on the line before, or an earlier one to begin a new run")
        self._last_t = tick.t
        return {"target": within_limits(self._policy.decide(tick), tick)}


def tick_of(asked: dict[str, Any]) -> Tick:
    """A tick from a JSON object: every field must be there, null says that a signal is unknown. Raises UsageError that names the field."""
    for name in Tick.__slots__:
        if name not in asked:
            raise UsageError(f"{name}: expected this field (null where a signal is unknown)")
    tick = Tick(
        t=number(asked, "t", MOST_SECONDS),
        dt=number(asked, "dt", MOST_SECONDS),
        workers=whole(asked, "workers", 0, MOST_WORKERS),
        starting=whole(asked, "starting", 0, MOST_WORKERS),
        draining=whole(asked, "draining", 0, MOST_WORKERS),
        target=whole(asked, "target", 0, MOST_WORKERS),
        min_workers=whole(asked, "min_workers", 0, MOST_WORKERS),
        max_workers=whole(asked, "max_workers", 1, MOST_WORKERS),
        depth=_jobs(asked, "depth"),
        busy=_jobs(asked, "busy"),
        oldest_wait_s=_signal(asked, "oldest_wait_s"),
        arrivals=_jobs(asked, "arrivals"),
        started=_jobs(asked, "started"),
        p95_wait_s=_signal(asked, "p95_wait_s"),
        mean_service_s=_signal(asked, "mean_service_s"),
        utilisation=_signal(asked, "utilisation"),
        slo_s=_slo(asked),
        startup_s=number(asked, "startup_s", MOST_SECONDS),
    )
    if tick.min_workers > tick.max_workers:
        raise UsageError("min_workers: expected at most max_workers")
    return tick


def _jobs(asked: dict[str, Any], name: str) -> int | None:
    return None if asked[name] is None else whole(asked, name, 0, MOST_JOBS)


def _signal(asked: dict[str, Any], name: str) -> float | None:
    return None if asked[name] is None else number(asked, name, MOST_SECONDS)


def _slo(asked: dict[str, Any]) -> float:
    value = number(asked, "slo_s", MOST_SECONDS)
    if value < LEAST_SLO_S:
        raise UsageError(f"slo_s: expected at least {LEAST_SLO_S:g}")
    return value
