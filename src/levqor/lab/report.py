"""The figures of a replay."""

import math
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from levqor.lab.recording import JobEnd, Recording, Sample
from levqor.lab.replay import NEVER_FAIL

GAP_S = 5.0
"""Samples further apart than this leave a gap: nobody knows what was between."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long jobs waited for a worker, in seconds."""

    p50_s: float | None
    p95_s: float | None
    worst_s: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a replay. None is unknown, never zero."""

    trace: str
    length_s: float
    requests: int
    accepted: int
    refused: dict[str, int]
    unanswered: int
    succeeded: int
    dead: int
    lost: int
    unended: int
    doubled: int | None
    cut: int | None
    wait: Waits
    late_p95_s: float
    late_worst_s: float
    worker_hours: float | None
    unknown_s: float
    target_first: int | None
    target_highest: int | None
    target_last: int | None
    steps: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def is_clean(self) -> bool:
        """Every accepted job succeeded or died by its own fault, once."""
        return not (self.lost or self.unended or self.doubled or self.cut)


def summarise(recording: Recording) -> Report:
    """The figures of one recording."""
    jobs = [recording.jobs.get(job_id, JobEnd(job_id, "unanswered")) for job_id in recording.accepted]
    states = Counter(job.status for job in jobs)
    hours, unknown_s = worker_hours(recording.samples)
    targets = [sample.target for sample in recording.samples if sample.target is not None]
    late = [one.late_s for one in recording.posted]
    ended = states["succeeded"] + states["dead"]
    return Report(
        trace=recording.trace,
        length_s=round(recording.samples[-1].at_s, 1) if recording.samples else 0.0,
        requests=len(recording.posted),
        accepted=len(jobs),
        refused={str(code): number for code, number in Counter(_refusals(recording)).items()},
        unanswered=sum(one.status is None for one in recording.posted),
        succeeded=states["succeeded"],
        dead=states["dead"],
        lost=states["unknown"],
        unended=len(jobs) - ended - states["unknown"],
        doubled=_doubled(jobs, recording),
        cut=_cut(jobs),
        wait=_waits(jobs),
        late_p95_s=_rounded(quantile(late, 0.95)) or 0.0,
        late_worst_s=_rounded(max(late, default=0.0)) or 0.0,
        worker_hours=None if hours is None else round(hours, 4),
        unknown_s=round(unknown_s, 1),
        target_first=targets[0] if targets else None,
        target_highest=max(targets, default=None),
        target_last=targets[-1] if targets else None,
        steps=steps(recording),
    )


def quantile(values: list[float], share: float) -> float | None:
    """The smallest value with at least this share of all at or below it; None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def worker_hours(samples: list[Sample]) -> tuple[float | None, float]:
    """Hours of running workers, and the seconds of which nobody knows. None where nothing is known at all."""
    hours, unknown_s, is_known = 0.0, 0.0, False
    for before, after in pairwise(samples):
        span_s = after.at_s - before.at_s
        if before.running is None or span_s > GAP_S:
            unknown_s += span_s
        else:
            is_known = True
            hours += before.running * span_s / 3_600
    return (hours if is_known else None), unknown_s


def steps(recording: Recording) -> list[dict[str, Any]]:
    """Every move of the target as sampled, with the decision that explains it where there is one."""
    found = []
    known = [sample for sample in recording.samples if sample.target is not None]
    for before, after in pairwise(known):
        if before.target != after.target:
            found.append({"at_s": round(after.at_s, 1), "from": before.target, "to": after.target, "why": _why(recording, before, after)})
    return found


def _why(recording: Recording, before: Sample, after: Sample) -> str:
    """The reasons of the last applied step that fits the move."""
    for decision in reversed(recording.decisions):
        if decision.at is None or decision.applied is False or not decision.is_step:
            continue
        at_s = (decision.at - recording.started_at).total_seconds()
        if before.at_s - GAP_S <= at_s <= after.at_s + GAP_S and decision.target == after.target:
            return decision.because
    return "no decision was read for it"


def _refusals(recording: Recording) -> list[int]:
    return [one.status for one in recording.posted if one.status is not None and not one.is_accepted]


def _doubled(jobs: list[JobEnd], recording: Recording) -> int | None:
    """Jobs that began a second attempt without having failed; a handler that fails on purpose cannot tell."""
    if recording.handler not in NEVER_FAIL:
        return None
    twice = len(jobs) - len({job.job_id for job in jobs})
    return twice + sum((job.attempts or 0) > 1 for job in jobs)


def _cut(jobs: list[JobEnd]) -> int | None:
    """Jobs whose worker was lost or taken away under them; None where the service does not tell."""
    told = [job.losses for job in jobs if job.losses is not None]
    return None if jobs and not told else sum(losses > 0 for losses in told)


def _waits(jobs: list[JobEnd]) -> Waits:
    waits = [job.wait_s for job in jobs if job.wait_s is not None]
    return Waits(_rounded(quantile(waits, 0.5)), _rounded(quantile(waits, 0.95)), _rounded(max(waits, default=None)))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
