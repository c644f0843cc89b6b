"""The `wait` rule on both sides of each boundary (spec A12, S3), its guards, and properties that no load may break."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levqor.domain.decisions import Action, Code, Decision, Hold
from levqor.domain.fleet import FleetKind, FleetState, Room
from levqor.domain.signals import Signal, Signals
from levqor.policies.scaling import Context, ScalingRules, decide
from levqor.policies.wait import Load, WaitMemory, WaitRules, decide_target, predicted_wait_s, propose, smallest_pool, wait_limit_s

RULES = WaitRules(share=0.625, pause_s=10.0, pause_starts=0.5)
"""Round dials: with a tick of 2 s the limit is 2.5 s, the pause 11 s."""
IDLE = Load(
    target=2,
    min_workers=1,
    max_workers=4,
    depth=0,
    busy=0,
    workers=2,
    starting=0,
    arrival_rate=0.0,
    mean_service_s=1.0,
    oldest_wait_s=None,
    elapsed_s=2.0,
)
FULL = replace(IDLE, depth=5, busy=2, arrival_rate=2.0, oldest_wait_s=1.0)
"""Arrivals are just what two workers do, so that the queue stays as it is."""


def ticks(load: Load, count: int, memory: WaitMemory | None = None, rules: WaitRules = RULES) -> WaitMemory:
    """The memory after the same load was seen so many times."""
    memory = memory or WaitMemory()
    for _ in range(count):
        memory = memory.after(load, rules)
    return memory


@pytest.mark.parametrize(
    ("depth", "target"),
    [
        pytest.param(5, 2, id="2.5 s is not above the limit"),
        pytest.param(6, 3, id="3 s is; three keep it at 2 s"),
        pytest.param(8, 4, id="three would leave it at 2.7 s"),
        pytest.param(900, 4, id="never above the maximum"),
    ],
)
def test_the_pool_is_the_smallest_that_keeps_the_predicted_wait_within_its_limit(depth: int, target: int) -> None:
    """A12: steps are proportional."""
    proposal = propose(replace(FULL, depth=depth), WaitMemory(), RULES)
    assert (proposal.target, proposal.is_pressed) == (target, target > 2)


def test_growth_until_a_new_worker_helps_is_part_of_the_prediction() -> None:
    """Four jobs wait and one more comes each second: six will wait in two seconds."""
    assert predicted_wait_s(replace(FULL, depth=4), RULES, 2) == pytest.approx(2.0)
    assert predicted_wait_s(replace(FULL, depth=4, arrival_rate=3.0), RULES, 2) == pytest.approx(3.0)
    assert propose(replace(FULL, depth=4, arrival_rate=3.0), WaitMemory(), RULES).target == 3


def test_workers_that_start_count_as_ready() -> None:
    """They are paid already: another step is for what they will not carry."""
    pressed = replace(FULL, depth=6, arrival_rate=4.0, target=4, max_workers=9)
    assert predicted_wait_s(replace(pressed, starting=2), RULES, 4) == pytest.approx(1.5)
    assert propose(replace(pressed, starting=2), WaitMemory(), RULES).target == 4


def test_no_job_and_no_worker_is_no_wait_and_one_job_without_worker_waits_for_ever() -> None:
    """WORKERS_MIN=0: from nothing it goes up with the first job."""
    empty = replace(IDLE, target=0, min_workers=0, workers=0)
    assert propose(empty, WaitMemory(), RULES).target == 0
    answer = propose(replace(empty, depth=1), WaitMemory(), RULES)
    assert (answer.target, "without end" in answer.reasons[0].text) == (1, True)


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        pytest.param({"oldest_wait_s": 5.0}, 2, id="five seconds are not late"),
        pytest.param({"oldest_wait_s": 5.1}, 3, id="later is: one more"),
        pytest.param({"oldest_wait_s": 5.1, "busy": 1}, 2, id="a worker is idle, so more of them would not help"),
        pytest.param({"oldest_wait_s": None}, 2, id="unknown"),
    ],
)
def test_a_job_that_waits_too_long_asks_for_one_more_where_all_are_busy(changes: dict[str, float | None], target: int) -> None:
    late = replace(FULL, depth=1, **changes)  # type: ignore[arg-type]
    assert propose(late, WaitMemory(), RULES).target == target


@pytest.mark.parametrize(
    ("load", "needed"),
    [
        pytest.param(replace(IDLE, target=4, busy=2), 2, id="as many as jobs run"),
        pytest.param(replace(IDLE, target=4, busy=1, depth=2), 3, id="and wait"),
        pytest.param(replace(IDLE, target=4, arrival_rate=0.78), 2, id="0.78 jobs a second, and the error of 12 counted"),
        pytest.param(replace(IDLE, target=4, arrival_rate=0.77), 1, id="just below"),
        pytest.param(replace(IDLE, target=4, arrival_rate=0.77, mean_service_s=2.0), 2, id="longer jobs"),
    ],
)
def test_the_smallest_pool_carries_the_jobs_in_the_system_and_the_load_with_its_error(load: Load, needed: int) -> None:
    assert smallest_pool(load, WaitMemory(), RULES) == needed


@pytest.mark.parametrize(("count", "target"), [(5, 4), (6, 1)])
def test_workers_go_once_fewer_were_enough_for_the_pause(count: int, target: int) -> None:
    """10 s are not the 11 s of the pause, 12 s are."""
    load = replace(IDLE, target=4)
    assert propose(load, ticks(load, count), RULES).target == target


def test_it_goes_down_to_the_most_that_was_needed_in_the_pause() -> None:
    load = replace(IDLE, target=4)
    memory = ticks(load, 7, ticks(replace(load, busy=2), 1))
    proposal = propose(load, memory, RULES)
    assert (proposal.target, proposal.reasons[0].code) == (2, Code.WAIT_LOW)


def test_one_sample_that_needs_them_all_begins_the_pause_anew() -> None:
    load = replace(IDLE, target=2)
    assert ticks(replace(load, busy=2), 1, ticks(load, 5)).low_s == 0.0


def test_a_target_set_by_anybody_begins_the_pause_anew_and_counts_as_a_change() -> None:
    memory = ticks(replace(IDLE, target=3), 1, ticks(replace(IDLE, target=4), 9))
    assert (memory.low_s, round(memory.changes, 2)) == (2.0, 1.0)
    stale = propose(replace(IDLE, target=3), ticks(replace(IDLE, target=4), 9), RULES)
    assert stale.target == 3, "what was seen under another target allows nothing"


def test_a_tick_that_did_not_happen_adds_nothing() -> None:
    """P1: the first tick of a term counts no time."""
    before = ticks(replace(IDLE, target=4), 3)
    after = before.after(replace(IDLE, target=4, elapsed_s=0.0), RULES)
    assert after == before


def test_many_changes_make_the_pause_longer_and_never_longer_than_ten_minutes() -> None:
    """The flap budget: from half of 40 an hour on."""
    pauses = [WaitMemory(changes=changes).pause_s(IDLE, RULES) for changes in (0, 20, 40, 80, 4_000)]
    assert pauses[:2] == [11.0, 11.0]
    assert pauses[2] == pytest.approx(11.0 * 2.718, rel=1e-3)
    assert pauses == sorted(pauses)
    assert pauses[-1] == 600.0


def test_the_pause_is_never_shorter_than_a_job() -> None:
    assert WaitMemory().pause_s(replace(IDLE, mean_service_s=90.0), RULES) == 90.0


def test_late_jobs_lower_the_limit_and_none_raise_it() -> None:
    """It aims at 0.6 % late: a day's experience makes it careful or thrifty, and little experience does nothing."""
    none, few = WaitMemory(), WaitMemory(begun=50.0, late=5.0)
    good, bad, worst = (WaitMemory(begun=40_000.0, late=late) for late in (0.0, 400.0, 40_000.0))
    limits = [wait_limit_s(memory, RULES) for memory in (worst, bad, none, good)]
    assert limits == sorted(limits)
    assert wait_limit_s(none, RULES) == pytest.approx(2.5)
    assert wait_limit_s(few, RULES) == pytest.approx(2.5, rel=0.15)
    assert limits[0] == pytest.approx(2.5 / 3.0)
    assert limits[-1] == pytest.approx(2.5 * 1.5)


