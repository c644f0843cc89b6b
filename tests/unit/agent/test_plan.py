"""Which workers are spawned and drained for a target (spec A8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levqor.agent.plan import STARTS_AT_ONCE, Plan, Slot, plan, share
from levqor.domain.fleet import WorkerState as State


def slots(*states: State | tuple[State, float]) -> list[Slot]:
    pairs = [state if isinstance(state, tuple) else (state, float(index)) for index, state in enumerate(states)]
    return [Slot(f"w{index}", state, since) for index, (state, since) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("target", "living", "expected"),
    [
        pytest.param(0, [], Plan(), id="nothing wanted, nothing there"),
        pytest.param(2, [], Plan(spawn=2), id="grows to the target"),
        pytest.param(9, [], Plan(spawn=STARTS_AT_ONCE), id="four at once"),
        pytest.param(9, [State.STARTING] * 3, Plan(spawn=1), id="those that start count among the four"),
        pytest.param(9, [State.STARTING] * 4, Plan(), id="and bar a fifth"),
        pytest.param(1, [State.STARTING], Plan(), id="one that starts is on its way"),
        pytest.param(2, [State.IDLE, State.BUSY], Plan(), id="on target"),
        pytest.param(1, [State.BUSY, State.IDLE], Plan(drain=("w1",)), id="idle before busy"),
        pytest.param(1, [State.STARTING, State.IDLE], Plan(drain=("w0",)), id="one without a job yet before an idle one"),
        pytest.param(1, [State.LOST, State.STARTING], Plan(drain=("w0",)), id="one that nobody hears first"),
        pytest.param(1, [State.UNKNOWN, State.BUSY], Plan(drain=("w1",)), id="what is not seen is not called idle"),
        pytest.param(1, [(State.BUSY, 10.0), (State.BUSY, 50.0)], Plan(drain=("w1",)), id="busy: the job that started last"),
        pytest.param(0, [State.BUSY, State.IDLE], Plan(drain=("w1", "w0")), id="never more than needed, the idlest first"),
        pytest.param(1, [State.DRAINING, State.IDLE], Plan(), id="a draining one is not counted"),
        pytest.param(2, [State.DRAINING, State.IDLE], Plan(spawn=1), id="nor called back"),
        pytest.param(0, [State.DRAINING], Plan(), id="nor drained twice"),
    ],
)
def test_plan(target: int, living: list[State | tuple[State, float]], expected: Plan) -> None:
    assert plan(target, slots(*living)) == expected


any_slots = st.lists(st.tuples(st.sampled_from(list(State)), st.floats(0, 1e6)), max_size=12).map(lambda pairs: slots(*pairs))


@given(st.integers(0, 12), any_slots)
def test_a_plan_never_overshoots_and_never_both_spawns_and_drains(target: int, living: list[Slot]) -> None:
    todo = plan(target, living)
    serving = [slot for slot in living if slot.state is not State.DRAINING]
    assert not (todo.spawn and todo.drain)
    assert todo.spawn <= max(0, target - len(serving))
    assert len(todo.drain) == max(0, len(serving) - target)
    assert len(set(todo.drain)) == len(todo.drain)
    assert set(todo.drain) <= {slot.name for slot in serving}


@given(st.integers(0, 12), any_slots)
def test_no_busy_worker_drains_while_an_idle_one_stays(target: int, living: list[Slot]) -> None:
    drained = set(plan(target, living).drain)
    idle_stays = any(slot.state is State.IDLE and slot.name not in drained for slot in living)
    assert not idle_stays or not any(slot.state is State.BUSY and slot.name in drained for slot in living)


@given(st.integers(0, 50), any_slots)
def test_carrying_plans_out_reaches_the_target(target: int, living: list[Slot]) -> None:
    serving = [slot for slot in living if slot.state is not State.DRAINING]
    for _ in range(60):
        todo = plan(target, serving)
        serving = [slot for slot in serving if slot.name not in todo.drain]
        born = len(serving)
        serving = [Slot(slot.name, State.IDLE, slot.since) for slot in serving]
        serving += [Slot(f"new-{born}-{index}", State.STARTING, 0.0) for index in range(todo.spawn)]
    assert len(serving) == target


@pytest.mark.parametrize(
    ("target", "agents", "parts"),
    [
        pytest.param(3, ["a"], {"a": 3}, id="alone: all"),
        pytest.param(4, ["b", "a"], {"a": 2, "b": 2}, id="even"),
        pytest.param(3, ["b", "a"], {"a": 2, "b": 1}, id="the first takes one more"),
        pytest.param(1, ["c", "b", "a"], {"a": 1, "b": 0, "c": 0}, id="fewer than agents"),
        pytest.param(0, ["a", "b"], {"a": 0, "b": 0}, id="none"),
    ],
)
def test_share(target: int, agents: list[str], parts: dict[str, int]) -> None:
    assert {agent: share(target, agents, agent) for agent in agents} == parts


def test_an_agent_that_is_not_listed_yet_counts_itself() -> None:
    assert share(3, [], "a") == 3
    assert share(3, ["a"], "b") == 1


@given(st.integers(0, 1_000), st.sets(st.text(min_size=1, max_size=5), min_size=1, max_size=9))
def test_shares_add_up_to_the_target_and_differ_by_one_at_most(target: int, agents: set[str]) -> None:
    parts = [share(target, sorted(agents), agent) for agent in agents]
    assert sum(parts) == target
    assert max(parts) - min(parts) <= 1
