"""`slo`: objectives, budgets and streaks as the running service sees them; `lab slo`: the judgement on given windows."""

import sys
from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import Json, Url
from levqor.cli.service import Service

lab = typer.Typer(
    help="Examine the policies: JSON lines in, JSON lines out.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


def slo(as_json: Json = False, url: Url = None) -> None:
    """Run one check now and show objectives, streaks and error budgets. Exit code 1 while an objective is breached."""
    with Service.at(url) as service:
        answer = service.get("/ops/slo")
    if as_json:
        output.emit_json(answer)
    else:
        _print(answer)
    now = answer["now"] or {}
    if any(found["state"] == "breached" for series in now.values() for found in series.values()):
        raise typer.Exit(1)


@lab.callback()
def _lab() -> None:
    """Examine the policies: JSON lines in, JSON lines out."""


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
    for line in judge_lines(sys.stdin, (latency, errors), is_literal=literal or settings.slo_evidence == "literal"):
        output.emit(line)
        sys.stdout.flush()


def _print(answer: dict[str, Any]) -> None:
    for name, objective in answer["objectives"].items():
        budget = answer["budgets"][name]
        left = "no events yet" if budget["budget_left"] is None else f"{budget['budget_left']:.1%} of the 30-day error budget left"
        output.emit(f"{name}: {objective}; {left}")
        for alert in budget["alerts"]:
            output.emit(
                f"  {alert['severity']}: burns {alert['factor']:g} times too fast or more over {alert['long']} and {alert['short']}"
            )
    if answer["now"] is None:
        output.emit("now: unknown, the telemetry store does not answer")
    for series, found in (answer["now"] or {}).items():
        for name, judgement in found.items():
            output.emit(f"last {series}  {name}: {judgement['state']}: {judgement['why']}")
    for series, state in answer["series"].items():
        output.emit(f"every {series}  streak {state['streak']}: {state['next']}")
