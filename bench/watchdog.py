"""The watchdog in simulation: false recoveries of a healthy service, and how soon a sick one is called; the bare comparison beside."""

import csv
import itertools
import math
import os
import random
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from levqor.monitors.slo_watchdog import Objectives
from levqor.policies.slo import Count, Standing, Streak, judge, together

RATES = (5, 20, 60, 200, 600, 3000)
DAYS = 30
MINUTES = DAYS * 24 * 60
COOL_DOWN_MIN = 30
INCIDENTS = 201
GIVE_UP_MIN = 180
WIDTHS = {"1m": 1, "5m": 5}
GOALS_MIN = {5: 16, 20: 5, 60: 3, 200: 3, 600: 3, 3000: 3}
SHIPPED = Path(__file__).resolve().parent.parent / "src" / "levqor" / "lab" / "data"

LATENCY, ERRORS, _AVAILABILITY = Objectives().all()


@dataclass(frozen=True, slots=True)
class Minute:
    """What one minute held."""

    requests: int
    slow: int
    failed: int


def binomial(rng: random.Random, n: int, p: float) -> int:
    """Exact, by the geometric gaps between hits."""
    if p <= 0 or n <= 0:
        return 0
    hits, position = 0, 0
    while True:
        position += int(math.log(1.0 - rng.random()) / math.log1p(-p)) + 1
        if position > n:
            return hits
        hits += 1


def poisson(rng: random.Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def minute(rng: random.Random, requests: int, slow: float, failed: float) -> Minute:
    return Minute(requests, binomial(rng, requests, slow), binomial(rng, requests, failed))


def slow_share(p99_ms: float, sigma: float = 0.5, limit_ms: float = 200.0) -> float:
    """The share over the limit of a log-normal latency with this P99."""
    median = p99_ms / math.exp(2.326348 * sigma)
    return 0.5 * math.erfc(math.log(limit_ms / median) / sigma / math.sqrt(2))


def calls(minutes: Iterator[Minute], *, is_literal: bool) -> Iterator[int]:
    """The minutes (from 1) at whose end recovery is called, by either series over its own disjoint windows."""
    streaks = dict.fromkeys(WIDTHS, Streak())
    held: dict[str, list[Minute]] = {name: [] for name in WIDTHS}
    for number, current in enumerate(minutes, start=1):
        called = False
        for name, width in WIDTHS.items():
            held[name].append(current)
            streaks[name] = streaks[name].aged(60.0)
            if len(held[name]) == width:
                state = check(held[name], is_literal=is_literal)
                held[name] = []
                streaks[name] = streaks[name].after(state)
                called |= streaks[name].calls and state is Standing.BREACHED
        if called:
            yield number


def check(window: list[Minute], *, is_literal: bool) -> Standing:
    requests = sum(one.requests for one in window)
    counts = ((LATENCY, sum(one.slow for one in window)), (ERRORS, sum(one.failed for one in window)))
    return together([judge(Count(requests, bad), objective, is_literal=is_literal) for objective, bad in counts])


def recoveries(minutes: Iterator[Minute], *, is_literal: bool) -> int:
    """Calls that the cool-down lets through."""
    count, last = 0, -COOL_DOWN_MIN
    for number in calls(minutes, is_literal=is_literal):
        if number - last >= COOL_DOWN_MIN:
            count, last = count + 1, number
    return count


def healthy(seed: int, rate: float) -> Iterator[Minute]:
    """P99 150 ms, 0.25 % over 200 ms, 0.2 % errors."""
    rng = random.Random(seed)
    for _ in range(MINUTES):
        yield minute(rng, poisson(rng, rate), 0.0025, 0.002)


def healthy_trace(seed: int, counts: list[int]) -> Iterator[Minute]:
    """Arrivals of a real trace; errors come in runs (a two-state chain of minutes) that average 0.2 % and peak at 0.4 %."""
    rng = random.Random(seed)
    is_worse = False
    for requests in itertools.islice(itertools.cycle(counts), MINUTES):
        is_worse = rng.random() < (0.9 if is_worse else 0.05)
        yield minute(rng, requests, 0.0025, 0.004 if is_worse else 0.0012)


def sick(seed: int, rate: float, failed: float, slow: float) -> Iterator[Minute]:
    """Healthy for up to five minutes, then sick: the fault begins anywhere in the windows."""
    rng = random.Random(seed)
    begins = seed % 5
    share = rng.random()
    for number in itertools.count():
        requests = poisson(rng, rate)
        ill = 0 if number < begins else requests if number > begins else binomial(rng, requests, share)
        well = requests - ill
        yield Minute(
            requests, binomial(rng, ill, slow) + binomial(rng, well, 0.0025), binomial(rng, ill, failed) + binomial(rng, well, 0.002)
        )


def time_to_call(seed: int, rate: float, failed: float, slow: float, *, is_literal: bool) -> float:
    begins = seed % 5 + 1 - random.Random(seed).random()
    first = next(calls(itertools.islice(sick(seed, rate, failed, slow), GIVE_UP_MIN), is_literal=is_literal), None)
    return math.inf if first is None else first - begins


def traces() -> list[tuple[str, list[int]]]:
    """Arrivals a minute of each trace, scaled to at most 600 a minute at its peak."""
    found = []
    for path in sorted(Path(os.environ.get("LEVQOR_TRACES", SHIPPED)).glob("*.csv")):
        with path.open(encoding="utf-8") as file:
            rows = [(float(row["seconds"]), int(row["count"])) for row in csv.DictReader(file)]
        width_min = (rows[1][0] - rows[0][0]) / 60
        scale = 600 / max(count / width_min for _at, count in rows)
        per_minute = [round(count / width_min * scale) for _at, count in rows for _ in range(max(1, round(width_min)))]
        found.append((path.stem, per_minute))
    return found


def main() -> int:
    held = []
    print(f"   recoveries of a healthy service in {DAYS} simulated days (bare comparison beside)")
    for rate in RATES:
        ours, bare = (recoveries(healthy(rate, rate), is_literal=is_literal) for is_literal in (False, True))
        held.append(ours == 0)
        print(f"   {rate:5} requests/min      {ours:6}      bare {bare:6}   ({bare / DAYS:.1f} a day)")
    for name, counts in traces():
        ours, bare = (recoveries(healthy_trace(1, counts), is_literal=is_literal) for is_literal in (False, True))
        held.append(ours == 0)
        print(f"   {name:20}    {ours:6}      bare {bare:6}   ({bare / DAYS:.1f} a day)")
    faults = {"20 % errors": (0.2, 0.0025), "2 % errors": (0.02, 0.0025), "P99 300 ms": (0.002, slow_share(300))}
    print("   minutes until the breach that calls recovery, median (bare comparison beside); - : not within three hours")
    for what, (failed, slow) in faults.items():
        for rate in RATES:
            ours_min, bare_min = (
                statistics.median(time_to_call(seed, rate, failed, slow, is_literal=is_literal) for seed in range(INCIDENTS))
                for is_literal in (False, True)
            )
            goal = GOALS_MIN[rate] if what == "20 % errors" else math.inf
            is_held = ours_min <= goal
            held.append(is_held)
            goal_text = "" if math.isinf(goal) else f"   goal {goal}{'' if is_held else '  MISSED'}"
            print(f"   {what:12} {rate:5} requests/min {show(ours_min):>7}      bare {show(bare_min):>7}{goal_text}")
    return 0 if all(held) else 1


def show(minutes: float) -> str:
    return "-" if math.isinf(minutes) else f"{minutes:.1f}"


if __name__ == "__main__":
    sys.exit(main())
