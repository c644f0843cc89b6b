"""When will the queue be clear? An estimate from what is known, or none; and its score (A11, A12, P1, S3)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levqor.policies.promise import LATE, LEAST_SLACK_S, Backlog, Promise, PromiseState, Seen, estimate, slope_of

TICK_S = 2.0
KNOWN = Backlog(depth=40, workers=2, target=3, start_s=4.0, arrival_rate=1.0, mean_service_s=1.0)
"""Two workers do 2 a second and three 3, while 1 arrives: 36 are left after 4 s, and go at 2 a second."""


def test_it_counts_what_the_workers_do_before_and_after_the_new_one_has_started() -> None:
    promised = estimate(KNOWN)
    assert promised.clear_in_s == pytest.approx(4 + 36 / 2)
    assert promised.text == "clear in about 22 s: 40 wait, 1 a second arrive, 3 workers do 3"


def test_a_queue_that_is_clear_before_the_worker_starts_needs_none() -> None:
    assert estimate(replace(KNOWN, depth=3)).clear_in_s == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("arrival_rate", "is_promised"),
    [pytest.param(2.7, True, id="nine tenths busy"), pytest.param(2.71, False, id="busier")],
)
def test_workers_that_are_nearly_always_busy_promise_nothing(arrival_rate: float, is_promised: bool) -> None:
    promised = estimate(replace(KNOWN, arrival_rate=arrival_rate))
    assert (promised.clear_in_s is not None) is is_promised
    assert is_promised or promised.text.startswith("no promise: 40 wait")


@pytest.mark.parametrize(
    ("backlog", "why"),
    [
        pytest.param(replace(KNOWN, depth=None), "how many jobs wait is unknown", id="depth"),
        pytest.param(replace(KNOWN, depth=0), "no job waits", id="nothing to promise"),
        pytest.param(replace(KNOWN, arrival_rate=None), "how the queue moves is not known yet", id="arrivals"),
        pytest.param(replace(KNOWN, mean_service_s=None, slope=0.0), "does not shrink by itself", id="service time"),
        pytest.param(replace(KNOWN, mean_service_s=None, slope=2.0), "does not shrink by itself", id="it grows"),
        pytest.param(replace(KNOWN, depth=1e6, mean_service_s=0.5), "more than a day", id="the day after tomorrow"),
    ],
)
def test_what_is_not_known_is_never_made_up(backlog: Backlog, why: str) -> None:
    """S3."""
    promised = estimate(backlog)
    assert promised.clear_in_s is None
    assert promised.text.startswith("no promise: ")
    assert why in promised.text


def test_a_queue_that_shrinks_already_is_promised_from_its_own_slope() -> None:
    promised = estimate(Backlog(depth=30, workers=2, target=3, start_s=2.0, slope=-0.5))
    assert promised.clear_in_s == pytest.approx(60.0)
    assert "without the new worker" in promised.text


@given(
    st.builds(
        Backlog,
        depth=st.none() | st.floats(0, 1e6),
        workers=st.integers(0, 100),
        target=st.integers(1, 100),
        start_s=st.floats(0, 600),
        arrival_rate=st.none() | st.floats(0, 1e3),
        mean_service_s=st.none() | st.floats(0, 1e4),
        slope=st.none() | st.floats(-1e3, 1e3),
    )
)
def test_a_promise_is_a_time_that_can_be_waited_for(backlog: Backlog) -> None:
    promised = estimate(backlog)
    assert promised.clear_in_s is None or 1.0 <= promised.clear_in_s <= 86_400.0
    assert promised.text.startswith("no promise: " if promised.clear_in_s is None else "clear in about ")


# Scoring

WAITING = Seen(depth=5)


def waited(promise: Promise, seconds: float, seen: Seen = WAITING) -> Promise:
    for _ in range(round(seconds / TICK_S)):
        promise = promise.after(seen, elapsed_s=TICK_S, tick_s=TICK_S)
    return promise


@pytest.mark.parametrize(
    ("clear_in_s", "deadline_s"),
    [pytest.param(100.0, 100.0 * LATE, id="half as long again"), pytest.param(6.0, 6.0 + LEAST_SLACK_S, id="at least ten seconds")],
)
def test_it_is_missed_once_its_slack_is_over_and_not_before(clear_in_s: float, deadline_s: float) -> None:
    promise = Promise(clear_in_s)
    assert waited(promise, deadline_s).state is PromiseState.OPEN
    assert waited(promise, deadline_s + TICK_S).state is PromiseState.MISSED


def test_it_is_kept_by_an_empty_queue_up_to_its_deadline() -> None:
    promise, clear = Promise(100.0), replace(WAITING, depth=0)
    assert waited(promise, TICK_S, clear).state is PromiseState.KEPT
    assert waited(waited(promise, 148), TICK_S, clear).state is PromiseState.KEPT
    assert waited(waited(promise, 150), TICK_S, clear).state is PromiseState.MISSED
    assert waited(promise, TICK_S, replace(WAITING, depth=1)).state is PromiseState.OPEN


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(replace(WAITING, depth=None), id="the depth is unknown"),
        pytest.param(replace(WAITING, is_first=True), id="another leader: nobody saw what was before"),
        pytest.param(replace(WAITING, is_changed=True), id="somebody changed the target or paused a queue"),
        pytest.param(replace(WAITING, depth=0, is_first=True), id="not even an empty queue says when"),
    ],
)
def test_it_is_void_where_nobody_can_judge_it(seen: Seen) -> None:
    assert waited(Promise(100.0), TICK_S, seen).state is PromiseState.VOID


def test_a_gap_credits_nothing() -> None:
    """P1."""
    promise = Promise(100.0).after(WAITING, elapsed_s=3_600.0, tick_s=TICK_S)
    assert (promise.waited_s, promise.state) == (TICK_S, PromiseState.OPEN)


@given(st.lists(st.tuples(st.none() | st.integers(0, 3), st.floats(0, 10)), max_size=60))
def test_what_ended_stays_as_it_ended(ticks: list[tuple[int | None, float]]) -> None:
    promise = Promise(20.0)
    for depth, elapsed_s in ticks:
        before, promise = promise, promise.after(Seen(depth), elapsed_s=elapsed_s, tick_s=TICK_S)
        assert before.state is PromiseState.OPEN or promise == before
        assert promise.waited_s <= before.waited_s + 1.5 * TICK_S


def test_the_slope_is_that_of_a_line_through_what_was_seen() -> None:
    assert slope_of([(0.0, 30.0), (2.0, 29.0), (10.0, 25.0)]) == pytest.approx(-0.5)
    assert slope_of([(0.0, 30.0), (5.0, 29.0), (9.9, 25.0)]) is None
    assert slope_of([(0.0, 30.0), (20.0, 25.0)]) is None
