"""`lab`: the policies by themselves: JSON lines in, JSON lines out, and scored on arrival traces."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from levqor.cli import output
from levqor.cli.options import Json

if TYPE_CHECKING:
    from levqor.lab.board import Figures, Task
    from levqor.lab.simulator import Case

lab = typer.Typer(
    help="Examine the policies, and score them on arrival traces.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


@lab.callback()
def _lab() -> None:
    """Examine the policies, and score them on arrival traces."""


@lab.command("slo")
def lab_slo(
    literal: Annotated[bool, typer.Option("--literal", help="Compare without asking for evidence.")] = False,
) -> None:
    """Judge windows: `{"requests": n, "over_p99": k, "errors": e}` a line in, `{"state", "p_value", "why"}` out."""
    from levqor.lab.slo import judge_lines
    from levqor.monitors.slo_watchdog import Objectives
    from levqor.settings import load

    settings = load().settings
    latency, errors, _availability = Objectives(settings.slo_p99_ms, settings.slo_error_rate, settings.slo_availability).all()
    _each(judge_lines(sys.stdin, (latency, errors), is_literal=literal or settings.slo_evidence == "literal"))


@lab.command("forecast")
def lab_forecast() -> None:
    """Forecast sums: `{"start": "2026-01-31", "values": [...], "horizon": 30}` a line in, `{"forecast", "low", "high", "method"}` out.

    `start` is the day of the first value, null a day without a figure, `method` auto, linear or level. The interval is the 80 % one.
    """
    from levqor.lab.forecast import forecast_lines_of

    _each(forecast_lines_of(sys.stdin))


@lab.command("policy")
def lab_policy(name: Annotated[str, typer.Argument(metavar="NAME", help="threshold, wait or a baseline; see docs/lab.md.")]) -> None:
    """Answer ticks: one JSON object a line in (fields: docs/lab.md), `{"target": n}` out. A `t` that goes back begins a new run."""
    from levqor.lab.policies import make_policy
    from levqor.lab.policy_lines import target_lines

    make_policy(name)
    _each(target_lines(sys.stdin, lambda: make_policy(name)))


@lab.command("score")
def lab_score(
    traces: Annotated[list[str] | None, typer.Argument(metavar="TRACE...", help="Shipped names, CSV files or folders.")] = None,
    policy: Annotated[list[str] | None, typer.Option("--policy", metavar="NAME", help="May be repeated. Default: all.")] = None,
    command: Annotated[
        list[str] | None, typer.Option("--command", metavar="PROGRAM", help="A policy of your own, as a program; may be repeated.")
    ] = None,
    most: Annotated[int, typer.Option("--max", min=1, max=1000, help="Workers at most.")] = 4,
    start: Annotated[float, typer.Option("--start", min=0, max=3600, help="A new worker is ready after this (s).")] = 2.0,
    slo: Annotated[float, typer.Option("--slo", min=0.1, max=86400, help="A job that waits longer is missed (s).")] = 5.0,
    tick: Annotated[float, typer.Option("--tick", min=0.5, max=3600, help="The policies are asked this often (s).")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same jobs.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Play so many seeds, from --seed on.")] = 1,
    hours: Annotated[float | None, typer.Option(min=0.1, max=10000, help="Play only the first hours.")] = None,
    as_json: Json = False,
) -> None:
    """Score policies on arrival traces, beside a clairvoyant oracle (rules: docs/lab.md). No service and no database are needed."""
    from levqor.lab.board import Task, find_traces
    from levqor.lab.policies import POLICIES, make_policy
    from levqor.lab.simulator import Case

    names = tuple(policy or ([] if command else POLICIES))
    for name in names:
        make_policy(name)
    case = Case(max_workers=most, startup_s=start, slo_s=slo, tick_s=tick)
    found = find_traces(traces or [])
    tasks = [Task(trace, case, seed + more, names, tuple(command or ()), hours) for trace in found for more in range(seeds)]
    figures = _score(tasks)
    _emit_scores(figures, case, as_json=as_json)


def _score(tasks: "list[Task]") -> "list[Figures]":
    from levqor.lab.board import score_tasks

    done = 0

    def tell_done(task: "Task") -> None:
        nonlocal done
        done += 1
        output.tell(f"{done} of {len(tasks)}: {task.trace.name}, seed {task.seed}")

    return score_tasks(tasks, tell_done)


def _emit_scores(figures: "list[Figures]", case: "Case", *, as_json: bool) -> None:
    from dataclasses import asdict

    from levqor.lab.board import beyond_reach, rows, table

    board = rows(figures)
    if as_json:
        output.emit_json({"case": asdict(case), "policies": [row.as_dict() for row in board], "runs": [one.as_dict() for one in figures]})
        return
    for line in table(board):
        output.emit(line)
    for name in beyond_reach(figures):
        output.tell(f"{name}: not even the full fleet from the first second keeps to 1 % missed; no policy can pass")


def _each(answers: Iterator[str]) -> None:
    for line in answers:
        output.emit(line)
        sys.stdout.flush()
