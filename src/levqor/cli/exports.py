"""`export activity`: who was active on which day, as CSV or a JSON object a line."""

import csv
import json
import sys
from typing import Annotated

import typer

from levqor.cli import output
from levqor.cli.days import parse_day
from levqor.domain.errors import UsageError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)


@app.callback()
def exports() -> None:
    """Write data out. Needs no running service: it reads the database itself."""


@app.command("activity")
def activity(
    since: Annotated[str | None, typer.Option("--since", metavar="DAY", help="The first day. Default: the first there is.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="DAY", help="The last day. Default: the last there is.")] = None,
    kind: Annotated[str, typer.Option("--format", metavar="csv|ndjson", help="What a line is.")] = "csv",
) -> None:
    """Everybody's active days: day, user_id and the number under which they are counted. A person who was forgotten has no user_id.

    `levqor import activity FILE --map ts=day` takes it back.
    """
    from levqor.bootstrap.retention import retention_alone
    from levqor.settings import load

    if kind not in ("csv", "ndjson"):
        raise UsageError("--format: expected csv or ndjson")
    first, last = parse_day(since, "--since"), parse_day(until, "--until")
    with retention_alone(load()) as desk:
        write_csv = csv.writer(sys.stdout, lineterminator="\n").writerow
        if kind == "csv":
            write_csv(("day", "user_id", "number"))
        for found in desk.export(first, last):
            if kind == "csv":
                write_csv((found.day.isoformat(), found.user_id or "", found.number))
            else:
                output.emit(_line(found.day.isoformat(), found.user_id, found.number))


def _line(day: str, user_id: str | None, number: int) -> str:
    return json.dumps({"day": day, "user_id": user_id, "number": number}, ensure_ascii=False)
