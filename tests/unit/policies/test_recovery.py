"""Spec I1, I5, I6, W3, W4, W5: when to recover, what to do, and every guard on both sides of its boundary."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from levqor.domain.decisions import Hold
from levqor.domain.fleet import FleetKind
from levqor.domain.incidents import Call, Cause, RefusalCode, StepName, StepStatus, Verdict
from levqor.domain.signals import Signal, Signals
from levqor.policies.recovery import (
    DAY_S,
    HOUR_S,
    Facts,
    PlanFacts,
    RecoveryLimits,
    automatic_refusals,
    is_empty,
    may_go_on,
    plan,
    refusal,
    should_recover,
    verdict,
)
from levqor.policies.slo import Standing
from levqor.settings import Settings

AT = datetime(2026, 3, 1, tzinfo=UTC)
BREACH = Cause("slo:1m", "12 of 60 requests failed", AT)
WATCHDOG, PERSON = Call("watchdog", is_automatic=True, breach=BREACH), Call("ana")
FREE, LIMITS = Facts(), RecoveryLimits()


def test_each_limit_has_a_safe_default() -> None:
    """I6, W3: 30 minutes, 3 attempts, 3 an hour, 7 a day, disarmed after 2, 2 minutes of grace."""
    assert Settings().recovery_limits == RecoveryLimits(1_800.0, 3, 3, 7, 2, 120.0) == LIMITS


def test_free_of_guards_an_automatic_call_may_act() -> None:
    assert refusal(WATCHDOG, FREE, LIMITS) is None
    assert automatic_refusals(FREE, LIMITS) == ()


def test_every_guard_that_says_no_is_named() -> None:
    """I6: a person sees all that must change before Levqor acts by itself, the weightiest first, and a call is told the first."""
    facts = Facts(is_running=True, is_enabled=False, failed_in_a_row=2, automatic_ages_s=(60.0,))
    said = [no.code for no in automatic_refusals(facts, LIMITS)]
    assert said == [RefusalCode.SINGLE_FLIGHT, RefusalCode.AUTORECOVER_OFF, RefusalCode.DISARMED, RefusalCode.COOLDOWN]
    no = refusal(WATCHDOG, facts, LIMITS)
    assert no is not None
    assert no.code is said[0]


@pytest.mark.parametrize(
    ("refused", "allowed", "code"),
    [
        pytest.param(Facts(is_enabled=False), Facts(is_enabled=True), RefusalCode.AUTORECOVER_OFF, id="W4 the flag"),
        pytest.param(Facts(hold=Hold("ana", "release")), Facts(hold=None), RefusalCode.HELD, id="a hold"),
        pytest.param(Facts(failed_in_a_row=2), Facts(failed_in_a_row=1), RefusalCode.DISARMED, id="two without effect"),
        pytest.param(Facts(attempts=3), Facts(attempts=2), RefusalCode.ATTEMPTS, id="attempts of an incident"),
        pytest.param(Facts(since_own_action_s=119.9), Facts(since_own_action_s=120.0), RefusalCode.OWN_ACTION, id="own drain"),
        pytest.param(Facts(automatic_ages_s=(1_799.9,)), Facts(automatic_ages_s=(1_800.0,)), RefusalCode.COOLDOWN, id="W3 cool-down"),
        pytest.param(
            Facts(automatic_ages_s=(1_800.0, 2_700.0, HOUR_S - 0.1)),
            Facts(automatic_ages_s=(1_800.0, 2_700.0, HOUR_S)),
            RefusalCode.PER_HOUR,
            id="three an hour",
        ),
        pytest.param(
            Facts(automatic_ages_s=(*(HOUR_S * n for n in range(1, 7)), DAY_S - 0.1)),
            Facts(automatic_ages_s=(*(HOUR_S * n for n in range(1, 7)), DAY_S)),
            RefusalCode.PER_DAY,
            id="seven a day",
        ),
    ],
)
def test_a_guard_stops_the_watchdog_and_not_a_person(refused: Facts, allowed: Facts, code: RefusalCode) -> None:
    """I6: a person's call passes cool-down, caps, hold and disarm."""
    no = refusal(WATCHDOG, refused, LIMITS)
    assert no is not None
    assert no.code is code
    assert refusal(WATCHDOG, allowed, LIMITS) is None
    assert refusal(PERSON, refused, LIMITS) is None


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        pytest.param(Facts(is_running=True), RefusalCode.SINGLE_FLIGHT, id="single flight"),
        pytest.param(Facts(store_problem="refused"), RefusalCode.STORE_DOWN, id="store"),
        pytest.param(Facts(database_problem="gone"), RefusalCode.DATABASE_DOWN, id="database"),
    ],
)
@pytest.mark.parametrize("call", [WATCHDOG, PERSON], ids=["watchdog", "person"])
def test_single_flight_and_what_is_down_stop_everybody(facts: Facts, code: RefusalCode, call: Call) -> None:
    """I6."""
    no = refusal(call, facts, LIMITS)
    assert no is not None
    assert no.code is code


def test_a_refusal_says_until_when() -> None:
    no = refusal(WATCHDOG, Facts(automatic_ages_s=(900.0, 86_000.0)), LIMITS)
    assert no is not None
    assert "900 s more" in no.text


