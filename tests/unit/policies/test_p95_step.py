"""Did the last step help? Both sides of two minutes and of the margin (spec A12, P1)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levqor.policies.p95_step import IMPROVED_TO, WATCH_S, P95Sample, P95State, P95Step

TICK_S = 2.0
BEFORE_MS = 400.0
HIGH = P95Sample(BEFORE_MS, is_calm=False)
UNKNOWN = P95Sample(None, is_calm=False)
CALM = P95Sample(30.0, is_calm=True)
NO_TRAFFIC = P95Sample(None, is_calm=True)


def after(step: P95Step, sample: P95Sample, elapsed_s: float = TICK_S) -> P95Step:
    return step.after(sample, elapsed_s=elapsed_s, tick_s=TICK_S, up_p95_ms=150.0)


def watched(seconds: float, sample: P95Sample = HIGH, step: P95Step | None = None) -> P95Step:
    """A step that was taken, and what became of it after so long."""
    step = step or P95Step().stepped(BEFORE_MS)
    for _ in range(round(seconds / TICK_S)):
        step = after(step, sample)
    return step


def test_a_step_that_did_not_help_is_judged_at_two_minutes_and_not_before() -> None:
    """A12."""
    assert watched(WATCH_S - TICK_S).state is P95State.WATCHING
    judged = watched(WATCH_S)
    assert (judged.state, judged.before_ms, judged.after_ms) == (P95State.DID_NOT_HELP, BEFORE_MS, BEFORE_MS)
    assert judged.is_blocking


def test_only_a_calm_p95_lets_it_ask_again() -> None:
    """A12: once is enough."""
    judged = watched(WATCH_S)
    for sample in (HIGH, UNKNOWN, P95Sample(151.0, False), P95Sample(40.0, False)):
        assert after(judged, sample) == judged
    assert after(judged, CALM) == P95Step()
    assert after(judged, NO_TRAFFIC) == P95Step()
    assert not P95Step().is_blocking


@pytest.mark.parametrize(
    ("p95_ms", "state"),
    [
        pytest.param(BEFORE_MS * IMPROVED_TO, P95State.NONE, id="nine tenths have improved"),
        pytest.param(BEFORE_MS * IMPROVED_TO + 0.1, P95State.WATCHING, id="a little less is noise"),
        pytest.param(BEFORE_MS * 2, P95State.WATCHING, id="worse"),
    ],
)
def test_an_improvement_counts_at_any_time_within_the_two_minutes(p95_ms: float, state: P95State) -> None:
    """A12."""
    assert after(watched(10), P95Sample(p95_ms, False)).state is state


@pytest.mark.parametrize(
    ("p95_ms", "state"),
    [pytest.param(150.0, P95State.NONE, id="no longer asks"), pytest.param(150.1, P95State.DID_NOT_HELP, id="still asks")],
)
def test_at_the_end_it_is_enough_that_p95_no_longer_asks(p95_ms: float, state: P95State) -> None:
    """A12: a step at 155 ms."""
    step = P95Step().stepped(155.0)
    sample = P95Sample(p95_ms, False)
    assert watched(WATCH_S - TICK_S, sample, step).state is P95State.WATCHING
    assert watched(WATCH_S, sample, step).state is state


def test_an_unknown_p95_does_not_judge() -> None:
    """S3: it is waited for."""
    waiting = watched(2 * WATCH_S, UNKNOWN)
    assert (waiting.state, waiting.watched_s) == (P95State.WATCHING, WATCH_S)
    assert "too few requests" in waiting.text
    assert after(waiting, HIGH).state is P95State.DID_NOT_HELP


def test_a_gap_credits_nothing() -> None:
    """P1: an hour without a tick is one tick at most, the first tick of a successor none."""
    step = P95Step().stepped(BEFORE_MS)
    assert after(step, HIGH, elapsed_s=3_600.0).watched_s == TICK_S
    assert after(step, HIGH, elapsed_s=0.0).watched_s == 0.0


def test_it_is_kept_as_it_is() -> None:
    """P1, A11."""
    for step in (P95Step(), watched(7), watched(WATCH_S)):
        assert P95Step.from_dict(step.as_dict()) == step
    assert P95Step.from_dict({}) == P95Step()


def test_it_says_what_to_do() -> None:
    assert "did not help: P95 was 400 ms before it and 400 ms two minutes later" in watched(WATCH_S).text
    assert "look at slow routes" in watched(WATCH_S).text
    assert "120 s left" in P95Step().stepped(400.0).text


SAMPLES = st.builds(P95Sample, st.none() | st.floats(40, 1_000), st.just(False)) | st.sampled_from([CALM, NO_TRAFFIC])


@given(st.lists(st.tuples(SAMPLES, st.floats(0, 10)), max_size=120))
def test_it_is_never_judged_before_its_time_and_calm_always_clears(samples: list[tuple[P95Sample, float]]) -> None:
    """A12, P1: whatever comes."""
    step, passed = P95Step().stepped(BEFORE_MS), 0.0
    for sample, elapsed_s in samples:
        before, step = step, after(step, sample, elapsed_s)
        passed += elapsed_s
        if sample.is_calm:
            assert step == P95Step()
        if step.state is P95State.DID_NOT_HELP:
            assert passed >= WATCH_S - 1e-9
            assert step.after_ms is not None
        if before.state is P95State.DID_NOT_HELP and not sample.is_calm:
            assert step == before
        if before.state is P95State.NONE:
            assert step.state is P95State.NONE
        assert 0 <= step.watched_s <= WATCH_S
        assert replace(step) == P95Step.from_dict(step.as_dict())
