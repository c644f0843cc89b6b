"""`report`: what acting would have saved or cost. Reads the database itself, whether a service runs or not."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from levqor.cli import output
from levqor.cli.options import Json
from levqor.domain.errors import UsageError

Since = Annotated[str, typer.Option("--since", metavar="SPAN", help="How far back: 24h, 7d; at most 30d are kept.")]
Form = Annotated[str, typer.Option("--format", metavar="text|html", help="What is printed.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the HTML there instead of printing.")]


def report(since: Since = "7d", form: Form = "text", out: Out = None, as_json: Json = False) -> None:
    """What the rules would have made of the work that came: worker-hours, waits, steps, and where they would have been wrong.

    The minutes that were recorded are played again in the lab. Exit code 4 while too little is known.
    """
    from levqor.bootstrap.report import advice_of, pages_of
    from levqor.cli.spans import parse_span
    from levqor.cli.summary import write_page
    from levqor.settings import load

    if form not in ("text", "html"):
        raise UsageError("--format: expected text or html")
    configuration = load()
    output.tell("playing the recorded minutes again under each rule; a busy week takes some seconds")
    advice = advice_of(configuration, parse_span(since))
    page, pages = pages_of(configuration, advice)
    if out is not None:
        write_page(out, pages.html)
    if as_json:
        output.emit_json({"sentence": page.sentence, "level": page.level, **asdict(advice)})
    elif out is None:
        output.emit((pages.html if form == "html" else pages.text).rstrip("\n"))