@pytest.mark.parametrize(
    ("facts", "code"),
    [(Facts(is_enabled=False), RefusalCode.AUTORECOVER_OFF), (Facts(hold=Hold("ana", "stop")), RefusalCode.HELD), (FREE, None)],
)
def test_between_two_steps_a_person_may_say_stop(facts: Facts, code: RefusalCode | None) -> None:
    """F3: in effect within one tick."""
    no = may_go_on(facts)
    assert (None if no is None else no.code) is code


@pytest.mark.parametrize(
    ("signals", "breach", "count"),
    [
        pytest.param(Signals(error_rate=Signal.of(0.01), failures_5m=Signal.of(0)), None, 0, id="exactly 1 %"),
        pytest.param(Signals(error_rate=Signal.of(0.0101), failures_5m=Signal.of(0)), None, 1, id="above 1 %"),
        pytest.param(Signals(error_rate=Signal.of(0), failures_5m=Signal.of(1)), None, 1, id="one failed attempt"),
        pytest.param(Signals(error_rate=Signal.no_traffic(), failures_5m=Signal.of(0)), None, 0, id="no traffic"),
        pytest.param(Signals(), None, 0, id="unknown is no reason"),
        pytest.param(Signals(), BREACH, 1, id="the watchdog calls"),
        pytest.param(Signals(error_rate=Signal.of(0.5), failures_5m=Signal.of(9)), BREACH, 3, id="all of it"),
    ],
)
def test_what_there_is_to_recover_from(signals: Signals, breach: Cause | None, count: int) -> None:
    """I1."""
    assert len(should_recover(signals, breach)) == count


FULL = PlanFacts(
    dead_letters={"chosen": 4, "waiting": 2, "quarantine": 1, "groups": []},
    workers={"w1": 11, "w2": 12},
    web={"a/web": 7},
    is_rotation_enabled=True,
)


def statuses(facts: PlanFacts) -> list[str]:
    return [step.status.value for step in plan(facts)]


def test_a_full_plan_has_the_three_steps_in_order_with_real_figures() -> None:
    """I1, I2."""
    steps = plan(FULL)
    assert [step.name for step in steps] == [StepName.FLUSH, StepName.RESTART, StepName.ROTATE]
    assert {step.status for step in steps} == {StepStatus.PLANNED}
    assert steps[1].before == {"workers": {"w1": 11, "w2": 12}}
    assert "4 to requeue, 1 to quarantine, 2 wait" in steps[0].detail
    assert steps[2].before == {"web": {"a/web": 7}, "reload_command": False}


@pytest.mark.parametrize(
    ("facts", "position", "word"),
    [
        pytest.param(replace(FULL, dead_letters={"chosen": 0, "waiting": 0, "quarantine": 0}), 0, "no dead letters", id="none dead"),
        pytest.param(
            replace(FULL, dead_letters={"chosen": 0, "waiting": 9, "quarantine": 0}), 0, "9 dead letters wait", id="I4 not allowed"
        ),
        pytest.param(replace(FULL, dead_letters=None), 0, "not known", id="broker down"),
        pytest.param(replace(FULL, workers={}), 1, "no worker lives", id="nothing selected is nothing"),
        pytest.param(replace(FULL, workers=None), 1, "not known", id="no agent"),
        pytest.param(replace(FULL, fleet_kind=FleetKind.NONE), 1, "team's own", id="fleet kind none"),
        pytest.param(replace(FULL, fleet_kind=FleetKind.EXTERNAL), 1, "fleet kind external", id="fleet kind external"),
        pytest.param(replace(FULL, is_rotation_enabled=False), 2, "NEW_QUEUE_ENABLED is false", id="flag off"),
        pytest.param(replace(FULL, is_rotation_enabled=None), 2, "not known", id="flags unknown"),
        pytest.param(replace(FULL, web={}), 2, "not ours", id="I5 not ours"),
    ],
)
def test_a_step_that_has_nothing_to_do_is_skipped_with_its_reason(facts: PlanFacts, position: int, word: str) -> None:
    steps = plan(facts)
    assert steps[position].status is StepStatus.SKIPPED
    assert word in steps[position].detail
    assert sum(step.status is StepStatus.SKIPPED for step in steps) == 1


def test_an_app_that_can_be_reloaded_is_rotated_without_web_processes_of_ours() -> None:
    assert statuses(replace(FULL, web={}, has_reload_command=True))[2] == "planned"


def test_a_plan_of_nothing_is_empty() -> None:
    """I1: no action, escalate."""
    assert is_empty(plan(PlanFacts()))
    assert not is_empty(plan(FULL))


@pytest.mark.parametrize(
    ("standing", "since_s", "found"),
    [
        pytest.param(Standing.MET, 74.9, None, id="still the old window"),
        pytest.param(Standing.MET, 75.0, Verdict.HELPED, id="back"),
        pytest.param(Standing.BREACHED, 299.9, None, id="there is time left"),
        pytest.param(Standing.BREACHED, 300.0, Verdict.NO_EFFECT, id="not back"),
        pytest.param(Standing.UNKNOWN, 299.9, None, id="unknown waits"),
        pytest.param(Standing.UNKNOWN, 300.0, Verdict.UNKNOWN, id="unknown is no success"),
    ],
)
def test_what_a_recovery_came_to(standing: Standing, since_s: float, found: Verdict | None) -> None:
    """W5."""
    assert verdict(standing, since_s, settle_s=75.0, within_s=300.0) is found
