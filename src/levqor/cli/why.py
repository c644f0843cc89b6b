"""`why [TIME]`: a decision told in sentences (spec A11)."""

from datetime import datetime
from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.autoscale import inputs_lines
from levqor.cli.options import Json, Url
from levqor.cli.service import Service
from levqor.cli.spans import parse_moment, say_span
from levqor.cli.wording import say_before, say_count, say_deploy, say_moment
from levqor.domain.errors import NotFound
from levqor.lab.records import SeenDecision, moment_of


def why(
    time: Annotated[list[str] | None, typer.Argument(metavar="[TIME]", help="03:12, 2026-03-01T03:12Z or `10m ago`; none: now.")] = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Why it did, or did not, act at a time: the decision, its inputs and reasons, and what would have changed it."""
    from levqor.host import SystemClock

    now = SystemClock().now().astimezone()
    moment = parse_moment(" ".join(time), now) if time else now
    with Service.at(url) as service:
        answer = service.get("/ops/autoscale/decisions/at", time=moment.isoformat())
    found = answer.get("decision", answer)
    if not found:
        raise NotFound(f"nothing was recorded at or before {say_moment(moment)}")
    if as_json:
        output.emit_json({"asked": moment.isoformat(), **answer})
        return
    decision = SeenDecision.read(answer)
    for sentence in [*explain(decision), *_promised(answer.get("promise")), *_deployed(answer.get("deploys") or [], moment)]:
        output.emit(sentence)


def explain(decision: SeenDecision) -> list[str]:
    """The whole story of one decision, a sentence a line."""
    lines = [
        f"At {say_moment(decision.at)} the decision was: {_said(decision)}",
        f"The target in force was {say_count(decision.current)}; {_running(decision.running)}.",
    ]
    lines += [f"Because {reason.text}." for reason in decision.reasons if reason.votes]
    lines += [f"Noted, without a vote: {reason.text}." for reason in decision.reasons if not reason.votes]
    if decision.inputs:
        lines += ["It had read:", *(f"  {line}" for line in inputs_lines(decision.inputs))]
    if decision.next:
        lines.append(f"What would have changed it: {decision.next}.")
    return [*lines, _acted(decision)]


def _promised(promise: dict[str, Any] | None) -> list[str]:
    """What became of the promise that the decision made."""
    if promise is None:
        return []
    became = {
        "open": f"it has waited for {say_span(promise['waited_s'])} so far",
        "kept": f"kept: it was clear after {say_span(promise['waited_s'])}",
        "missed": f"missed: it was not clear after {say_span(promise['waited_s'])}",
        "void": "void: nobody could tell, or somebody else changed the workers",
    }
    return [f"It promised a clear queue in {say_span(promise['clear_in_s'])}; {became[promise['state']]}."]


def _deployed(deploys: list[dict[str, Any]], moment: datetime) -> list[str]:
    """What came in the hour before."""
    seen = [(moment_of(deploy["at"]), deploy) for deploy in deploys]
    return [f"Before it: {say_deploy(deploy)}, {say_before(at, moment)}." for at, deploy in seen if at is not None]


def _running(count: int | None) -> str:
    return "how many workers ran is unknown" if count is None else "1 worker was running" if count == 1 else f"{count} workers were running"


def _said(decision: SeenDecision) -> str:
    words: dict[str, Any] = {
        "scale_up": f"a step up from {decision.current} to {decision.target}.",
        "scale_down": f"a step down from {decision.current} to {decision.target}.",
        "freeze": "freeze, no step up is made at this spend.",
        "hold": "no move.",
    }
    return str(words.get(decision.action, decision.action))


def _acted(decision: SeenDecision) -> str:
    if decision.applied:
        return f"It acted: the target became {decision.target}."
    if not decision.is_step:
        return "There was nothing to act on."
    observe = "it only observes while AUTOSCALE_ENABLED is off" if decision.mode == "observe" else "the record does not say why"
    return f"It did not act: {decision.why_not or observe}."
