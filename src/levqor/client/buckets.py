"""Log-spaced buckets: any latency from a microsecond to days, every quantile within one per cent, merged by addition."""

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate
from math import ceil, isnan, log2

GAMMA = 1.02
"""Each bucket ends this factor above its start, so its middle is at most 0.99 % away from anything in it."""

LOWEST_MS = 1e-3
HIGHEST_MS = 1e9
"""Shorter than a microsecond is bucket 0; longer than eleven days counts as eleven days."""

SCALE = 1 / log2(GAMMA)  # to base 2, which Python computes quickest
OFFSET = 350
"""Moves the bucket of LOWEST_MS just above 0, so that `int` rounds every index the same way."""

_MIDDLE = 2 * GAMMA / (GAMMA + 1)


def clamped(ms: float) -> float:
    """A value that has a bucket: below zero (a clock that stepped back) is zero, and infinity is the highest."""
    return min(max(ms, 0.0), HIGHEST_MS)


def index_of(ms: float) -> int:
    """The bucket of a latency. Raises ValueError for what is not a number."""
    if LOWEST_MS <= ms <= HIGHEST_MS:
        return int(log2(ms) * SCALE + OFFSET)
    if isnan(ms):
        raise ValueError("not a number has no bucket")
    return 0 if ms < LOWEST_MS else int(log2(HIGHEST_MS) * SCALE + OFFSET)


def value_of(index: int) -> float:
    """The latency (ms) that stands for all in a bucket: at most 1 % off in either direction."""
    return 0.0 if index <= 0 else float(2 ** ((index - OFFSET) / SCALE)) * _MIDDLE


class Sketch(dict[int, int]):
    """How many observations each bucket holds. Equal whichever process counted them, in whatever order."""

    __slots__ = ()

    def add(self, ms: float, n: int = 1) -> None:
        index = index_of(ms)
        self[index] = self.get(index, 0) + n

    def merge(self, other: Mapping[int, int]) -> "Sketch":
        """Adds another sketch to this one."""
        for index, n in other.items():
            self[index] = self.get(index, 0) + n
        return self

    @classmethod
    def merged(cls, sketches: Iterable[Mapping[int, int]]) -> "Sketch":
        total = cls()
        for sketch in sketches:
            total.merge(sketch)
        return total

    @property
    def total(self) -> int:
        return sum(self.values())

    def quantile(self, q: float) -> float | None:
        """The least value (ms) with at least the share `q` of all at or below it; None when there is none at all."""
        total = self.total
        if total == 0:
            return None
        left = rank_of(q, total)
        for index in sorted(self):
            left -= self[index]
            if left <= 0:
                return value_of(index)
        raise AssertionError("a rank is never above the total")

    def at_most(self, *bounds_ms: float) -> list[int]:
        """How many took at most each of these (ms); the bucket that holds a bound counts if its middle is not above it."""
        indexes = sorted(self)
        sums = [0, *accumulate(self[index] for index in indexes)]
        return [sums[bisect_right(indexes, ms, key=value_of)] for ms in bounds_ms]

    def to_json(self) -> str:
        """Compact and stable: buckets in order."""
        return json.dumps({str(index): self[index] for index in sorted(self)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Sketch":
        return cls({int(index): int(n) for index, n in json.loads(text).items()})


def rank_of(q: float, total: int) -> int:
    """The nearest rank, from 1: the P95 of 100 values is the 95th, of 20 the 19th."""
    if not 0 <= q <= 1:
        raise ValueError("a quantile is between 0 and 1")
    return max(1, ceil(round(q * total, 9)))
