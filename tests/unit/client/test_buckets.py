"""Quantiles within one per cent at any volume, mergeable (spec S2)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levqor.client.buckets import HIGHEST_MS, LOWEST_MS, Sketch, index_of, rank_of, value_of

latencies_ms = st.floats(min_value=LOWEST_MS, max_value=HIGHEST_MS, allow_nan=False)


def sketch_of(values: list[float]) -> Sketch:
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    return sketch


@given(latencies_ms)
def test_a_bucket_stands_for_its_values_within_one_per_cent(ms: float) -> None:
    assert value_of(index_of(ms)) == pytest.approx(ms, rel=0.01)


@given(st.lists(latencies_ms, min_size=1, max_size=300), st.floats(0, 1))
def test_every_quantile_is_the_exact_one_within_one_per_cent(values: list[float], q: float) -> None:
    """S2."""
    exact = sorted(values)[rank_of(q, len(values)) - 1]
    assert sketch_of(values).quantile(q) == pytest.approx(exact, rel=0.01)


@given(st.lists(st.lists(latencies_ms, max_size=50), max_size=6))
def test_merging_is_counting_all_in_one_place(shares: list[list[float]]) -> None:
    """S2: which process counted what, and in which order they are merged, changes nothing."""
    together = sketch_of([value for share in shares for value in share])
    assert Sketch.merged(sketch_of(share) for share in shares) == together
    assert Sketch.merged(sketch_of(share) for share in reversed(shares)) == together


@given(st.lists(latencies_ms, max_size=50))
def test_a_sketch_survives_json(values: list[float]) -> None:
    sketch = sketch_of(values)
    assert Sketch.from_json(sketch.to_json()) == sketch
    assert Sketch.from_json(sketch.to_json()).to_json() == sketch.to_json()


@pytest.mark.parametrize(
    ("ms", "stands_for"),
    [
        pytest.param(0.0, 0.0, id="zero"),
        pytest.param(-5.0, 0.0, id="a clock that stepped back"),
        pytest.param(-math.inf, 0.0, id="minus infinity"),
        pytest.param(math.inf, HIGHEST_MS, id="infinity"),
        pytest.param(HIGHEST_MS * 2, HIGHEST_MS, id="longer than the highest"),
        pytest.param(3 * 3_600_000.0, 3 * 3_600_000.0, id="three hours"),
    ],
)
def test_odd_values_have_a_bucket(ms: float, stands_for: float) -> None:
    assert value_of(index_of(ms)) == pytest.approx(stands_for, rel=0.01)


def test_what_is_not_a_number_has_none() -> None:
    with pytest.raises(ValueError, match="not a number"):
        index_of(math.nan)


@given(st.lists(latencies_ms, max_size=100), st.lists(latencies_ms, max_size=5))
def test_how_many_took_at_most_so_long_is_meant_within_one_per_cent(values: list[float], bounds_ms: list[float]) -> None:
    for bound_ms, n in zip(bounds_ms, sketch_of(values).at_most(*bounds_ms), strict=True):
        assert sum(value <= bound_ms * 0.99 for value in values) <= n <= sum(value <= bound_ms * 1.0101 for value in values)


def test_nothing_has_no_quantile() -> None:
    """S3: no traffic is not zero."""
    assert Sketch().quantile(0.95) is None


@pytest.mark.parametrize(("q", "total", "rank"), [(0.95, 20, 19), (0.95, 100, 95), (0.95, 1, 1), (0.99, 100, 99), (0.0, 7, 1), (1.0, 7, 7)])
def test_the_rank_is_the_nearest_one(q: float, total: int, rank: int) -> None:
    assert rank_of(q, total) == rank


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_quantile_beyond_the_whole_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        rank_of(q, 10)
