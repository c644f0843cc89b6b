"""`slo`: objectives, budgets and streaks as the running service sees them."""

from typing import Any

import typer

from levqor.cli import output
from levqor.cli.options import Json, Url
from levqor.cli.service import Service


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
