"""`dead`: jobs that used up their attempts; looked at, requeued with care, or dropped."""

from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Url, Yes
from levqor.cli.service import Service
from levqor.domain.errors import UsageError

WAIT_S = 60.0
"""How long `requeue` stays to see what becomes of it; the flush goes on without it."""

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Jobs by id.")]
Handler = Annotated[str | None, typer.Option("--handler", metavar="NAME", help="Those of this handler or function.")]
Error = Annotated[str | None, typer.Option("--error", metavar="CLASS", help="Those that died of this exception class.")]
Everything = Annotated[bool, typer.Option("--all", help="All of them.")]
Queue = Annotated[str | None, typer.Option("--queue", metavar="NAME", help="Of this queue only. Default: all the fleet's.")]
Foreign = Annotated[bool, typer.Option("--foreign", help="Also jobs that were not submitted through Levqor.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")]
Cursor = Annotated[int, typer.Option("--cursor", min=0, help="Pass over so many; the end of a page names the next.")]


@app.callback()
def dead() -> None:
    """Dead letters: jobs that used up their attempts."""


@app.command("list")
def list_dead(
    group: Annotated[bool, typer.Option("--group", help="By exception class and function, with counts.")] = False,
    queue: Queue = None,
    limit: Limit = 50,
    cursor: Cursor = 0,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Dead letters, the last to die first."""
    with Service.at(url) as service:
        if group:
            document = service.get("/ops/dead", group="true", queue=queue)
        else:
            document = service.get("/ops/dead", queue=queue, limit=limit, cursor=cursor)
    if as_json:
        output.emit_json(document)
    elif group:
        _print_groups(document)
    else:
        _print_letters(document, "dead", "no dead letters")


@app.command("show")
def show(job_id: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False, url: Url = None) -> None:
    """One dead letter with its last traceback."""
    with Service.at(url) as service:
        letter = service.get(f"/ops/dead/{_in_path(job_id)}")
    if as_json:
        output.emit_json(letter)
        return
    for name in ("job_id", "queue", "handler", "error", "died_at", "attempts", "losses", "flushes", "quarantined_at", "why"):
        if letter.get(name) is not None:
            output.emit(f"{name:15} {letter[name]}")
    if letter.get("trace"):
        output.emit()
        output.emit(str(letter["trace"]).rstrip())


@app.command("requeue")
def requeue(
    ids: Ids = None,
    handler: Handler = None,
    error: Error = None,
    everything: Everything = False,
    queue: Queue = None,
    foreign: Foreign = False,
    at_once: Annotated[bool, typer.Option("--at-once", help="No canary, no pauses: all of them now.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Back to their queues with all attempts before them: a canary of each kind first, then paced batches."""
    wish = _wish(ids, handler, error, everything, queue, foreign)
    with Service.at(url, timeout_s=WAIT_S + 20) as service:
        preview = service.post("/ops/dead/requeue", {**wish, "at_once": at_once, "dry_run": True})
        if not _goes_on(preview, "requeue", dry_run, yes, as_json):
            return
        answer = service.post("/ops/dead/requeue", {**wish, "at_once": at_once, "wait_s": WAIT_S})
    if as_json:
        output.emit_json(answer)
    else:
        output.emit(_say_flushed(answer))
    if (answer.get("outcome") or {}).get("stopped_why"):
        raise typer.Exit(1)


@app.command("drop")
def drop(
    ids: Ids = None,
    handler: Handler = None,
    error: Error = None,
    everything: Everything = False,
    queue: Queue = None,
    foreign: Foreign = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Remove them for good. A quarantined job is only dropped by its id."""
    wish = _wish(ids, handler, error, everything, queue, foreign)
    with Service.at(url) as service:
        preview = service.post("/ops/dead/drop", {**wish, "dry_run": True})
        if not _goes_on(preview, "drop for good", dry_run, yes, as_json):
            return
        answer = service.post("/ops/dead/drop", wish)
    if as_json:
        output.emit_json(answer)
    else:
        output.emit(f"dropped {answer.get('dropped')}")


@app.command("quarantined")
def quarantined(
    release: Annotated[list[str] | None, typer.Option("--release", metavar="ID", help="Among the dead letters again; repeatable.")] = None,
    release_all: Annotated[bool, typer.Option("--release-all", help="All of them.")] = False,
    queue: Queue = None,
    limit: Limit = 50,
    cursor: Cursor = 0,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """What died again after FLUSHES_MAX flushes, with its error. `--release`: as if never flushed; then requeue it."""
    if release and release_all:
        raise UsageError("give --release or --release-all, one of them")
    with Service.at(url) as service:
        if release or release_all:
            wish = {**({"all": True} if release_all else {"ids": release}), **({} if queue is None else {"queue": queue})}
            _release(service, wish, dry_run, yes, as_json)
            return
        document = service.get("/ops/dead/quarantined", queue=queue, limit=limit, cursor=cursor)
    if as_json:
        output.emit_json(document)
    else:
        _print_letters(document, "quarantined", "nothing is quarantined")


def _release(service: Service, wish: dict[str, Any], dry_run: bool, yes: bool, as_json: bool) -> None:
    answer = service.post("/ops/dead/quarantined/release", {**wish, "dry_run": True})
    if not dry_run and answer["chosen"]:
        if not output.confirm(f"Release {answer['chosen']} quarantined?", yes=yes):
            output.tell("nothing was done")
            return
        answer = service.post("/ops/dead/quarantined/release", wish)
    if as_json:
        output.emit_json(answer)
    else:
        output.emit(f"dry run, nothing was done: {answer['chosen']} would be released" if dry_run else f"released {answer['released']}")


def _wish(
    ids: list[str] | None, handler: str | None, error: str | None, everything: bool, queue: str | None, foreign: bool
) -> dict[str, Any]:
    """The request's body. Raises UsageError unless exactly one way of selecting is used: nothing said is nothing meant."""
    if sum([bool(ids), handler is not None or error is not None, everything]) != 1:
        raise UsageError("say which: job ids; --handler, --error or both; or --all")
    given = {"ids": ids or None, "handler": handler, "error": error, "all": everything or None, "queue": queue, "foreign": foreign or None}
    return {name: value for name, value in given.items() if value is not None}


def _goes_on(preview: dict[str, Any], verb: str, dry_run: bool, yes: bool, as_json: bool) -> bool:
    """Shows what is selected, and asks. False: that was all."""
    plan = preview["plan"]
    count = plan["chosen"] + plan.get("quarantine", 0)
    if as_json and (dry_run or not count):
        output.emit_json(preview)
    elif dry_run:
        output.emit(f"dry run, nothing was done: {_say_plan(plan)}")
    elif not count:
        output.emit(f"nothing to do: {_say_plan(plan)}")
    if dry_run or not count:
        return False
    output.tell(_say_plan(plan))
    if output.confirm(f"{verb.capitalize()} {count}?", yes=yes):
        return True
    output.tell("nothing was done")
    return False


def _say_plan(plan: dict[str, Any]) -> str:
    kinds = ", ".join(f"{group['count']} x {group['handler']} ({group['error_class']})" for group in plan["groups"]) or "no dead letter"
    rests = [
        f"{plan[name]} {words}"
        for name, words in (("quarantine", "to be quarantined"), ("waiting", "others stay"), ("unseen", "more were not looked at"))
        if plan.get(name)
    ]
    return "; ".join([kinds, *rests])


def _say_flushed(answer: dict[str, Any]) -> str:
    outcome = answer.get("outcome")
    if outcome is None:
        return f"batch {answer['batch_id']} is under way and goes on; `levqor dead list` shows what is left, the audit log how it ended"
    said = f"requeued {outcome['moved']}: {outcome['finished']} finished, {outcome['died_again']} died again"
    if outcome["quarantined"]:
        said += f"; {outcome['quarantined']} quarantined"
    return said + (f"; stopped: {outcome['stopped_why']}" if outcome["stopped_why"] else "")


def _print_letters(document: dict[str, Any], name: str, nothing: str) -> None:
    from rich.table import Table

    letters = document[name]
    if not letters:
        output.emit(nothing)
        return
    since = "quarantined_at" if name == "quarantined" else "died_at"
    table = Table("job", "queue", "handler", since.partition("_")[0], "attempts", "flushes", "error", box=None, pad_edge=False)
    for letter in letters:
        table.add_row(*(_cell(letter.get(key)) for key in ("job_id", "queue", "handler", since, "attempts", "flushes", "error")))
    output.console().print(table)
    if document.get("next") is not None:
        output.tell(f"{document['total']} in all; the next page: --cursor {document['next']}")


def _print_groups(document: dict[str, Any]) -> None:
    from rich.table import Table

    if not document["groups"]:
        output.emit("no dead letters")
        return
    table = Table("count", "handler", "exception", "oldest", "newest", box=None, pad_edge=False)
    for group in document["groups"]:
        table.add_row(*(_cell(group.get(key)) for key in ("count", "handler", "error_class", "oldest", "newest")))
    output.console().print(table)
    if document["unseen"]:
        output.tell(f"{document['unseen']} more were not looked at")


def _cell(value: object) -> str:
    from rich.markup import escape

    return "-" if value is None else escape(str(value))


def _in_path(job_id: str) -> str:
    from urllib.parse import quote

    return quote(job_id, safe="")
