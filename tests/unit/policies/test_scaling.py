"""The `threshold` rule on both sides of each boundary (spec A1-A4, A13, S3), and properties that no sequence may break."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levqor.domain.decisions import Action, Code, Decision, Hold
from levqor.domain.fleet import FleetKind, FleetState, Room
from levqor.domain.signals import Signal, Signals
from levqor.policies.quiet import Quiet
from levqor.policies.scaling import Context, ScalingRules, decide, is_calm

MIB = 1024 * 1024
RULES = ScalingRules()
FLEET = FleetState(name="default", kind=FleetKind.AGENT, queues=("default",), target=2, running=2)
CALM = Signals(
    p95_ms=Signal.no_traffic(),
    requests=Signal.of(0),
    slow_requests=Signal.of(0),
    queue_depth=Signal.of(0),
    spend_last_24h=Signal.of(0),
)
BUSY = replace(CALM, queue_depth=Signal.of(5), p95_ms=Signal.of(80), requests=Signal.of(100))


def decision(signals: Signals = CALM, *, target: int = 2, calm_s: float = 0.0, **changes: object) -> Decision:
    context = Context(fleet=replace(FLEET, target=target), rules=RULES, calm_s=calm_s)
    return decide(signals, replace(context, **changes))  # type: ignore[arg-type]


def codes(answer: Decision, *, voting: bool = True) -> list[Code]:
    return [reason.code for reason in answer.reasons if reason.votes is voting]


@pytest.mark.parametrize(
    ("depth", "action"),
    [pytest.param(10, Action.HOLD, id="ten is not above ten"), pytest.param(11, Action.SCALE_UP, id="eleven is")],
)
def test_depth_asks_for_a_step_strictly_above_its_threshold(depth: int, action: Action) -> None:
    """A2."""
    assert decision(replace(BUSY, queue_depth=Signal.of(depth))).action is action


@pytest.mark.parametrize(
    ("p95", "requests", "action"),
    [
        pytest.param(150.0, 20, Action.HOLD, id="150 ms is not above 150"),
        pytest.param(150.01, 20, Action.SCALE_UP, id="just above"),
        pytest.param(150.01, 19, Action.HOLD, id="nineteen requests are too few"),
        pytest.param(9_000.0, 19, Action.HOLD, id="however slow"),
    ],
)
def test_p95_asks_for_a_step_strictly_above_its_threshold_and_with_evidence(p95: float, requests: int, action: Action) -> None:
    """A2."""
    signals = replace(BUSY, p95_ms=Signal.of(p95), requests=Signal.of(requests), slow_requests=Signal.of(requests))
    answer = decision(signals)
    assert answer.action is action
    assert (Code.TOO_FEW in codes(answer, voting=False)) is (p95 > 150 and requests < 20)


@pytest.mark.parametrize(("target", "action", "code"), [(3, Action.SCALE_UP, Code.DEPTH_HIGH), (4, Action.HOLD, Code.AT_MAX)])
def test_a_step_up_ends_at_the_maximum(target: int, action: Action, code: Code) -> None:
    """A2: at 4 the answer is hold, at_max."""
    answer = decision(replace(BUSY, queue_depth=Signal.of(99)), target=target)
    assert (answer.action, codes(answer)[0]) == (action, code)
    assert answer.target <= 4


def test_no_step_up_while_the_last_worker_is_starting() -> None:
    """A2."""
    answer = decision(replace(BUSY, queue_depth=Signal.of(99)), fleet=replace(FLEET, starting=1))
    assert (answer.action, codes(answer)) == (Action.HOLD, [Code.STARTING])


@pytest.mark.parametrize(
    ("calm_s", "action", "target"),
    [pytest.param(599.99, Action.HOLD, 2, id="not quite"), pytest.param(600.0, Action.SCALE_DOWN, 1, id="600 s are enough")],
)
def test_calm_steps_down_after_its_time(calm_s: float, action: Action, target: int) -> None:
    """A3."""
    answer = decision(calm_s=calm_s)
    assert (answer.action, answer.target) == (action, target)


def test_calm_at_the_minimum_is_no_move() -> None:
    """A3: at least 1."""
    answer = decision(target=1, calm_s=9_999)
    assert (answer.action, codes(answer)) == (Action.HOLD, [Code.AT_MIN])


@pytest.mark.parametrize(
    ("signals", "calm"),
    [
        pytest.param(CALM, True, id="no traffic, empty queue"),
        pytest.param(replace(CALM, p95_ms=Signal.of(39.99), requests=Signal.of(20)), True, id="just below 40 ms"),
        pytest.param(replace(CALM, p95_ms=Signal.of(40.0), requests=Signal.of(20)), False, id="40 ms is not below 40"),
        pytest.param(replace(CALM, queue_depth=Signal.of(1)), False, id="one job waits"),
        pytest.param(replace(CALM, p95_ms=Signal.of(90), requests=Signal.of(19)), True, id="too few, none slow"),
        pytest.param(
            replace(CALM, p95_ms=Signal.of(20), requests=Signal.of(19), slow_requests=Signal.of(1)), False, id="too few, one of 40 ms"
        ),
        pytest.param(replace(CALM, queue_depth=Signal.unknown("down")), None, id="unknown depth"),
        pytest.param(replace(CALM, p95_ms=Signal.unknown("down")), None, id="unknown P95"),
        pytest.param(replace(CALM, p95_ms=Signal.of(90), requests=Signal.of(3), slow_requests=Signal.unknown("x")), None, id="no evidence"),
        pytest.param(replace(CALM, p95_ms=Signal.not_configured("no app")), True, id="no app attached"),
    ],
)
def test_what_is_calm(signals: Signals, calm: bool | None) -> None:
    """A3, S3: no traffic is calm, unknown never."""
    assert is_calm(signals, RULES) is calm


@pytest.mark.parametrize("name", ["queue_depth", "p95_ms"])
def test_unknown_blocks_a_step_down(name: str) -> None:
    """S3."""
    answer = decision(replace(CALM, **{name: Signal.unknown("store down")}), calm_s=9_999)
    assert (answer.action, codes(answer)[0]) == (Action.HOLD, Code.UNKNOWN)
    assert "store down" in answer.reasons[0].text


def test_a_known_signal_may_still_ask_for_a_step_up_while_another_is_unknown() -> None:
    """S3: a rule is blocked only by the signals that it reads."""
    answer = decision(replace(CALM, queue_depth=Signal.of(11), p95_ms=Signal.unknown("store down"), error_rate=Signal.unknown("x")))
    assert answer.action is Action.SCALE_UP


LIMITED = replace(RULES, daily_spend_limit=Decimal(50))
PRESSED = replace(CALM, queue_depth=Signal.of(11))


@pytest.mark.parametrize(
    ("spend", "forecast", "action"),
    [
        pytest.param(44.99, None, Action.SCALE_UP, id="44.99 of 50"),
        pytest.param(45.00, None, Action.FREEZE, id="45.00 of 50"),
        pytest.param(0.0, 1_200.0, Action.SCALE_UP, id="a forecast day of exactly 0.8 of the limit"),
        pytest.param(0.0, 1_200.01, Action.FREEZE, id="just above"),
    ],
)
def test_spend_freezes_steps_up(spend: float, forecast: float | None, action: Action) -> None:
    """A4."""
    signals = replace(PRESSED, spend_last_24h=Signal.of(spend))
    if forecast is not None:
        signals = replace(signals, forecast_next_30d=Signal.of(forecast))
    assert decision(signals, rules=LIMITED).action is action


def test_freeze_shows_without_pressure_and_still_lets_the_fleet_shrink() -> None:
    """A4."""
    spent = replace(CALM, spend_last_24h=Signal.of(49))
    assert decision(spent, rules=LIMITED).action is Action.FREEZE
    assert decision(spent, rules=LIMITED, calm_s=600).action is Action.SCALE_DOWN


def test_spend_that_was_never_known_allows_no_step_up() -> None:
    """A4."""
    answer = decision(replace(PRESSED, spend_last_24h=Signal.unknown("no ledger")), rules=LIMITED)
    assert (answer.action, codes(answer)) == (Action.HOLD, [Code.SPEND_UNKNOWN])
    assert decision(replace(PRESSED, spend_last_24h=Signal.unknown("no ledger"))).action is Action.SCALE_UP, "without a limit nobody asks"


@pytest.mark.parametrize(
    ("room", "action"),
    [
        pytest.param(Room(150 * MIB, 100 * MIB, 0.0), Action.HOLD, id="exactly 1.5 sizes"),
        pytest.param(Room(150 * MIB + 1, 100 * MIB, 0.0), Action.SCALE_UP, id="more than 1.5 sizes"),
        pytest.param(Room(10_000 * MIB, 100 * MIB, 11.0), Action.HOLD, id="memory pressure"),
        pytest.param(Room(None, 100 * MIB, None), Action.SCALE_UP, id="a host that does not tell"),
    ],
)
def test_no_step_up_without_room(room: Room, action: Action) -> None:
    """A13."""
    answer = decision(PRESSED, fleet=replace(FLEET, room=room))
    assert answer.action is action
    if action is Action.HOLD:
        assert codes(answer) == [Code.NO_ROOM]
        assert "MiB" in answer.reasons[0].text or "%" in answer.reasons[0].text


def test_room_and_starting_are_notes_in_a_what_if() -> None:
    """A6."""
    crowded = replace(FLEET, room=Room(1, 100 * MIB, 0.0), starting=1)
    answer = decision(PRESSED, fleet=crowded, what_if=frozenset({"queue_depth"}))
    assert answer.action is Action.SCALE_UP
    assert {Code.NO_ROOM, Code.STARTING} <= set(codes(answer, voting=False))


def test_a_hold_beats_everything_and_says_who_and_how_long() -> None:
    answer = decision(PRESSED, hold=Hold("ana", "migration", 90))
    assert (answer.action, answer.target, codes(answer)) == (Action.HOLD, 2, [Code.HELD])
    assert "ana" in answer.reasons[0].text
    assert "90 s" in answer.reasons[0].text


def test_the_answer_says_what_would_change_it() -> None:
    """A1: "needs depth 11, now 7"."""
    assert "depth 11, now 7" in decision(replace(BUSY, queue_depth=Signal.of(7))).next


def test_nobody_reports_workers_so_no_step_up() -> None:
    assert codes(decision(PRESSED, fleet=replace(FLEET, running=None))) == [Code.UNKNOWN]


def readings(low: float, high: float) -> st.SearchStrategy[Signal]:
    return st.one_of(
        st.floats(low, high, allow_nan=False).map(Signal.of),
        st.just(Signal.no_traffic()),
        st.just(Signal.unknown("down")),
        st.just(Signal.not_configured("off")),
    )


ANY_SIGNALS = st.builds(
    Signals,
    p95_ms=readings(0, 400),
    requests=readings(0, 60),
    slow_requests=readings(0, 3),
    queue_depth=readings(0, 25),
    spend_last_24h=readings(0, 60),
    forecast_next_30d=readings(0, 2_000),
)


@given(st.lists(st.tuples(ANY_SIGNALS, st.floats(0.1, 700)), max_size=30), st.integers(1, 4), st.booleans())
def test_no_sequence_leaves_the_bounds_or_moves_more_than_a_step_or_shrinks_on_unknown(
    samples: list[tuple[Signals, float]], start: int, limited: bool
) -> None:
    """A2-A4, S3."""
    rules = LIMITED if limited else RULES
    target, quiet = start, Quiet()
    for signals, elapsed in samples:
        quiet = quiet.after(is_calm=is_calm(signals, rules) is True, elapsed_s=elapsed, tick_s=1_000)
        answer = decide(signals, Context(replace(FLEET, target=target), rules, quiet.accrued_s))
        assert rules.min_workers <= answer.target <= rules.max_workers
        assert abs(answer.target - target) <= 1
        assert (answer.target < target) == (answer.action is Action.SCALE_DOWN)
        assert (answer.target > target) == (answer.action is Action.SCALE_UP)
        assert answer.reasons
        if signals.queue_depth.is_unknown or signals.p95_ms.is_unknown:
            assert answer.target >= target
        if answer.target != target:
            quiet = Quiet()
        target = answer.target
