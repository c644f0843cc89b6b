"""What `decide` makes of P95's last step and of a promise (spec A6, A12, A11)."""

from dataclasses import replace

import pytest

from levqor.domain.decisions import Action, Code, Decision, Hold
from levqor.domain.fleet import FleetKind, FleetState
from levqor.domain.signals import Signal, Signals
from levqor.monitors.records import replay, to_record
from levqor.policies.p95_step import P95State, P95Step
from levqor.policies.scaling import Context, ScalingRules, decide, is_asked_by_p95_alone, p95_sample

RULES = ScalingRules()
FLEET = FleetState(name="default", kind=FleetKind.AGENT, queues=("default",), target=2, running=2)
SLOW = Signals(
    p95_ms=Signal.of(400),
    requests=Signal.of(100),
    slow_requests=Signal.of(100),
    queue_depth=Signal.of(3),
    spend_last_24h=Signal.of(0),
)
DEEP = replace(SLOW, queue_depth=Signal.of(11))
WATCHING = P95Step().stepped(400.0)
FAILED = P95Step(P95State.DID_NOT_HELP, 400.0, 410.0, 120.0)


def context(step: P95Step | None, **changes: object) -> Context:
    return replace(Context(FLEET, RULES, p95_step=step), **changes)  # type: ignore[arg-type]


def codes(answer: Decision, *, voting: bool = True) -> list[Code]:
    return [reason.code for reason in answer.reasons if reason.votes is voting]


@pytest.mark.parametrize(
    ("step", "code"),
    [pytest.param(WATCHING, Code.WATCHING, id="not judged yet"), pytest.param(FAILED, Code.DID_NOT_HELP, id="judged")],
)
def test_p95_alone_asks_for_no_step_while_its_last_one_is_judged_nor_after_it_did_not_help(step: P95Step, code: Code) -> None:
    """A12."""
    answer = decide(SLOW, context(step))
    assert (answer.action, answer.target, codes(answer)) == (Action.HOLD, 2, [code])
    assert Code.P95_HIGH in codes(answer, voting=False)
    assert "P95 counts again once" in answer.next


@pytest.mark.parametrize("step", [None, P95Step(), WATCHING, FAILED])
def test_depth_is_never_blocked_by_it(step: P95Step | None) -> None:
    """A12: with P95 beside it or without."""
    for signals in (DEEP, replace(DEEP, p95_ms=Signal.unknown("away"))):
        assert decide(signals, context(step)).action is Action.SCALE_UP


@pytest.mark.parametrize("step", [None, P95Step()])
def test_p95_alone_asks_where_nothing_is_remembered(step: P95Step | None) -> None:
    answer = decide(SLOW, context(step))
    assert (answer.action, answer.target) == (Action.SCALE_UP, 3)
    assert is_asked_by_p95_alone(answer.reasons)
    assert not is_asked_by_p95_alone(decide(DEEP, context(step)).reasons)


def test_in_a_what_if_it_is_a_note_and_no_vote() -> None:
    """A6."""
    answer = decide(SLOW, context(FAILED, what_if=frozenset({"p95_ms"})))
    assert answer.action is Action.SCALE_UP
    assert Code.DID_NOT_HELP in codes(answer, voting=False)


def test_guards_speak_before_it() -> None:
    """The order of the codes."""
    assert codes(decide(SLOW, context(FAILED, hold=Hold("ana", "look")))) == [Code.HELD]
    assert codes(decide(SLOW, context(FAILED, fleet=replace(FLEET, starting=1)))) == [Code.STARTING]
    assert codes(decide(SLOW, context(FAILED, fleet=replace(FLEET, target=4)))) == [Code.AT_MAX]


@pytest.mark.parametrize(
    ("signals", "value", "is_calm"),
    [
        pytest.param(SLOW, 400.0, False, id="with evidence"),
        pytest.param(replace(SLOW, requests=Signal.of(19)), None, False, id="too few requests judge nothing"),
        pytest.param(replace(SLOW, requests=Signal.of(19), slow_requests=Signal.of(0)), None, True, id="few, and none slow: calm"),
        pytest.param(replace(SLOW, p95_ms=Signal.of(39.9)), 39.9, True, id="below 40 ms"),
        pytest.param(replace(SLOW, p95_ms=Signal.of(40)), 40.0, False, id="40 ms are not calm"),
        pytest.param(replace(SLOW, p95_ms=Signal.no_traffic()), None, True, id="no traffic"),
        pytest.param(replace(SLOW, p95_ms=Signal.unknown("away")), None, False, id="unknown is never calm"),
        pytest.param(replace(SLOW, requests=Signal.unknown("away")), None, False, id="unknown evidence"),
    ],
)
def test_p95_is_judged_with_evidence_and_is_calm_as_a_step_down_means_it(signals: Signals, value: float | None, is_calm: bool) -> None:
    """A3, A12, S3."""
    sample = p95_sample(signals, RULES)
    assert (sample.value_ms, sample.is_calm) == (value, is_calm)


def test_a_step_up_says_when_the_queue_will_be_clear() -> None:
    answer = decide(DEEP, context(None, depth_slope=-0.5))
    notes = {reason.code: reason.text for reason in answer.reasons if not reason.votes}
    assert notes[Code.PROMISE].startswith("clear in about 22 s")
    assert Code.PROMISE not in codes(decide(SLOW, context(FAILED)), voting=False)


@pytest.mark.parametrize("step", [None, WATCHING, FAILED, P95Step(P95State.WATCHING, 400.123456789, None, 33.3333333)])
def test_records_replay_with_what_was_remembered(step: P95Step | None) -> None:
    """A11."""
    for signals in (SLOW, DEEP):
        given = context(step, depth_slope=-0.123456)
        decision = decide(signals, given)
        assert replay(to_record(signals, given, decision)) == decision


def test_an_older_record_still_replays() -> None:
    """A11: it knows nothing of steps and slopes."""
    given = context(None)
    decision = decide(SLOW, given)
    record = to_record(SLOW, given, decision)
    for name in ("p95_step", "depth_slope"):
        del record["context"][name]
    for name in ("name", "wait_slo_s", "worker_start_s"):
        record["context"]["rules"].pop(name)
    assert replay(record) == decision
