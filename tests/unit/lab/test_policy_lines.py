"""`lab policy`: a tick a line in, a target a line out (spec A12, L1)."""

import json
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from tests.unit.lab.ticking import CALM, Plan, Witness
from typer.testing import CliRunner

from levqor.cli.lab import lab
from levqor.lab.policies import POLICIES, make_policy
from levqor.lab.policy_lines import MAX_LINE, target_lines
from levqor.lab.simulator import Case, play
from levqor.lab.ticks import Tick
from levqor.lab.traces import find_trace
from levqor.lab.workload import make_workload

Answers = list[dict[str, Any]]


def line(tick: Tick = CALM, **changes: object) -> str:
    return json.dumps({**asdict(tick), **changes})


def ask(*lines: str, name: str = "wait") -> Answers:
    return [json.loads(answer) for answer in target_lines(lines, lambda: make_policy(name))]


@pytest.mark.parametrize("name", ["wait", "threshold", "knative"])
def test_the_same_ticks_get_the_same_targets_as_in_the_simulator(name: str) -> None:
    witness = Witness(make_policy(name))
    case = Case()
    play(make_workload(find_trace("azure_llm_conv"), 4, 1, hours=0.5), witness, case)
    asked = "".join(f"{line(tick)}\n" for tick in witness.ticks)
    result = CliRunner().invoke(lab, ["policy", name], input=asked)
    assert result.exit_code == 0
    assert [json.loads(answer) for answer in result.stdout.splitlines()] == [
        {"target": min(4, max(1, target))} for target in witness.targets
    ]
    assert len(set(witness.targets)) > 1


def test_the_fields_are_those_of_the_contract() -> None:
    assert list(asdict(CALM)) == [
        "t",
        "dt",
        "workers",
        "starting",
        "draining",
        "target",
        "min_workers",
        "max_workers",
        "depth",
        "busy",
        "oldest_wait_s",
        "arrivals",
        "started",
        "p95_wait_s",
        "mean_service_s",
        "utilisation",
        "slo_s",
        "startup_s",
    ]


def test_the_memory_lasts_over_the_lines_of_a_run_and_a_t_that_goes_back_begins_a_new_one() -> None:
    grown = line(t=5.0, depth=9), line(t=10.0, target=4, workers=4), line(t=45.0, target=4, workers=4)
    assert ask(*grown, name="celery") == [{"target": 4}, {"target": 4}, {"target": 1}]
    anew = ask(line(t=5.0, depth=9), line(t=4.0, target=4, workers=4), line(t=45.0, target=4, workers=4), name="celery")
    assert [answer["target"] for answer in anew] == [4, 4, 4], "the new run has never grown, so it does not shrink"


def test_the_answer_keeps_within_the_limits() -> None:
    assert ask(line(min_workers=2, max_workers=3, depth=999), name="static-1") == [{"target": 2}]
    assert ask(line(min_workers=0, max_workers=3, depth=999), name="static-max") == [{"target": 3}]


def test_a_bad_line_gets_an_error_and_changes_no_memory() -> None:
    answers = ask(line(t=5.0, depth=9), "x", line(t=10.0, depth=-1), line(t=1.0, depth="9"), line(t=45.0, target=4), name="celery")
    assert [set(answer) for answer in answers] == [{"target"}, {"error"}, {"error"}, {"error"}, {"target"}]
    assert answers[-1] == {"target": 1}


def test_the_same_moment_twice_is_an_error_and_empty_lines_are_passed_over() -> None:
    first, second = ask(line(), "", "  \n", line())
    assert first == {"target": 1}
    assert "later moment" in second["error"]


BAD: list[tuple[Callable[[], str], str]] = [
    (lambda: "[1]", "JSON object"),
    (lambda: "{", "JSON object"),
    (lambda: "1" * (MAX_LINE + 1), "at most"),
    (lambda: line(depth=[]), "depth"),
    (lambda: line(depth=True), "depth"),
    (lambda: line(depth=1.5), "depth"),
    (lambda: line(depth=-1), "depth"),
    (lambda: line(depth=10**13), "depth"),
    (lambda: line(t=float("nan")), "t:"),
    (lambda: line(t=float("inf")), "t:"),
    (lambda: line(t=-1), "t:"),
    (lambda: line(t=None), "t:"),
    (lambda: line(t="5"), "t:"),
    (lambda: line(dt=-1), "dt"),
    (lambda: line(slo_s=0), "slo_s"),
    (lambda: line(startup_s=-0.1), "startup_s"),
    (lambda: line(max_workers=0), "max_workers"),
    (lambda: line(max_workers=10**7), "max_workers"),
    (lambda: line(min_workers=5), "min_workers"),
    (lambda: line(target=None), "target"),
    (lambda: line(utilisation=float("nan")), "utilisation"),
    (lambda: line().replace('"depth": 0', '"depth": ' + "9" * 5000), "JSON object"),
]


@pytest.mark.parametrize(("make", "named"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_a_bad_field_is_named(make: Callable[[], str], named: str) -> None:
    (answer,) = ask(make())
    assert set(answer) == {"error"}
    assert named in answer["error"]
    assert len(answer["error"]) < 200


@pytest.mark.parametrize("name", list(asdict(CALM)))
def test_every_field_must_be_there(name: str) -> None:
    fields = asdict(CALM)
    del fields[name]
    (answer,) = ask(json.dumps(fields))
    assert answer["error"].startswith(f"{name}: expected")


def test_null_says_that_a_signal_is_unknown_and_more_fields_do_no_harm() -> None:
    signals = dict.fromkeys(("depth", "busy", "oldest_wait_s", "arrivals", "started", "p95_wait_s", "mean_service_s", "utilisation"), None)
    assert ask(line(replace(CALM, target=3, workers=3), **signals, remark="x")) == [{"target": 3}]


@pytest.mark.parametrize("name", list(POLICIES))
def test_no_tick_that_is_taken_breaks_a_policy(name: str) -> None:
    """Each field at its bounds, alone and all together, in one run."""
    bounds: dict[str, tuple[float | None, ...]] = {
        "dt": (0, 1e9),
        "workers": (0, 10**6),
        "starting": (0, 10**6),
        "draining": (0, 10**6),
        "target": (0, 10**6),
        "min_workers": (0,),
        "max_workers": (1, 10**6),
        "depth": (None, 0, 10**12),
        "busy": (None, 0, 10**12),
        "oldest_wait_s": (None, 0, 1e9),
        "arrivals": (None, 0, 10**12),
        "started": (None, 0, 10**12),
        "p95_wait_s": (None, 0, 1e9),
        "mean_service_s": (None, 0, 5e-324, 1e9),
        "utilisation": (None, 0, 1e9),
        "slo_s": (0.001, 1e9),
        "startup_s": (0, 1e9),
    }
    dice = random.Random(11)
    alone: list[dict[str, Any]] = [{field: value} for field, values in bounds.items() for value in values]
    together: list[dict[str, Any]] = [{field: dice.choice(values) for field, values in bounds.items()} for _ in range(150)]
    lines = [line(t=number * 7.0, **changes) for number, changes in enumerate([*alone, *together])]
    assert [set(answer) for answer in ask(*lines, name=name)] == [{"target"}] * len(lines)


def test_an_unknown_policy_is_refused() -> None:
    result = CliRunner().invoke(lab, ["policy", "nope"], input="")
    assert "no policy" in str(result.exception)


def test_a_plan_is_a_policy() -> None:
    (answer,) = [json.loads(found) for found in target_lines([line()], lambda: Plan((0.0, 3)))]
    assert answer == {"target": 3}
