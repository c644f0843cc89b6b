"""Arrival traces: reading them, and turning their bins into single arrivals."""

import csv
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from levqor.domain.errors import UsageError

COLUMNS = ["seconds", "count"]
LARGEST_COUNT = 1_000_000_000
MOST_BINS = 1_000_000
MOST_ARRIVALS = 200_000
"""A replay plays real requests; more than this is a mistake of scale."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Arrivals counted in bins of one width; `starts_s` are the bins' offsets from the first."""

    name: str
    width_s: float
    starts_s: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def length_s(self) -> float:
        return self.starts_s[-1] + self.width_s

    @property
    def total(self) -> int:
        return sum(self.counts)

    @property
    def peak_rate(self) -> float:
        """The busiest bin's arrivals per second."""
        return max(self.counts) / self.width_s

    def window(self, start_s: float, length_s: float | None) -> "Trace":
        """The bins that begin in `[start_s, start_s + length_s)`, moved to zero. Raises UsageError where there is none."""
        end_s = math.inf if length_s is None else start_s + length_s
        chosen = [(at, count) for at, count in zip(self.starts_s, self.counts, strict=True) if start_s <= at < end_s]
        if not chosen:
            raise UsageError(f"{self.name}: no bin begins in that window; the trace is {self.length_s:.0f} s long")
        first = chosen[0][0]
        return Trace(self.name, self.width_s, tuple(at - first for at, _ in chosen), tuple(count for _, count in chosen))


def read_trace(path: Path) -> Trace:
    """A trace from a CSV with the columns `seconds,count`. Raises UsageError that names the line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return parse_trace(path.stem, file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def parse_trace(name: str, lines: Iterable[str]) -> Trace:
    """The same from lines of text."""
    starts: list[float] = []
    counts: list[int] = []
    reader = csv.reader(lines)
    header = next(reader, None)
    if header is None or [word.strip() for word in header] != COLUMNS:
        raise UsageError(f"{name}, line 1: expected the header seconds,count")
    for row in reader:
        if not row:
            continue
        start, count = _row(name, reader.line_num, row)
        if starts and start <= starts[-1]:
            raise UsageError(f"{name}, line {reader.line_num}: seconds must grow from line to line")
        starts.append(start)
        counts.append(count)
        if len(starts) > MOST_BINS:
            raise UsageError(f"{name}, line {reader.line_num}: more than {MOST_BINS} bins")
    if len(starts) < 2 or not any(counts):
        raise UsageError(f"{name}: expected at least two bins and one arrival")
    width = min(late - early for early, late in pairwise(starts))
    return Trace(name, width, tuple(start - starts[0] for start in starts), tuple(counts))


def _row(name: str, line: int, row: list[str]) -> tuple[float, int]:
    if len(row) != len(COLUMNS):
        raise UsageError(f"{name}, line {line}: expected two columns, found {len(row)}")
    try:
        start, count = float(row[0]), int(row[1])
    except ValueError as error:
        raise UsageError(f"{name}, line {line}: expected a number of seconds and a whole count") from error
    if not (math.isfinite(start) and 0 <= count <= LARGEST_COUNT):
        raise UsageError(f"{name}, line {line}: expected finite seconds and a count from 0 to {LARGEST_COUNT}")
    return start, count


def shipped_names() -> list[str]:
    """Names of the traces that come with Levqor."""
    entries = files("levqor.lab").joinpath("data").iterdir()
    return sorted(entry.name.removesuffix(".csv") for entry in entries if entry.name.endswith(".csv"))


def find_trace(text: str) -> Trace:
    """A shipped trace by its name, or a file by its path."""
    if text in shipped_names():
        return parse_trace(text, files("levqor.lab").joinpath("data", f"{text}.csv").read_text(encoding="utf-8").splitlines())
    path = Path(text).expanduser()
    if not path.exists():
        raise UsageError(f"{text} is no file; traces that come with Levqor: {', '.join(shipped_names())}")
    return read_trace(path)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One job to post: `at_s` after the start of the replay, `length_s` of work."""

    at_s: float
    length_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How a trace is played. `speed` plays bins faster; `scale` or `peak_rate` (jobs/s in the busiest bin) sets how many jobs there are."""

    speed: float = 1.0
    length_s: float | None = None
    scale: float | None = None
    peak_rate: float | None = None
    service_s: float = 1.0
    sigma: float = 0.8
    seed: int = 1


def plan_arrivals(trace: Trace, plan: Plan) -> list[Arrival]:
    """Arrivals in order: Poisson counts in each bin, spread evenly at random, log-normal work; the same seed, the same plan."""
    dice = random.Random(plan.seed)  # noqa: S311 (a repeatable load, no secret)
    factor = _factor(trace, plan)
    expected = sum(trace.counts) * factor
    if expected > MOST_ARRIVALS:
        raise UsageError(f"{expected:.0f} jobs are too many for a replay (at most {MOST_ARRIVALS}): lower --scale or --peak-rate")
    arrivals: list[Arrival] = []
    for start_s, count in zip(trace.starts_s, trace.counts, strict=True):
        for _ in range(_poisson(dice, count * factor)):
            at_s = (start_s + dice.random() * trace.width_s) / plan.speed
            arrivals.append(Arrival(at_s, _work_s(dice, plan)))
    arrivals = [arrival for arrival in arrivals if plan.length_s is None or arrival.at_s < plan.length_s]
    if not arrivals:
        raise UsageError("no job arrives in that window: raise --minutes, --speed, --scale or --peak-rate")
    return sorted(arrivals, key=lambda arrival: arrival.at_s)


def _factor(trace: Trace, plan: Plan) -> float:
    """Jobs for each arrival of the trace."""
    if plan.peak_rate is not None:
        return plan.peak_rate / (trace.peak_rate * plan.speed)
    return plan.scale if plan.scale is not None else 1.0


def _work_s(dice: random.Random, plan: Plan) -> float:
    """Log-normal with the mean `service_s`."""
    return dice.lognormvariate(math.log(plan.service_s) - plan.sigma**2 / 2, plan.sigma)


def _poisson(dice: random.Random, mean: float) -> int:
    """A Poisson count: unit exponentials added up until they pass the mean; a large mean is as good as normal."""
    if mean > 500:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    count, passed = 0, dice.expovariate(1.0)
    while passed < mean:
        count += 1
        passed += dice.expovariate(1.0)
    return count
