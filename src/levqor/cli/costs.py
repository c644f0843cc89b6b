"""`costs`: the ledger and what fills it; it works on the database itself, whether a service runs or not."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from levqor.cli import costs_forecast, output
from levqor.cli.options import DryRun, Json
from levqor.domain.errors import UsageError
from levqor.domain.spending import Category

DOWN = 69
ACTOR = "cli"

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)
costs_forecast.mount(app)
costs_forecast.mount(app)

Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="From then on: 2026-03-01, a time, or `7d ago`.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before then.")]
Source = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Of this source only.")]
InCategory = Annotated[str | None, typer.Option("--category", metavar="NAME", help="workers, infra, ai, fees or revenue.")]
DayOption = Annotated[str | None, typer.Option("--day", metavar="DAY", help="The amount is that whole UTC day's. Default: it counts now.")]


@app.callback()
def costs() -> None:
    """What it costs. Needs no running service: it works on the database itself."""


@app.command("ledger")
def ledger(
    since: Since = None,
    until: Until = None,
    source: Source = None,
    category: InCategory = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Lines at most; the sums are of all.")] = 100,
    as_json: Json = False,
) -> None:
    """Entries, the newest first, and their exact sums by currency and category."""
    from levqor.bootstrap.costs import books_alone
    from levqor.settings import load

    chosen = _moment(since, "--since"), _moment(until, "--until"), source, _category(category)
    with books_alone(load()) as books:
        answer = books.desk.ledger(*chosen, limit)
    if as_json:
        output.emit_json(answer)
    else:
        _print_ledger(answer)


@app.command("sync")
def sync(source: Source = None, as_json: Json = False) -> None:
    """Read what Stripe, OpenAI and the constants have. Twice changes nothing; exit code 69 where one of them does not answer."""
    from levqor.bootstrap.costs import books_alone
    from levqor.settings import load

    with books_alone(load()) as books:
        if source is not None and source not in books.sync.names:
            raise UsageError(f"--source: expected {' or '.join(books.sync.names) or 'none, since no source is configured'}")
        results = books.sync.sync(source)
    if as_json:
        rows = [{"source": row.source, "outcome": row.outcome, "changed": row.changed, "error": row.error} for row in results]
        output.emit_json({"sources": rows})
    else:
        for row in results:
            said = {"busy": "another process reads it", "down": f"down: {row.error}; its last figures stay"}.get(row.outcome, "ok")
            output.emit(f"{row.source:8} {said}, {row.changed} changed")
    if not results:
        output.tell("no source is configured: STRIPE_SECRET_KEY, OPENAI_ADMIN_KEY, COST_CONSTANTS")
    if any(row.outcome == "down" for row in results):
        raise typer.Exit(DOWN)


@app.command("add")
def add(
    source: Annotated[str, typer.Option("--source", metavar="NAME", help="Who was paid, or paid: infra, openai, any name.")],
    amount: Annotated[str, typer.Option("--amount", metavar="NUMBER", help="46 or 7.50; a refund is negative.")],
    currency: Annotated[str | None, typer.Option("--currency", metavar="CODE", help="Default: COST_CURRENCY.")] = None,
    day: DayOption = None,
    category: InCategory = None,
    kind: Annotated[str | None, typer.Option("--type", metavar="NAME", help="cost, fee, revenue or refund.")] = None,
    line_item: Annotated[str | None, typer.Option("--line-item", metavar="NAME", help="What for. Default: the source.")] = None,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="For whoever reads it later.")] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="TEXT", help="The same key again is the same entry.")] = None,
    as_json: Json = False,
) -> None:
    """One entry by hand; it counts within a tick."""
    from levqor.bootstrap.costs import books_alone
    from levqor.settings import load

    configuration = load()
    given = {"source": source, "amount": amount, "currency": currency or configuration.settings.cost_currency, "day": day}
    more = {"category": category, "type": kind, "line_item": line_item, "note": note, "key": key}
    with books_alone(configuration) as books:
        answer = books.desk.add({**given, **more}, ACTOR)
    if as_json:
        output.emit_json(answer)
    else:
        done = "added" if answer["changed"] else "was there already:"
        output.emit(f"{done} {answer['amount']} {answer['currency']} at {answer['at']} (key {answer['key']})")


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header line.")],
    source: Annotated[str | None, typer.Option("--source", metavar="NAME", help="Where there is no column for it.")] = None,
    currency: Annotated[str | None, typer.Option("--currency", metavar="CODE", help="Likewise. Default: COST_CURRENCY.")] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Entries from a CSV file: all of them, or none. Twice changes nothing, by column `key`, or else by the row itself.

    Columns: amount, day or at, and as needed currency, source, category, type, line_item, note, key.
    """
    from levqor.bootstrap.costs import books_alone
    from levqor.cli.cost_rows import read_rows
    from levqor.settings import load

    configuration = load()
    rows = read_rows(file, {"source": source, "currency": currency or configuration.settings.cost_currency})
    with books_alone(configuration) as books:
        answer = books.desk.load(rows, ACTOR, dry_run=dry_run)
    if as_json:
        output.emit_json(answer)
    else:
        output.emit(f"{answer['rows']} rows, {answer['changed']} changed{' (dry run: nothing was written)' if dry_run else ''}")


def _moment(text: str | None, option: str) -> datetime | None:
    """A day (its UTC midnight) or a time."""
    from levqor.cli.days import parse_day
    from levqor.cli.spans import parse_moment
    from levqor.domain.spending import day_start
    from levqor.host import SystemClock

    if text is None:
        return None
    try:
        day = parse_day(text, option)
    except UsageError:
        return parse_moment(text, SystemClock().now()).astimezone(UTC)
    return None if day is None else day_start(day)


def _category(name: str | None) -> Category | None:
    if name is None:
        return None
    if name not in list(Category):
        raise UsageError(f"--category: expected {' or '.join(Category)}")
    return Category(name)


def _print_ledger(answer: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("when", "source", "line item", "type", "amount", "", "status", box=None, pad_edge=False)
    table.columns[4].justify = "right"
    for row in answer["entries"]:
        when = row["day"] or row["at"][:19].replace("T", " ")
        table.add_row(when, row["source"], row["line_item"], row["type"], row["amount"], row["currency"], row["status"])
    output.console().print(table)
    for currency, sums in answer["sums"].items():
        output.emit(f"sum in {currency}: " + ", ".join(f"{category} {amount}" for category, amount in sums.items()))
    shown = len(answer["entries"])
    if shown < answer["count"]:
        output.tell(f"{shown} of {answer['count']} entries; --limit shows more")
    for state in answer["sources"]:
        if state["status"] in ("down", "stale"):
            output.tell(f"{state['source']} is {state['status']}: {state['error'] or 'not read for three hours: `levqor costs sync`'}")
