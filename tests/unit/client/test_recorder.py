"""The recorder loses nothing, breaks on nothing and grows without bound in nothing."""

import math
import os
import sys
import threading

import pytest

from levqor.client.buckets import rank_of
from levqor.client.recorder import (
    MAX_LABEL_LENGTH,
    MAX_OVERFLOW_PER_KIND,
    MAX_SERIES_PER_KIND,
    Fields,
    Recorder,
    Series,
)
from levqor.store.telemetry import Counts

ITEMS: Series = ("http", "service", "GET", "/items/{id}")


def counts_of(*drained: dict[Series, Fields], series: Series = ITEMS) -> Counts:
    """What a reader makes of everything that was drained for one series."""
    sums: Fields = {}
    for fields in (answer.get(series, {}) for answer in drained):
        for name, n in fields.items():
            sums[name] = sums.get(name, 0) + n
    return Counts.of(sums)


@pytest.mark.parametrize(
    ("ms", "over"),
    [
        pytest.param(39.999, {40.0: 0, 150.0: 0, 200.0: 0}, id="just below the lowest"),
        pytest.param(40.0, {40.0: 1, 150.0: 0, 200.0: 0}, id="at the lowest"),
        pytest.param(149.999, {40.0: 1, 150.0: 0, 200.0: 0}, id="just below the middle"),
        pytest.param(150.0, {40.0: 1, 150.0: 1, 200.0: 0}, id="at the middle"),
        pytest.param(200.0, {40.0: 1, 150.0: 1, 200.0: 1}, id="at the highest"),
        pytest.param(7_200_000.0, {40.0: 1, 150.0: 1, 200.0: 1}, id="two hours"),
        pytest.param(math.inf, {40.0: 1, 150.0: 1, 200.0: 1}, id="infinite"),
        pytest.param(-1.0, {40.0: 0, 150.0: 0, 200.0: 0}, id="negative"),
    ],
)
def test_thresholds_are_counted_exactly(ms: float, over: dict[float, int]) -> None:
    """S2: a rule that reads a threshold never depends on where a bucket ends."""
    recorder = Recorder()
    recorder.observe(ITEMS, ms)
    assert counts_of(recorder.drain()).over == over


@pytest.mark.parametrize(("slow", "is_over"), [(5, False), (6, True)])
@pytest.mark.parametrize("threshold_ms", [40.0, 150.0, 200.0])
def test_p95_is_on_its_true_side_of_a_threshold(slow: int, is_over: bool, threshold_ms: float) -> None:
    """S2, A2: of 100 requests 5 may be slow before the P95 is, although fast and slow share a bucket."""
    recorder = Recorder()
    fast_ms, slow_ms = threshold_ms - 0.01, threshold_ms + 0.01
    for position in range(100):
        recorder.observe(ITEMS, slow_ms if position < slow else fast_ms)
    p95 = counts_of(recorder.drain()).quantile(0.95)
    assert p95 is not None
    assert (p95 >= threshold_ms) is is_over
    assert p95 == pytest.approx(threshold_ms, rel=0.01)


def test_what_is_not_a_number_is_left_out() -> None:
    recorder = Recorder()
    recorder.observe(ITEMS, math.nan)
    recorder.observe(ITEMS, 10.0)
    assert counts_of(recorder.drain()).total == 1


def test_a_drain_takes_only_what_grew() -> None:
    recorder = Recorder()
    recorder.observe(ITEMS, 10.0, failed=True)
    recorder.count(("job", "default", "mail", "failed"), 2)
    first = recorder.drain()
    assert counts_of(first).failed == 1
    assert first["job", "default", "mail", "failed"] == {"n": 2}
    assert recorder.drain() == {}
    recorder.observe(ITEMS, 10.0)
    second = recorder.drain()
    assert counts_of(second).total == 1
    assert counts_of(second).failed == 0
    assert counts_of(first, second).total_ms == pytest.approx(20.0)


def test_no_observation_is_lost_between_threads_and_flushes() -> None:
    """S1: eight threads observe while a ninth drains all the time, with threads changing as often as they can."""
    recorder = Recorder()
    each, threads = 5_000, 8
    drained: list[dict[Series, Fields]] = []
    done = threading.Event()

    def observe() -> None:
        for position in range(each):
            recorder.observe(ITEMS, float(position % 300), failed=position % 10 == 0)
            recorder.count(("job", "default", "mail", "succeeded"))

    def drain() -> None:
        while not done.is_set():
            drained.append(recorder.drain())

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        drainer = threading.Thread(target=drain)
        observers = [threading.Thread(target=observe) for _ in range(threads)]
        for thread in (drainer, *observers):
            thread.start()
        for thread in observers:
            thread.join()
        done.set()
        drainer.join()
    finally:
        sys.setswitchinterval(interval)
    drained.append(recorder.drain())
    counts = counts_of(*drained)
    exact = sorted(float(position % 300) for position in range(each))
    assert counts.total == each * threads
    assert counts.failed == each * threads // 10
    assert counts.over == {limit: threads * sum(value >= limit for value in exact) for limit in (40.0, 150.0, 200.0)}
    assert counts.quantile(0.99) == pytest.approx(exact[rank_of(0.99, each) - 1], rel=0.01)
    assert sum(answer.get(("job", "default", "mail", "succeeded"), {}).get("n", 0) for answer in drained) == each * threads


def test_a_scanner_cannot_make_series_without_end() -> None:
    """P5: beyond the cap all go into the kind's rest, which keeps the scope; nothing is uncounted."""
    recorder = Recorder()
    for position in range(MAX_SERIES_PER_KIND + 500):
        recorder.observe(("http", "service", "GET", f"/{position}"), 1.0)
        recorder.count(("job", "default", f"handler-{position}", "failed"))
    drained = recorder.drain()
    assert len(drained) == 2 * (MAX_SERIES_PER_KIND + 1)
    assert counts_of(drained, series=("http", "service", "other", "other")).total == 500
    assert drained["job", "other", "other", "failed"] == {"n": 500}


def test_not_even_the_rest_grows_without_end() -> None:
    """P5."""
    recorder = Recorder()
    for position in range(1_000):
        recorder.observe(("http", f"scope-{position}", "GET", "/"), 1.0)
    drained = recorder.drain()
    assert len(drained) == MAX_SERIES_PER_KIND + MAX_OVERFLOW_PER_KIND + 1
    assert sum(Counts.of(fields).total for fields in drained.values()) == 1_000


def test_a_long_label_is_cut() -> None:
    """P5."""
    recorder = Recorder()
    recorder.observe(("http", "service", "GET", "/" + "x" * 10_000), 1.0)
    recorder.observe(("http", "service", "GET", "/" + "x" * 20_000), 1.0)
    (series,) = recorder.drain()
    assert len(series[3]) == MAX_LABEL_LENGTH


def test_an_announced_kind_is_measured_before_anything_happens() -> None:
    """S3: no traffic is not silence."""
    recorder = Recorder()
    assert recorder.kinds == frozenset()
    recorder.announce("http")
    recorder.count(("job", "default", "mail", "failed"))
    assert recorder.kinds == {"http", "job"}


def test_a_fork_leaves_the_parents_counts_to_the_parent() -> None:
    """S1: each observation is flushed by exactly one process."""
    recorder = Recorder()
    recorder.observe(ITEMS, 10.0)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        recorder.observe(ITEMS, 10.0)
        os.write(writing, str(counts_of(recorder.drain()).total).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 10) == b"1"
    os.close(reading)
    os.close(writing)
    assert counts_of(recorder.drain()).total == 1
