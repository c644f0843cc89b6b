"""Policies over traces: one row of figures each."""

import multiprocessing
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from levqor.domain.errors import UsageError
from levqor.lab.command import CommandPolicy
from levqor.lab.policies import make_policy
from levqor.lab.score import Contest, Score
from levqor.lab.simulator import PASS_MISS, Case
from levqor.lab.traces import Trace, find_trace, shipped_names
from levqor.lab.workload import make_workload

PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Figures:
    """One policy on one trace with one seed."""

    policy: str
    trace: str
    seed: int
    jobs: int
    hours: float
    miss: float
    is_passed: bool
    ratio: float
    score: float
    actions_per_hour: float
    paid_hours: float
    oracle_hours: float
    oracle_miss: float
    """Above 1 %: not even the full fleet can pass."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Row:
    """One policy over all runs."""

    policy: str
    runs: int
    passed: int
    median_miss: float
    median_ratio: float
    mean_ratio: float
    mean_score: float
    actions_per_hour: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Task:
    """One workload for one process: all policies on it, the oracle found once."""

    trace: Trace
    case: Case
    seed: int
    policies: tuple[str, ...]
    commands: tuple[str, ...] = ()
    hours: float | None = None


def find_traces(words: Sequence[str]) -> list[Trace]:
    """Traces by name or path; a folder stands for the CSV files in it, no word for the shipped traces."""
    found: list[Trace] = []
    for word in words or shipped_names():
        folder = Path(word).expanduser()
        if folder.is_dir():
            paths = sorted(folder.glob("*.csv"))
            if not paths:
                raise UsageError(f"{word}: no .csv file in this folder")
            found += [find_trace(str(path)) for path in paths]
        else:
            found.append(find_trace(word))
    return found


def score_task(task: Task) -> list[Figures]:
    """The figures of all policies on one workload."""
    contest = Contest(make_workload(task.trace, task.case.max_workers, task.seed, task.hours), task.case)
    found = [_figures(name, task, contest, contest.score(make_policy(name))) for name in task.policies]
    for command in task.commands:
        with CommandPolicy(command) as policy:
            found.append(_figures(command, task, contest, contest.score(policy)))
    return found


def _figures(policy: str, task: Task, contest: Contest, score: Score) -> Figures:
    return Figures(
        policy=policy,
        trace=task.trace.name,
        seed=task.seed,
        jobs=score.run.jobs,
        hours=score.run.length_s / 3600,
        miss=score.miss,
        is_passed=score.is_passed,
        ratio=score.ratio,
        score=score.score,
        actions_per_hour=score.actions_per_hour,
        paid_hours=score.run.paid_s / 3600,
        oracle_hours=score.oracle_paid_s / 3600,
        oracle_miss=contest.oracle.miss,
    )


def score_tasks(tasks: Sequence[Task], on_done: Callable[[Task], None], processes: int = PROCESSES) -> list[Figures]:
    """All tasks, some at a time; the answer is in the order of the tasks."""
    found: dict[int, list[Figures]] = {}
    for number, figures in _scored(tasks, processes):
        found[number] = figures
        on_done(tasks[number])
    return [figures for number in sorted(found) for figures in found[number]]


def _scored(tasks: Sequence[Task], processes: int) -> Iterator[tuple[int, list[Figures]]]:
    if processes <= 1 or len(tasks) <= 1:
        yield from ((number, score_task(task)) for number, task in enumerate(tasks))
        return
    with ProcessPoolExecutor(min(processes, len(tasks)), multiprocessing.get_context("spawn")) as pool:
        numbers = {pool.submit(score_task, task): number for number, task in enumerate(tasks)}
        try:
            for future in as_completed(numbers):
                yield numbers[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def beyond_reach(figures: Sequence[Figures]) -> list[str]:
    """Traces on which nobody can pass."""
    return sorted({one.trace for one in figures if one.oracle_miss > PASS_MISS})


def rows(figures: Sequence[Figures]) -> list[Row]:
    """One row for each policy, in the order in which they were asked for."""
    return [_row(name, [one for one in figures if one.policy == name]) for name in dict.fromkeys(one.policy for one in figures)]


def _row(policy: str, runs: Sequence[Figures]) -> Row:
    return Row(
        policy=policy,
        runs=len(runs),
        passed=sum(run.is_passed for run in runs),
        median_miss=statistics.median(run.miss for run in runs),
        median_ratio=statistics.median(run.ratio for run in runs),
        mean_ratio=statistics.fmean(run.ratio for run in runs),
        mean_score=statistics.fmean(run.score for run in runs),
        actions_per_hour=statistics.fmean(run.actions_per_hour for run in runs),
    )


def table(board: Sequence[Row]) -> list[str]:
    """The rows as lines of text."""
    wide = max(len("policy"), *(len(row.policy) for row in board))
    head = f"{'policy':{wide}}  passed  median miss  median ratio  mean ratio  mean score  actions/h"
    return [head, *(_line(row, wide) for row in board)]


def _line(row: Row, wide: int) -> str:
    passed, miss = f"{row.passed}/{row.runs}", f"{row.median_miss:.2%}"
    ratios = f"{row.median_ratio:12.2f}  {row.mean_ratio:10.2f}  {row.mean_score:10.2f}"
    return f"{row.policy:{wide}}  {passed:>6}  {miss:>11}  {ratios}  {row.actions_per_hour:9.0f}"