def test_a_slower_tick_lowers_the_limit() -> None:
    """For half a tick, as a mean, nobody looks."""
    memories = [ticks(replace(FULL, elapsed_s=tick_s), 1) for tick_s in (1.0, 2.0, 5.0, 60.0)]
    assert [round(wait_limit_s(memory, RULES), 1) for memory in memories] == [2.8, 2.5, 1.6, 0.3]


def test_a_jobs_length_is_that_of_about_a_hundred_jobs() -> None:
    """A few short ones tell little: 0.9 of the way after 230."""
    short = replace(FULL, mean_service_s=0.5)
    settled = [ticks(short, count, ticks(FULL, 1)).mean_service_s or 0.0 for count in (1, 60)]
    assert settled[0] == pytest.approx(0.98, abs=0.01)
    assert settled[1] == pytest.approx(0.5, abs=0.1)


def test_late_is_what_begins_while_the_oldest_waits_longer_than_the_objective() -> None:
    """Two busy workers begin two jobs of a second each second (Little's law)."""
    memory = ticks(replace(FULL, oldest_wait_s=5.1), 3, ticks(FULL, 3))
    assert (round(memory.begun, 1), round(memory.late, 1)) == (24.0, 12.0)


@pytest.mark.parametrize(
    ("start_s", "target"), [pytest.param(5.0, 2, id="a step still helps in time"), pytest.param(5.1, 3, id="it does not")]
)
def test_workers_stand_ready_where_a_start_up_takes_longer_than_the_objective(start_s: float, target: int) -> None:
    rules = replace(RULES, start_s=start_s)
    proposal = propose(replace(IDLE, busy=2, arrival_rate=2.0, max_workers=9), WaitMemory(), rules)
    assert proposal.target == target


