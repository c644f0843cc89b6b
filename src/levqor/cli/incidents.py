"""`recover`, `incidents` and `rearm`: incidents and what answers them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Url, Yes
from levqor.cli.service import TIMEOUT_S, Service
from levqor.cli.spans import parse_span
from levqor.cli.wording import say_deploy
from levqor.domain.errors import UsageError
from levqor.domain.incidents import DEAD_LETTER_SCOPES

WAIT_S = 60.0
LISTED = 20


def recover(
    dry_run: DryRun = False,
    dead_letters: Annotated[str, typer.Option("--dead-letters", metavar="incident|all", help="Those to flush.")] = "incident",
    wait: Annotated[str | None, typer.Option("--wait", metavar="5m", help="How long to wait for the end. Default: 60 s.")] = None,
    yes: Yes = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Recover now: flush dead letters, restart the workers, rotate the app, as far as there is cause."""
    if dead_letters not in DEAD_LETTER_SCOPES:
        raise UsageError(f"--dead-letters: expected {' or '.join(DEAD_LETTER_SCOPES)}")
    wait_s = WAIT_S if wait is None else parse_span(wait)
    wish = {"dry_run": dry_run, "dead_letters": dead_letters, "wait_s": wait_s}
    if not dry_run and output.has_terminal() and not output.confirm("Flush dead letters and restart every worker, one by one?", yes=yes):
        output.tell("nothing was done")
        return
    with Service.at(url, timeout_s=wait_s + 2 * TIMEOUT_S) as service:
        answer = service.post("/ops/recover", wish)
    if as_json:
        output.emit_json(answer)
    else:
        for line in say_recovery(answer):
            output.emit(line)
    if answer.get("ok") is False:
        raise typer.Exit(1)


def say_recovery(answer: dict[str, Any]) -> list[str]:
    """The answer of a recovery, a sentence a line."""
    reasons = answer.get("reasons") or []
    if answer.get("dry_run"):
        refused = answer.get("would_refuse")
        head = "dry run, nothing was done; " + (
            f"it would be refused: {refused['reason']}" if refused else "this would run" if reasons else "there is no cause to recover"
        )
    elif not reasons and not answer.get("steps"):
        return ["healthy: there is nothing to recover from"]
    elif answer.get("ok") is None:
        head = f"recovery of incident {answer['incident_id']} goes on; `levqor incidents {answer['incident_id']}` shows how far it is"
    else:
        head = f"incident {answer['incident_id']}: {'recovered' if answer['ok'] else 'not everything worked'}"
    return [head, *(f"  because {reason}" for reason in reasons), *(f"  {_say_step(step)}" for step in answer.get("steps") or [])]


def _say_step(step: dict[str, Any]) -> str:
    return f"{step['name']}: {step['status']}" + (f", {step['detail']}" if step.get("detail") else "")


def incidents(
    number: Annotated[int | None, typer.Argument(metavar="[ID]", help="One incident. None: the latest.")] = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write a post-mortem as Markdown.")] = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Incidents: what was wrong, what was done about it, and whether it helped."""
    if report is not None and number is None:
        raise UsageError("--report: say which incident: levqor incidents ID --report FILE")
    with Service.at(url) as service:
        answer = service.get("/ops/incidents", limit=LISTED) if number is None else service.get(f"/ops/incidents/{number}")
    if report is not None:
        from levqor.cli.postmortem import post_mortem

        report.write_text(post_mortem(answer), encoding="utf-8")
        output.tell(f"written to {report}")
    if as_json:
        output.emit_json(answer)
    elif report is None:
        for line in say_incidents(answer) if number is None else say_incident(answer):
            output.emit(line)


def say_incidents(answer: dict[str, Any]) -> list[str]:
    """A line for each, the newest first."""
    found = [f"{one['id']:>5}  {one['state']:<9}  {one['opened_at'][:19]}  {one['cause']}" for one in answer["incidents"]]
    failed = answer["guards"]["failed_in_a_row"]
    return [*(found or ["no incident is recorded"]), *([f"{failed} automatic recoveries in a row had no effect"] if failed else [])]


def say_incident(answer: dict[str, Any]) -> list[str]:
    """One incident in sentences."""
    lines = [f"incident {answer['id']} is {answer['state']}: {answer['cause']}", f"  opened {answer['opened_at']}"]
    if answer.get("escalated_at"):
        lines.append(f"  a person was asked {answer['escalated_at']}")
    if answer.get("closed_at"):
        lines.append(f"  closed {answer['closed_at']}")
    lines += [f"  {say_deploy(one)} by {one['actor']} {one['at']}" for one in answer.get("deploys") or []]
    for one in answer["recoveries"]:
        came_to = one["verified"] or one["state"]
        lines.append(f"  recovery {one['id']} by {one['actor']}, {one['started_at']}: {came_to}")
        lines += [f"    because {reason}" for reason in one["reasons"]]
        lines += [f"    {_say_step(step)}" for step in one["steps"]]
    return lines


def rearm(dry_run: DryRun = False, yes: Yes = False, as_json: Json = False, url: Url = None) -> None:
    """Let automatic recoveries act again after some had no effect."""
    with Service.at(url) as service:
        if dry_run:
            failed = service.get("/ops/incidents", limit=1)["guards"]["failed_in_a_row"]
            answer: dict[str, Any] = {"armed": False, "acknowledged": failed}
        else:
            answer = service.post("/ops/rearm")
    if as_json:
        output.emit_json({"dry_run": dry_run, **answer})
        return
    said = f"{answer['acknowledged']} recoveries without effect"
    output.emit(f"dry run, nothing was done: {said} would be acknowledged" if dry_run else f"armed again; {said} acknowledged")
