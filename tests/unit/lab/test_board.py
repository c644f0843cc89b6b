"""`lab score`: policies over traces, and programs as policies (spec A12, L1)."""

import json
import shlex
import sys
from pathlib import Path

import pytest
from tests.unit.lab.ticking import CALM
from typer.testing import CliRunner

from levqor.cli.lab import lab
from levqor.domain.errors import UsageError
from levqor.lab import command
from levqor.lab.board import Figures, Task, beyond_reach, find_traces, rows, score_task, table
from levqor.lab.command import CommandPolicy
from levqor.lab.simulator import Case
from levqor.lab.traces import find_trace, shipped_names

TASK = Task(find_trace("azure_llm_conv"), Case(), 1, ("static-max", "static-1"), hours=0.1)


def program(text: str) -> str:
    return shlex.join([sys.executable, "-c", text])


def test_a_table_for_people() -> None:
    asked = ["score", "azure_llm_conv", "--policy", "static-max", "--policy", "wait", "--hours", "0.1"]
    shown = CliRunner().invoke(lab, asked)
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["policy", "passed", "median", "miss", "median", "ratio", "mean", "ratio", "mean", "score", "actions/h"]
    assert lines[1].startswith("static-max     1/1        0.00%")
    assert "1 of 1: azure_llm_conv" in shown.stderr


def test_json_for_programs_and_two_runs_at_a_time() -> None:
    asked = ["score", "azure_llm_conv", "--policy", "static-max", "--policy", "wait", "--hours", "0.1", "--seeds", "2"]
    told = json.loads(CliRunner().invoke(lab, [*asked, "--json"]).stdout)
    assert told["schema"] == 1
    assert told["case"] == {"max_workers": 4, "startup_s": 2.0, "slo_s": 5.0, "tick_s": 5.0, "min_workers": 1}
    assert [row["policy"] for row in told["policies"]] == ["static-max", "wait"]
    assert [(run["policy"], run["seed"]) for run in told["runs"]] == [("static-max", 1), ("wait", 1), ("static-max", 2), ("wait", 2)]
    assert told["runs"][0] == score_task(TASK)[0].as_dict(), "another process finds the same"


def test_same_seed_same_figures() -> None:
    assert score_task(TASK) == score_task(TASK)


def test_a_folder_stands_for_its_traces_and_nothing_for_the_shipped_ones(tmp_path: Path) -> None:
    assert [trace.name for trace in find_traces([])] == shipped_names()
    with pytest.raises(UsageError, match=r"no \.csv file"):
        find_traces([str(tmp_path)])
    for name in ("b", "a"):
        (tmp_path / f"{name}.csv").write_text("seconds,count\n0,5\n60,7\n")
    assert [trace.name for trace in find_traces([str(tmp_path), "tweets_crm"])] == ["a", "b", "tweets_crm"]
    with pytest.raises(UsageError, match="is no file"):
        find_traces(["nonesuch.csv"])


def test_rows_count_and_average_runs_in_the_order_of_the_policies() -> None:
    def figures(policy: str, *, miss: float, ratio: float, oracle_miss: float = 0.0) -> Figures:
        return Figures(policy, "t", 1, 100, 1.0, miss, miss <= 0.01, ratio, ratio, 8.0, 2.0, 1.0, oracle_miss)

    found = [figures("b", miss=0.0, ratio=2.0), figures("a", miss=0.02, ratio=1.0), figures("b", miss=0.02, ratio=3.0, oracle_miss=0.02)]
    first, second = rows(found)
    assert (first.policy, first.runs, first.passed, first.median_miss, first.mean_ratio) == ("b", 2, 1, 0.01, 2.5)
    assert (second.policy, second.runs, second.passed) == ("a", 1, 0)
    assert "1.00%" in table([first])[1]
    assert beyond_reach(found) == ["t"]
    assert beyond_reach(found[:2]) == []


def test_a_program_is_a_policy() -> None:
    full = program("import sys, json\nfor line in sys.stdin: print(json.dumps({'target': json.loads(line)['max_workers']}), flush=True)")
    ours, _, theirs = score_task(Task(TASK.trace, TASK.case, 1, TASK.policies, (full,), hours=0.1))
    assert (theirs.policy, theirs.ratio, theirs.miss) == (full, ours.ratio, ours.miss)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("print('x', flush=True); input(); input()", "expected"),
        ("input(); print('{\"target\": 1.5}', flush=True); input()", "expected"),
        ("input(); print('{\"target\": -1}', flush=True); input()", "expected"),
        ("input()", "ended without an answer"),
        ("input(); print('9' * 20000, flush=True); input()", "expected"),
    ],
    ids=["no JSON", "half a worker", "negative", "ends", "endless"],
)
def test_a_program_that_breaks_the_protocol_is_named(text: str, said: str) -> None:
    with CommandPolicy(program(text)) as policy, pytest.raises(UsageError, match=said):
        policy.decide(CALM)


def test_a_program_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ANSWER_WITHIN_S", 0.05)
    with CommandPolicy(program("input(); input()")) as policy, pytest.raises(UsageError, match="flush"):
        policy.decide(CALM)


@pytest.mark.parametrize("text", ["/nonesuch/program", "'", ""], ids=["missing", "open quote", "empty"])
def test_a_program_that_cannot_start_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--command"):
        CommandPolicy(text)