UNKNOWN = ["depth", "busy", "workers", "arrival_rate", "mean_service_s"]


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_lets_no_worker_go_and_is_named(name: str) -> None:
    """S3."""
    load = replace(IDLE, target=4, busy=1, arrival_rate=0.1)
    memory = ticks(load, 20)
    assert propose(load, memory, RULES).target == 1
    blind = replace(load, **{name: None})  # type: ignore[arg-type]
    proposal = propose(blind, memory.after(blind, RULES), RULES)
    assert (proposal.target, proposal.reasons[0].code, name in proposal.reasons[0].text) == (4, Code.UNKNOWN, True)


@pytest.mark.parametrize("name", [name for name in UNKNOWN if name != "depth"])
def test_a_known_queue_may_ask_for_workers_while_the_rest_is_unknown(name: str) -> None:
    """S3: a job's length is then taken to be a second."""
    proposal = propose(replace(FULL, depth=20, **{name: None}), WaitMemory(), RULES)  # type: ignore[arg-type]
    assert (proposal.target, proposal.is_pressed) == (4, True)


def test_a_fleet_that_never_ran_a_job_may_shrink() -> None:
    """Where nothing arrives and nothing runs, a job's length does not matter."""
    load = replace(IDLE, target=4, mean_service_s=None)
    assert propose(load, ticks(load, 6), RULES).target == 1


counts = st.integers(0, 60)
loads = st.builds(
    Load,
    target=st.integers(1, 8),
    min_workers=st.just(1),
    max_workers=st.just(8),
    depth=st.none() | counts,
    busy=st.none() | st.integers(0, 8),
    workers=st.none() | st.integers(0, 8),
    starting=st.integers(0, 3),
    arrival_rate=st.none() | st.floats(0, 30),
    mean_service_s=st.none() | st.floats(0.01, 60),
    oldest_wait_s=st.none() | st.floats(0, 600),
    elapsed_s=st.floats(0, 5),
)
memories = st.builds(
    WaitMemory,
    target=st.none() | st.integers(1, 8),
    tick_s=st.floats(0.1, 60),
    low_s=st.floats(0, 700),
    low_most=st.integers(0, 8),
    changes=st.floats(0, 100),
    begun=st.floats(0, 1e6),
    late=st.floats(0, 1e4),
)


@given(loads, memories)
def test_the_answer_is_within_the_bounds_and_says_why(load: Load, memory: WaitMemory) -> None:
    target, after, reasons = decide_target(load, memory, RULES)
    assert load.min_workers <= target <= load.max_workers
    assert reasons
    assert all(reason.text for reason in reasons)
    assert (target, after, reasons) == decide_target(load, memory, RULES), "same arguments, same answer"


