"""`autoscale dryrun`, `apply` and `decisions`."""

from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Url, Yes
from levqor.cli.service import Service
from levqor.cli.spans import parse_moment
from levqor.cli.wording import label, say_age, say_count, say_mode, say_moment, say_signal
from levqor.lab.records import SeenDecision

app = typer.Typer(help="Decide now, act now, or list decisions.", no_args_is_help=True, rich_markup_mode=None, add_completion=False)

WhatIf = Annotated[float | None, typer.Option(metavar="X", help="Ask: what if this were measured?")]


@app.command("dryrun")
def dryrun(
    queue_depth: WhatIf = None,
    p95_ms: WhatIf = None,
    error_rate: WhatIf = None,
    spend_last_24h: WhatIf = None,
    forecast_next_30d: WhatIf = None,
    calm_for_s: WhatIf = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """What it would do now, and why. Changes nothing; no timer moves."""
    asked = {
        "queue_depth": queue_depth,
        "p95_ms": p95_ms,
        "error_rate": error_rate,
        "spend_last_24h": spend_last_24h,
        "forecast_next_30d": forecast_next_30d,
        "calm_for_s": calm_for_s,
    }
    with Service.at(url) as service:
        answer = service.get("/ops/autoscale/dryrun", **asked)
    if as_json:
        output.emit_json(answer)
        return
    decision = SeenDecision.read(answer)
    print_decision(decision)
    if decision.mode:
        output.emit(f"mode: {say_mode(decision.mode)}")


@app.command("apply")
def apply(dry_run: DryRun = False, yes: Yes = False, as_json: Json = False, url: Url = None) -> None:
    """Decide on what is measured now, and act on it."""
    with Service.at(url) as service:
        answer = service.post("/ops/autoscale/apply", {"dry_run": dry_run})
    if as_json:
        output.emit_json(answer)
        return
    decision = SeenDecision.read(answer)
    print_decision(decision)
    if decision.applied:
        output.emit(f"applied: workers {say_count(answer.get('workers_before'))} -> {say_count(answer.get('workers_after'))}")
    else:
        output.emit(f"not applied: {decision.why_not or ('a dry run' if dry_run else 'no step was due')}")


@app.command("decisions")
def decisions(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Such as `1h ago` or 03:12.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME")] = None,
    every_tick: Annotated[bool, typer.Option("--all", help="Every tick's, not only changes and acts.")] = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """What was decided, the newest first."""
    asked = {"since": _moment(since), "until": _moment(until)}
    with Service.at(url) as service:
        answer = service.get("/ops/autoscale/decisions", limit=limit, changes=str(not every_tick).lower(), **asked)
    rows = answer.get("decisions", answer.get("items", []))
    if as_json:
        output.emit_json({**{key: value for key, value in answer.items() if key != "items"}, "decisions": rows})
        return
    for row in rows:
        decision = SeenDecision.read(row)
        output.emit(f"{say_moment(decision.at)}  {decision.sentence}{say_not_applied(decision)}")
    if not rows:
        output.tell("no decision was recorded in that time")


def _moment(text: str | None) -> str | None:
    from levqor.host import SystemClock

    return None if text is None else parse_moment(text, SystemClock().now().astimezone()).isoformat()


def say_not_applied(decision: SeenDecision) -> str:
    """Why a step that was asked for was not made."""
    return f" (not applied: {decision.why_not})" if decision.applied is False and decision.why_not and decision.is_step else ""


def print_decision(decision: SeenDecision) -> None:
    """One decision: the sentence, its inputs, its notes, and what would change it."""
    output.emit(decision.sentence)
    for line in inputs_lines(decision.inputs):
        output.emit(f"  {line}")
    for reason in decision.reasons:
        if not reason.votes:
            output.emit(f"  note: {reason.text}")
    if decision.next:
        output.emit(f"what would change it: {decision.next}")


def inputs_lines(inputs: dict[str, dict[str, Any]]) -> list[str]:
    """Each input with its age."""
    lines = []
    for name, signal in inputs.items():
        age = say_age(signal)
        lines.append(f"{label(name)}: {say_signal(name, signal)}{f' ({age})' if age else ''}")
    return lines
