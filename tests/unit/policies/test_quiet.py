"""The quiet timer (spec A3, P1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levqor.policies.quiet import Quiet


def test_six_hundred_seconds_of_ticks_are_enough() -> None:
    """A3: ticks of 2 s from second 0 to second 600."""
    quiet = Quiet()
    for _ in range(300):
        quiet = quiet.after(is_calm=True, elapsed_s=2.0, tick_s=2.0)
    assert quiet.accrued_s >= 600


def test_any_other_sample_starts_it_again() -> None:
    assert Quiet(599.0).after(is_calm=False, elapsed_s=2.0, tick_s=2.0) == Quiet(0.0)


@pytest.mark.parametrize(
    ("elapsed", "credited"),
    [
        pytest.param(2.0, 2.0, id="on time"),
        pytest.param(3.0, 3.0, id="late by half a tick: jitter"),
        pytest.param(3.1, 2.0, id="a tick is missing: it adds nothing"),
        pytest.param(7_200.0, 2.0, id="two hours are missing"),
        pytest.param(-5.0, 0.0, id="never backwards"),
    ],
)
def test_a_missing_tick_adds_nothing_and_resets_nothing(elapsed: float, credited: float) -> None:
    assert Quiet(100.0).after(is_calm=True, elapsed_s=elapsed, tick_s=2.0) == Quiet(100.0 + credited)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 10)), max_size=50))
def test_it_never_credits_more_than_the_time_since_the_last_break(samples: list[tuple[bool, float]]) -> None:
    quiet, since = Quiet(), 0.0
    for is_calm, elapsed in samples:
        quiet = quiet.after(is_calm=is_calm, elapsed_s=elapsed, tick_s=2.0)
        since = since + elapsed if is_calm else 0.0
        assert 0 <= quiet.accrued_s <= since + 1e-9
