"""Counts what the process does. An observation costs less than a microsecond, takes no lock and is never lost.

Counts only grow; who flushes takes the growth since the last time. So no thread can be caught with a hand on a count
that has just been taken away, which is how swapping counters loses observations. Each `x[k] += n` here is one step as
far as CPython's threads are concerned: the interpreter changes threads on calls and backward jumps only.
"""

import os
import threading
import weakref
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from math import isnan, log2
from typing import NamedTuple

from levqor.client.buckets import HIGHEST_MS, LOWEST_MS, OFFSET, SCALE, clamped, index_of

Series = tuple[str, ...]
"""A kind and its labels, such as ("http", "service", "GET", "/items/{id}")."""

Fields = dict[str, float]
"""Growth of one series by field: b{bucket}, f(ailed), s(um of ms), o{threshold} at or over, t{threshold} tested, n for a counter."""

MAX_SERIES_PER_KIND = 200
MAX_OVERFLOW_PER_KIND = 20
MAX_LABEL_LENGTH = 120
OTHER = "other"

_KEPT_LABEL = {"http": 1, "probe": 1, "job": 3}
"""The label (scope, outcome) that a series keeps when its kind has too many, because sums are taken by it."""

DEFAULT_THRESHOLDS_MS = (40.0, 150.0, 200.0)


class _Counts(NamedTuple):
    over: tuple[int, ...]
    failed: int
    total_ms: float
    buckets: dict[int, int]


_NOTHING = _Counts((), 0, 0.0, {})


class Histogram:
    """One series: log buckets for any quantile, and exact counts between the thresholds for the rules that read them."""

    __slots__ = ("_bands", "_buckets", "_failed", "_lowest_threshold_ms", "_thresholds_ms", "_total_ms")

    def __init__(self, thresholds_ms: tuple[float, ...] = ()) -> None:
        self._buckets: defaultdict[int, int] = defaultdict(int)
        self._thresholds_ms = thresholds_ms
        self._lowest_threshold_ms = thresholds_ms[0] if thresholds_ms else HIGHEST_MS * 2
        self._bands = [0] * (len(thresholds_ms) + 1)
        self._failed = 0
        self._total_ms = 0.0

    def add(self, ms: float) -> None:
        """Counts one latency. What is not a number is no latency and is left out."""
        if LOWEST_MS <= ms <= HIGHEST_MS:
            self._buckets[int(log2(ms) * SCALE + OFFSET)] += 1
        elif isnan(ms):
            return
        else:
            self._buckets[index_of(ms)] += 1
            ms = clamped(ms)
        self._total_ms += ms
        if ms >= self._lowest_threshold_ms:
            self._bands[bisect_right(self._thresholds_ms, ms)] += 1

    def counts(self) -> _Counts:
        """A copy, taken in the reverse of the order of counting: a part is never larger than its whole."""
        failed, bands, total_ms = self._failed, tuple(self._bands), self._total_ms
        over = tuple(sum(bands[position + 1 :]) for position in range(len(self._thresholds_ms)))
        return _Counts(over, failed, total_ms, dict(self._buckets))


