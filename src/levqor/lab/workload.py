"""From a trace to the jobs that a simulated pool of workers gets, by the rules of the score."""

import math
from dataclasses import dataclass

import numpy as np

from levqor.lab.traces import Trace

LONGEST_BIN_S = 60.0
"""Longer bins are played as this long: a 5-minute bin passes in a minute."""
TYPICAL_PEAK = 99.0
TYPICAL_PEAK_LOAD = 0.80
"""The bin at this percentile needs this share of the largest fleet; the rest is scaled by the same factor."""
CLIP_LOAD = 0.92
"""No bin needs more than this share of the largest fleet: neither its rate nor the jobs drawn for it."""
MOST_JOBS = 1_000_000
"""A longer play is cut after the bin that reaches this: it says no more, and takes long."""
MEAN_SERVICE_S = 1.0
SERVICE_SIGMA = 0.8


@dataclass(frozen=True, slots=True)
class Workload:
    """Jobs in order of arrival. `arrivals` ends with infinity, so that a pool needs no test for the last job."""

    name: str
    length_s: float
    arrivals: list[float]
    services: list[float]

    @property
    def jobs(self) -> int:
        return len(self.services)

    @property
    def work_s(self) -> float:
        """Worker-seconds of work."""
        return math.fsum(self.services)


def given_workload(name: str, jobs: list[tuple[float, float]], length_s: float) -> Workload:
    """A workload from pairs (arrival, service), in order of arrival."""
    return Workload(name, length_s, [at for at, _ in jobs] + [math.inf], [service for _, service in jobs])


def make_workload(trace: Trace, max_workers: int, seed: int = 1, hours: float | None = None) -> Workload:
    """The jobs of a trace for a fleet of at most `max_workers`; same seed, same jobs. `hours` cuts the played time."""
    shrink = min(1.0, LONGEST_BIN_S / trace.width_s)
    width_s = trace.width_s * shrink
    starts = np.asarray(trace.starts_s) * shrink
    rates = bin_rates(trace, max_workers)
    if hours is not None:
        keep = starts < hours * 3600.0
        starts, rates = starts[keep], rates[keep]
    dice = np.random.default_rng(seed)
    counts = np.minimum(dice.poisson(rates * width_s), int(CLIP_LOAD * max_workers * width_s / MEAN_SERVICE_S))
    bins = int(np.searchsorted(np.cumsum(counts), MOST_JOBS)) + 1
    starts, counts = starts[:bins], counts[:bins]
    arrivals = np.sort(np.repeat(starts, counts) + dice.random(int(counts.sum())) * width_s)
    services = dice.lognormal(math.log(MEAN_SERVICE_S) - SERVICE_SIGMA**2 / 2, SERVICE_SIGMA, len(arrivals))
    return Workload(trace.name, float(starts[-1] + width_s), [*arrivals.tolist(), math.inf], services.tolist())


def bin_rates(trace: Trace, max_workers: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Jobs per second in each bin as played: scaled to the fleet, then clipped."""
    counts = np.asarray(trace.counts, dtype=float)
    peak = float(np.percentile(counts, TYPICAL_PEAK)) or float(counts.max())
    rates = counts * (TYPICAL_PEAK_LOAD * max_workers / MEAN_SERVICE_S / peak)
    return np.minimum(rates, CLIP_LOAD * max_workers / MEAN_SERVICE_S)
