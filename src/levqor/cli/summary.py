"""`summary`: am I fine, and how the last day or week went. Reads the database itself, whether a service runs or not."""

from pathlib import Path
from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import Json
from levqor.domain.errors import UsageError
from levqor.domain.summary import Pages, Summary, SummaryKind

TypeOption = Annotated[SummaryKind, typer.Option("--type", help="The last 24 hours, or the last 7 days.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print it; send nothing, claim nothing.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the HTML there instead of printing.")]
Format = Annotated[str, typer.Option("--format", metavar="text|html", help="What is printed.")]
Force = Annotated[bool, typer.Option("--force", help="Send it although this period's was sent.")]
NO_CHANNEL = "no channel is set, so it was sent to nobody: set SMTP_URL with MAIL_FROM and MAIL_TO, or SUMMARY_URLS"


def summary(
    kind: TypeOption = SummaryKind.DAILY,
    dry_run: DryRun = False,
    out: Out = None,
    form: Format = "text",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Print the summary, and mail it where a channel is set: once a local date, or once an ISO week. Needs no running service.

    Exit code 0 also where there is no channel, or it was sent before; 1 if a channel did not take it.
    """
    from levqor.bootstrap.summary import summary_alone
    from levqor.settings import load

    if form not in ("text", "html"):
        raise UsageError("--format: expected text or html")
    with summary_alone(load()) as desk:
        made = desk.summary(kind)
        pages = desk.render(made)
        if out is not None:
            write_page(out, pages.html)
        elif not as_json:
            output.emit((pages.html if form == "html" else pages.text).rstrip("\n"))
        answer: dict[str, Any] = {"state": "dry_run", "channels": []} if dry_run else desk.send(made, pages, anew=force)
    if as_json:
        output.emit_json(_document(answer, made, pages))
    _tell(answer, made.kind, made.period)
    if any(channel["problem"] for channel in answer["channels"]):
        raise typer.Exit(1)


def _document(answer: dict[str, Any], made: Summary, pages: Pages) -> dict[str, Any]:
    head = {"type": made.kind.value, "period": made.period, "level": made.level, "sentence": made.sentence, "subject": made.subject}
    return {**head, **answer, "text": pages.text}


def write_page(path: Path, text: str) -> None:
    """Whole or not at all. Raises UsageError where it cannot be written."""
    from levqor.agent.premises import write_private

    try:
        write_private(path, text)
    except OSError as error:
        raise UsageError(f"--out: {path} cannot be written: {error.strerror}") from error
    output.tell(f"written to {path}")


def _tell(answer: dict[str, Any], kind: SummaryKind, period: str) -> None:
    said = {
        "dry_run": "dry run: nothing was sent",
        "no_channel": NO_CHANNEL,
        "sent": f"the {kind} summary {period} was sent",
        "failed": f"the {kind} summary {period} was not sent to all; it can be asked for again",
        "already_sent": f"the {kind} summary {period} was sent before; --force sends it again",
        "being_sent": f"another process is sending the {kind} summary {period}",
    }
    output.tell(said[answer["state"]])
    for channel in answer["channels"]:
        state = "sent" if channel["is_sent"] else "not sent"
        output.tell(f"  {channel['channel']}: {state}" + (f": {channel['problem']}" if channel["problem"] else ""))