class Recorder:
    """All series of a process, a bounded number of each kind. Shared by all threads; after a fork the child starts from nothing."""

    def __init__(self, thresholds_ms: Iterable[float] = DEFAULT_THRESHOLDS_MS) -> None:
        self.thresholds_ms = tuple(sorted(map(float, thresholds_ms)))
        self._histograms: dict[Series, Histogram] = {}
        self._counters: dict[Series, int] = {}
        self._flushed: dict[Series, _Counts] = {}
        self._flushed_counters: dict[Series, int] = {}
        self._histograms_of: defaultdict[str, int] = defaultdict(int)
        self._counters_of: defaultdict[str, int] = defaultdict(int)
        self._announced: frozenset[str] = frozenset()
        self._threshold_fields = [(f"o{threshold!r}", f"t{threshold!r}") for threshold in self.thresholds_ms]
        self._bucket_fields: dict[int, str] = {}
        self._admitting = threading.Lock()
        self._draining = threading.Lock()
        _forget_in_children(self)

    def observe(self, series: Series, ms: float, failed: bool = False) -> None:
        """Counts one request, wait, run or probe."""
        histogram = self._histograms.get(series) or self._admit(series)
        histogram.add(ms)
        if failed:
            histogram._failed += 1

    def count(self, series: Series, n: int = 1) -> None:
        """Counts events that have no duration."""
        if series not in self._counters:
            series = self._admit_counter(series)
        self._counters[series] += n

    def histogram(self, series: Series) -> Histogram:
        """The series itself, for a loop that observes one series only."""
        return self._histograms.get(series) or self._admit(series)

    def announce(self, kind: str) -> None:
        """Says that this process measures a kind even while there is nothing to measure: no traffic is not silence."""
        with self._admitting:
            self._announced |= {kind}

    @property
    def kinds(self) -> frozenset[str]:
        """What this process measures: all kinds announced or seen."""
        return self._announced | {series[0] for series in (*list(self._histograms), *list(self._counters))}

    def drain(self) -> dict[Series, Fields]:
        """The growth of every series since the last call; each observation is in exactly one answer."""
        with self._draining:
            grown: dict[Series, Fields] = {}
            for series, histogram in list(self._histograms.items()):
                now = histogram.counts()
                if fields := self._growth(self._flushed.get(series, _NOTHING), now):
                    grown[series] = fields
                self._flushed[series] = now
            for series, n in list(self._counters.items()):
                if n != self._flushed_counters.get(series, 0):
                    grown[series] = {"n": n - self._flushed_counters.get(series, 0)}
                    self._flushed_counters[series] = n
            return grown

    def _growth(self, before: _Counts, now: _Counts) -> Fields:
        earlier_in = before.buckets.get
        fields: Fields = {
            self._bucket_field(index): n - earlier_in(index, 0) for index, n in now.buckets.items() if n != earlier_in(index, 0)
        }
        seen = sum(fields.values())
        over_before = before.over or (0,) * len(now.over)
        for (over_field, tested_field), over, earlier in zip(self._threshold_fields, now.over, over_before, strict=True):
            fields[over_field] = over - earlier
            fields[tested_field] = seen
        fields["f"] = now.failed - before.failed
        fields["s"] = round(now.total_ms - before.total_ms, 3)
        return {name: n for name, n in fields.items() if n}

    def _bucket_field(self, index: int) -> str:
        """One string per bucket, however many series grew in it."""
        return self._bucket_fields.setdefault(index, f"b{index}")

    def _admit(self, series: Series) -> Histogram:
        with self._admitting:
            admitted = _bounded(series, self._histograms, self._histograms_of)
            if admitted not in self._histograms:
                self._histograms[admitted] = Histogram(self.thresholds_ms)
                self._histograms_of[admitted[0]] += 1
            return self._histograms[admitted]

    def _admit_counter(self, series: Series) -> Series:
        with self._admitting:
            admitted = _bounded(series, self._counters, self._counters_of)
            if admitted not in self._counters:
                self._counters[admitted] = 0
                self._counters_of[admitted[0]] += 1
            return admitted

    def _forget(self) -> None:
        """What was counted before a fork is the parent's to flush."""
        self._admitting, self._draining = threading.Lock(), threading.Lock()
        self._flushed = {series: histogram.counts() for series, histogram in self._histograms.items()}
        self._flushed_counters = dict(self._counters)


def _bounded(series: Series, known: Container[Series], number_of: Mapping[str, int]) -> Series:
    """The series under which this one is counted: itself, with labels of bearable length, or the kind's rest."""
    series = tuple(str(label)[:MAX_LABEL_LENGTH] for label in series)
    of_kind = number_of[series[0]]
    if series in known or of_kind < MAX_SERIES_PER_KIND:
        return series
    rest = overflow(series)
    if rest in known or of_kind < MAX_SERIES_PER_KIND + MAX_OVERFLOW_PER_KIND:
        return rest
    return (series[0], *[OTHER] * (len(series) - 1))


def overflow(series: Series) -> Series:
    """The rest of a kind: every label is `other`, but the one by which sums are taken."""
    kept = _KEPT_LABEL.get(series[0])
    return (series[0], *(label if position == kept else OTHER for position, label in enumerate(series[1:], start=1)))


def _forget_in_children(recorder: Recorder) -> None:
    reference = weakref.ref(recorder)

    def forget() -> None:
        if (recorder := reference()) is not None:
            recorder._forget()

    os.register_at_fork(after_in_child=forget)
