"""What an observation costs, and how true the quantiles are, beside prometheus_client in the same run."""

import random
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as PrometheusHistogram

from levqor.client.buckets import rank_of
from levqor.client.recorder import Histogram, Recorder
from levqor.store.telemetry import Counts

ADDS = 20_000
RUNS = 40
VALUES = 400_000
BARE_LIMIT_NS = 350.0
RATIO_LIMIT = 0.5
ERROR_LIMIT = 0.01
SERIES = ("http", "service", "GET", "/items/{id}")


def best_ns(adds: Callable[[list[float]], None], values: list[float]) -> float:
    """CPU time of the quickest of several short runs, per add, the loop's own cost included."""
    best = float("inf")
    for _ in range(RUNS):
        begin = time.process_time()
        adds(values)
        best = min(best, time.process_time() - begin)
    return best / len(values) * 1e9


def bare(values: list[float]) -> None:
    add = Histogram().add
    for value in values:
        add(value)


def with_series(values: list[float]) -> None:
    observe = Recorder().observe
    for value in values:
        observe(("http", "service", "GET", "/items/{id}"), value)


def with_prometheus(values: list[float]) -> None:
    histogram = PrometheusHistogram("latency", "Latency.", ["scope", "method", "route"], registry=CollectorRegistry())
    for value in values:
        histogram.labels("service", "GET", "/items/{id}").observe(value)


def distributions(source: random.Random) -> dict[str, list[float]]:
    """Shapes (ms) of real services: one hump, a fast and a slow path, and one just below the limits."""

    def around(median_ms: float, sigma: float) -> float:
        return median_ms * source.lognormvariate(0, sigma)

    def mixed(share: float, fast: tuple[float, float], slow: tuple[float, float]) -> Iterable[float]:
        return (around(*slow) if source.random() < share else around(*fast) for _ in range(VALUES))

    return {
        "lognormal 60 ms": [around(60, 0.6) for _ in range(VALUES)],
        "93% 30 ms, 7% 900 ms": list(mixed(0.07, (30, 0.3), (900, 0.3))),
        "96% 15 ms, 4% 1.6 s": list(mixed(0.04, (15, 0.3), (1_600, 0.3))),
        "110 ms, 1.5% 190 ms": list(mixed(0.015, (110, 0.1), (190, 0.05))),
    }


def by_prometheus_buckets(values: list[float], q: float) -> float:
    """The quantile (ms) as `histogram_quantile` reads it from the default buckets."""
    bounds = [bound * 1000 for bound in PrometheusHistogram.DEFAULT_BUCKETS]
    counts = [0] * len(bounds)
    for value in values:
        counts[bisect_left(bounds, value)] += 1
    rank, seen = q * len(values), 0
    for position, count in enumerate(counts):
        if seen + count >= rank:
            if position == len(bounds) - 1:
                return bounds[-2]
            lower = bounds[position - 1] if position else 0.0
            return lower + (bounds[position] - lower) * (rank - seen) / count
        seen += count
    return bounds[-2]


def by_recorder(values: list[float]) -> Counts:
    recorder = Recorder()
    for value in values:
        recorder.observe(SERIES, value)
    return Counts.of(recorder.drain()[SERIES])


def worst_error() -> float:
    """Prints a line per distribution; answers the worst P95 or P99 error of the recorder."""
    worst = 0.0
    print(f"\n{'P95 / P99 error':<24}{'levqor':>16}{'Prometheus default':>22}")
    for name, values in distributions(random.Random(5)).items():
        values.sort()
        counts = by_recorder(values)
        ours, theirs = [], []
        for q in (0.95, 0.99):
            exact = values[rank_of(q, len(values)) - 1]
            ours.append(abs((counts.quantile(q) or 0.0) / exact - 1))
            theirs.append(abs(by_prometheus_buckets(values, q) / exact - 1))
        worst = max(worst, *ours)
        print(f"{name:<24}{ours[0]:>8.2%}{ours[1]:>8.2%}{theirs[0]:>14.1%}{theirs[1]:>8.1%}")
    return worst


def main() -> int:
    source = random.Random(1)
    values = [source.lognormvariate(4.1, 0.6) for _ in range(ADDS)]
    bare_ns, full_ns, peer_ns = best_ns(bare, values), best_ns(with_series, values), best_ns(with_prometheus, values)
    print(f"{'one observation':<52}{'ns':>6}{'ratio':>8}{'limit':>8}")
    print(f"{'prometheus_client Histogram.labels(3).observe':<52}{peer_ns:>6.0f}{1:>8.2f}")
    print(f"{'bare add':<52}{bare_ns:>6.0f}{bare_ns / peer_ns:>8.2f}{BARE_LIMIT_NS:>5.0f} ns")
    print(f"{'with series and thresholds':<52}{full_ns:>6.0f}{full_ns / peer_ns:>8.2f}{RATIO_LIMIT:>8.2f}")
    error = worst_error()
    print(f"{'worst':<24}{error:>8.2%}{'':>8}{'limit':>14}{ERROR_LIMIT:>8.1%}")
    return 0 if bare_ns <= BARE_LIMIT_NS and full_ns <= RATIO_LIMIT * peer_ns and error <= ERROR_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