@given(loads, memories)
def test_unknown_never_shrinks(load: Load, memory: WaitMemory) -> None:
    """S3."""
    target, _, _ = decide_target(load, memory, RULES)
    if load.unknown_names:
        assert target >= load.target


@given(loads, memories, counts)
def test_more_jobs_never_mean_fewer_workers(load: Load, memory: WaitMemory, more: int) -> None:
    """Monotone in the queue and in the arrival rate."""
    if load.depth is None or load.arrival_rate is None:
        return
    heavier = replace(load, depth=load.depth + more, arrival_rate=load.arrival_rate + more / 10)
    assert propose(heavier, memory, RULES).target >= propose(load, memory, RULES).target


@given(memories)
def test_memory_survives_its_way_through_the_database(memory: WaitMemory) -> None:
    assert WaitMemory.from_dict(memory.as_dict()) == memory
    assert WaitMemory.from_dict({**memory.as_dict(), "a_later_versions": 1}) == memory
    assert WaitMemory.from_dict({}) == WaitMemory()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 3), st.floats(0.0, 3.9))
def test_under_a_constant_load_it_settles(busy: int, rate: float) -> None:
    """No oscillation: at most one step, whatever the load."""
    memory, targets = WaitMemory(), [2]
    for _ in range(100):
        load = replace(IDLE, target=targets[-1], workers=targets[-1], busy=min(busy, targets[-1]), arrival_rate=rate)
        target, memory, _ = decide_target(load, memory, RULES)
        targets.append(target)
    changed = sum(one != two for one, two in pairwise(targets))
    assert changed <= 2
    assert len(set(targets[50:])) == 1


# Through `decide`: guards, words, what if.

FLEET = FleetState(name="default", kind=FleetKind.AGENT, queues=("default",), target=3, running=3)
PRESSED = Signals(
    queue_depth=Signal.of(19),
    running=Signal.of(3),
    oldest_wait_s=Signal.of(4),
    arrival_rate=Signal.of(3),
    mean_service_s=Signal.of(1),
    spend_last_24h=Signal.of(0),
)
CALM = replace(PRESSED, queue_depth=Signal.of(0), running=Signal.of(0), oldest_wait_s=Signal.no_traffic(), arrival_rate=Signal.of(0))
LIVE = ScalingRules(name="wait", max_workers=9, wait_slo_s=5.0, worker_start_s=2.0)


def decision(signals: Signals, *, rules: ScalingRules = LIVE, **changes: object) -> Decision:
    return decide(signals, replace(Context(fleet=FLEET, rules=rules), **changes))  # type: ignore[arg-type]


def test_a_step_up_says_what_it_predicts_and_may_be_of_several_workers() -> None:
    answer = decision(PRESSED)
    assert (answer.action, answer.current, answer.target) == (Action.SCALE_UP, 3, 9)
    assert answer.reasons[0].text == "jobs in the system 22, predicted wait 6.3 s > 2.2 s at 3 workers; 9 keep it at 2.1 s"
    assert answer.next == "a step to 9; the next one is for what these will not carry"
    assert answer.inputs["arrival_rate"].value == 3


@pytest.mark.parametrize(
    ("changes", "action", "code"),
    [
        pytest.param({"hold": Hold("ana", "look")}, Action.HOLD, Code.HELD, id="held"),
        pytest.param({"rules": replace(LIVE, max_workers=3)}, Action.HOLD, Code.AT_MAX, id="at the maximum"),
        pytest.param({"fleet": replace(FLEET, running=None)}, Action.HOLD, Code.UNKNOWN, id="no agent is heard"),
        pytest.param({"fleet": replace(FLEET, room=Room(1, 10, None))}, Action.HOLD, Code.NO_ROOM, id="no memory"),
        pytest.param(
            {"fleet": replace(FLEET, starting=2, room=Room(31, 10, None))}, Action.HOLD, Code.NO_ROOM, id="those that start need it"
        ),
        pytest.param({"rules": replace(LIVE, daily_spend_limit=Decimal(1))}, Action.SCALE_UP, Code.WAIT_HIGH, id="money allows it"),
    ],
)
def test_guards_speak_before_the_rule(changes: dict[str, object], action: Action, code: Code) -> None:
    """A2, A4, A13: the same guards for every rule."""
    answer = decision(PRESSED, **changes)  # type: ignore[arg-type]
    assert (answer.action, answer.reasons[0].code) == (action, code)
    assert answer.is_step is (action is Action.SCALE_UP)


