"""`hold`, `release`, `pause` and `resume`: a person's word."""

from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Url, Why, Yes
from levqor.cli.service import Service, actor
from levqor.cli.spans import parse_span, say_span
from levqor.cli.wording import say_hold

Queue = Annotated[str, typer.Argument(metavar="QUEUE")]


def hold(
    span: Annotated[str | None, typer.Argument(metavar="[2h]", help="How long. None: until released.")] = None,
    why: Why = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """From now on nothing automatic acts: the count stays, jobs flow on."""
    for_s = None if span is None else parse_span(span)
    wish = {"why": why or "held by hand", "for_s": for_s}
    with Service.at(url) as service:
        answer = wish if dry_run else service.post("/ops/holds", wish)
    _answer(answer, dry_run, as_json, f"held by {actor()} {'until released' if for_s is None else f'for {say_span(for_s)}'}")


def release(
    number: Annotated[int | None, typer.Argument(metavar="[ID]", help="One hold. None: all.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """End one hold, or all of them; the autopilot decides again."""
    with Service.at(url) as service:
        if dry_run:
            document = service.get("/ops/holds")
            holds = document.get("holds", document.get("items", []))
            chosen = [one for one in holds if number in (None, one.get("id"))]
            _answer({"holds": chosen}, True, as_json, "; ".join(say_hold(one) for one in chosen) or "no hold is in force")
            return
        answer = service.delete("/ops/holds" if number is None else f"/ops/holds/{number}")
    _answer(answer, False, as_json, "released; the autopilot decides again")


def pause(queue: Queue, why: Why = None, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False, url: Url = None) -> None:
    """Workers take no more jobs from this queue; those that run end."""
    _turn(queue, "pause", {"why": why or "paused by hand"}, dry_run, as_json, url)


def resume(queue: Queue, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False, url: Url = None) -> None:
    """Workers take jobs from this queue again."""
    _turn(queue, "resume", {}, dry_run, as_json, url)


def _turn(queue: str, verb: str, body: dict[str, Any], dry_run: bool, as_json: bool, url: str | None) -> None:
    from urllib.parse import quote

    with Service.at(url) as service:
        answer = {"queue": queue} if dry_run else service.post(f"/ops/queues/{quote(queue, safe='')}/{verb}", body)
    _answer(answer, dry_run, as_json, f"queue {queue}: {verb}d")


def _answer(answer: dict[str, Any], dry_run: bool, as_json: bool, sentence: str) -> None:
    if as_json:
        output.emit_json({"dry_run": dry_run, **answer})
    else:
        output.emit(f"dry run, nothing was done: {sentence}" if dry_run else sentence)
