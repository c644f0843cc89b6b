"""Scaling policies on arrival traces: Levqor's rules and others' beside a clairvoyant oracle, and the goals of rule `wait`.

Traces: the CSV files of the folder LEVQOR_TRACES, else those that come with Levqor. Rules of the score: docs/lab.md.
"""

import os
import sys
from dataclasses import dataclass

from levqor.lab.board import Figures, Row, Task, beyond_reach, find_traces, rows, score_tasks, table
from levqor.lab.policies import POLICIES
from levqor.lab.simulator import Case
from levqor.lab.traces import Trace

SEEDS = (1, 2, 3)
"""Rule `wait` plays them all, the others the first."""
LARGE_HOURS = 6.0
"""Of a fleet of 40 only the first hours are played: ten times the jobs say as much in less time."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A case, and what rule `wait` has to reach in it: all traces passed, at most this ratio and so many actions an hour.

    Without a ratio the case is shown, and nothing is asked.
    """

    case: Case
    mean_ratio: float | None = None
    actions_per_hour: float = 0.0
    hours: float | None = None


GOALS = (
    Goal(Case(max_workers=4, startup_s=2.0), 1.45, 40.0),
    Goal(Case(max_workers=40, startup_s=2.0), 1.60, 60.0, LARGE_HOURS),
    Goal(Case(max_workers=4, startup_s=30.0, slo_s=30.0)),
    Goal(Case(max_workers=4, startup_s=30.0, slo_s=5.0)),
)


def play(traces: list[Trace], one: Goal) -> list[Figures]:
    tasks = [
        Task(trace, one.case, seed, tuple(POLICIES) if seed == SEEDS[0] else ("wait",), hours=one.hours)
        for trace in traces
        for seed in SEEDS
    ]
    return score_tasks(tasks, lambda task: print(f"   {task.trace.name}, seed {task.seed}", file=sys.stderr, flush=True))


def verdict(row: Row, one: Goal) -> tuple[bool, str]:
    """Does `wait` hold the goal, and in words."""
    ratio = f"mean ratio {row.mean_ratio:.2f}, mean score {row.mean_score:.2f}"
    figures = f"passed {row.passed} of {row.runs}, {ratio}, {row.actions_per_hour:.0f} actions/h"
    if one.mean_ratio is None:
        return True, f"wait: {figures}"
    is_held = row.passed == row.runs and row.mean_ratio <= one.mean_ratio and row.actions_per_hour <= one.actions_per_hour
    goal = f"goal: all passed, <= {one.mean_ratio:.2f}, <= {one.actions_per_hour:.0f} actions/h"
    return is_held, f"wait: {figures}   {goal}{'' if is_held else '  MISSED'}"


def main() -> int:
    folder = os.environ.get("LEVQOR_TRACES")
    traces = find_traces([folder] if folder else [])
    held = []
    for one in GOALS:
        case = one.case
        print(f"   max {case.max_workers}, start {case.startup_s:g} s, SLO {case.slo_s:g} s, tick {case.tick_s:g} s; {len(traces)} traces")
        figures = play(traces, one)
        board = rows(figures)
        for line in table(board):
            print(f"   {line}")
        for name in beyond_reach(figures):
            print(f"   {name}: not even the full fleet passes")
        is_held, text = verdict(next(row for row in board if row.policy == "wait"), one)
        held.append(is_held)
        print(f"   {text}\n", flush=True)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