@pytest.mark.parametrize(("spent", "action", "code"), [(0.89, Action.SCALE_UP, Code.WAIT_HIGH), (0.9, Action.FREEZE, Code.FREEZE)])
def test_spend_freezes_steps_up(spent: float, action: Action, code: Code) -> None:
    """A4."""
    answer = decision(replace(PRESSED, spend_last_24h=Signal.of(spent)), rules=replace(LIVE, daily_spend_limit=Decimal(1)))
    assert (answer.action, answer.reasons[0].code) == (action, code)


def test_unknown_spend_with_a_limit_allows_no_step_up() -> None:
    """A4."""
    answer = decision(replace(PRESSED, spend_last_24h=Signal.unknown("gone")), rules=replace(LIVE, daily_spend_limit=Decimal(1)))
    assert (answer.action, answer.reasons[0].code) == (Action.HOLD, Code.SPEND_UNKNOWN)


@pytest.mark.parametrize(
    ("free", "target"), [pytest.param(30, 4, id="1.5 x 10 x 2 is not above 30"), pytest.param(31, 5, id="room for two")]
)
def test_a_step_is_as_large_as_there_is_room_for(free: int, target: int) -> None:
    """A13."""
    answer = decision(PRESSED, fleet=replace(FLEET, room=Room(free, 10, None)))
    assert answer.target == target
    assert any(reason.code is Code.NO_ROOM and not reason.votes for reason in answer.reasons)


def test_the_price_is_that_of_all_workers_of_the_step() -> None:
    """A4."""
    answer = decision(PRESSED, rules=replace(LIVE, worker_hourly_cost=Decimal("0.5")))
    assert [reason.text for reason in answer.reasons if reason.code is Code.STEP_PRICE] == ["6 more workers cost 3.00 an hour, 72.00 a day"]


def test_p95_has_no_vote() -> None:
    slow = replace(CALM, p95_ms=Signal.of(9_000), requests=Signal.of(500))
    assert decision(slow).action is Action.HOLD
    assert decision(replace(CALM, p95_ms=Signal.unknown("gone")), wait=_calm_for(60)).action is Action.SCALE_DOWN


def _calm_for(seconds: float) -> WaitMemory:
    return WaitMemory(target=3, low_s=seconds, low_most=1)


@pytest.mark.parametrize(("low_s", "action", "target"), [(7.7, Action.HOLD, 3), (7.8, Action.SCALE_DOWN, 1)])
def test_a_step_down_comes_after_the_pause_and_may_be_of_several_workers(low_s: float, action: Action, target: int) -> None:
    answer = decision(CALM, wait=_calm_for(low_s))
    assert (answer.action, answer.target) == (action, target)


def test_a_freeze_lets_a_step_down_pass() -> None:
    """A4."""
    answer = decision(replace(CALM, spend_last_24h=Signal.of(1)), rules=replace(LIVE, daily_spend_limit=Decimal(1)), wait=_calm_for(60))
    assert (answer.action, answer.target) == (Action.SCALE_DOWN, 1)


@pytest.mark.parametrize(("calm_s", "action"), [(7.0, Action.HOLD), (8.0, Action.SCALE_DOWN)])
def test_what_if_it_had_been_calm_for_so_long(calm_s: float, action: Action) -> None:
    """A6."""
    assert decision(CALM, calm_s=calm_s, what_if=frozenset({"calm_for_s"})).action is action


@pytest.mark.parametrize(
    ("signals", "memory", "words"),
    [
        (CALM, WaitMemory(), "up needs a predicted wait above 2.2 s, now 0.0 s; down needs 8 s more in which 1 worker would be enough"),
        (
            replace(CALM, running=Signal.of(3)),
            WaitMemory(),
            "up needs a predicted wait above 2.2 s, now 0.0 s; down needs a load of at most 2 workers, now 3",
        ),
        (replace(CALM, running=Signal.unknown("gone")), WaitMemory(), "up needs a predicted wait above 2.2 s, now 0.0 s; down needs busy"),
    ],
)
def test_next_says_what_would_change_the_decision(signals: Signals, memory: WaitMemory, words: str) -> None:
    """A1."""
    assert decision(signals, wait=memory).next == words
