"""`retention`: active users by day, cohorts, the day's aggregate, and pulling from the team's own database."""

from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.days import parse_day
from levqor.cli.options import DryRun, Json, Yes
from levqor.domain.errors import UsageError
from levqor.domain.retention import Mode, Span

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)


@app.callback()
def retention() -> None:
    """Who stays. Needs no running service: it works on the database itself."""


@app.command("show")
def show(
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How many closed days.")] = 30,
    as_json: Json = False,
) -> None:
    """Daily, weekly and monthly active users, newest day first, and how many stay."""
    from levqor.bootstrap.retention import retention_alone
    from levqor.settings import load

    with retention_alone(load()) as desk:
        answer = desk.retention(days)
    if as_json:
        output.emit_json(answer)
    else:
        _print_days(answer)


@app.command("cohorts")
def cohorts(
    by: Annotated[str, typer.Option("--by", metavar="day|week|month", help="How long a period is.")] = "week",
    mode: Annotated[str, typer.Option("--mode", metavar="on|on_or_after", help="Active in that period, or in it or later.")] = "on",
    count: Annotated[int | None, typer.Option("--count", min=1, max=120, help="How many cohorts.")] = None,
    as_json: Json = False,
) -> None:
    """People by when they were first seen: how many of them came back in each later period. A period that is not over is empty."""
    from levqor.bootstrap.retention import retention_alone
    from levqor.settings import load

    if by not in list(Span):
        raise UsageError(f"--by: expected {' or '.join(Span)}")
    if mode not in list(Mode):
        raise UsageError(f"--mode: expected {' or '.join(Mode)}")
    with retention_alone(load()) as desk:
        answer = desk.cohorts(Span(by), Mode(mode), count)
    if as_json:
        output.emit_json(answer)
    else:
        _print_cohorts(answer)


@app.command("aggregate")
def aggregate(
    day: Annotated[str | None, typer.Option("--day", metavar="DAY", help="This day. Default: the last one that ended.")] = None,
    backfill: Annotated[int, typer.Option("--backfill", metavar="N", min=0, max=3_660, help="The last N days that ended.")] = 0,
    as_json: Json = False,
) -> None:
    """Count the day that ended and keep the figures; twice changes nothing. Exit code 4 for a day that is not over."""
    from levqor.bootstrap.retention import retention_alone
    from levqor.settings import load

    found = parse_day(day, "--day")
    with retention_alone(load()) as desk:
        answer = desk.aggregate(found, backfill)
    if as_json:
        output.emit_json(answer)
        return
    for figures in answer["days"]:
        output.emit(_say_day(figures))


@app.command("pull")
def pull(as_json: Json = False) -> None:
    """Take what is new in the team's own database, over a connection that can only read."""
    from levqor.bootstrap.retention import activity_pull, retention_alone
    from levqor.settings import load

    configuration = load()
    with retention_alone(configuration) as desk:
        answer = activity_pull(configuration.settings, desk).pull()
    if as_json:
        output.emit_json(answer)
        return
    events = answer["events"]
    said = f"{answer['users']} users; {events['accepted']} events, {events['duplicates']} were known already"
    output.emit(said + (f"; {answer['skipped']} rows are wrong" if answer["skipped"] else ""))


@app.command("rezone")
def rezone(dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Drop the counted days and go over to the zone that ANALYTICS_TZ now says. Users stay; import or pull the events again."""
    from levqor.bootstrap.retention import retention_alone
    from levqor.cli.service import actor
    from levqor.settings import load

    configuration = load()
    zone = configuration.settings.analytics_tz
    if dry_run:
        answer = {"ok": True, "dry_run": True, "zone": zone}
    elif not output.confirm(f"Drop all counted days, and count in days of {zone} from now on?", yes=yes):
        output.tell("nothing was done")
        return
    else:
        with retention_alone(configuration) as desk:
            answer = desk.start_over(actor())
    if as_json:
        output.emit_json(answer)
    else:
        said = "would be dropped, nothing was done" if dry_run else "are dropped: import or pull the events again"
        output.emit(f"the counted days {said}; zone {zone}")


def _say_day(figures: dict[str, Any]) -> str:
    short = "" if figures["mau_complete"] else " (MAU of fewer than 30 days)"
    return f"{figures['day']}  DAU {figures['dau']}  WAU {figures['wau']}  MAU {figures['mau']}{short}"


def _print_days(answer: dict[str, Any]) -> None:
    from rich.table import Table

    today = answer.get("today")
    rows = [*([{**today, "day": f"{today['day']} so far"}] if today else []), *answer["metrics"]]
    if not rows:
        output.emit("no activity is known yet")
        return
    table = Table("day", box=None, pad_edge=False)
    for name in ("DAU", "WAU", "MAU"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        note = "" if row.get("mau_complete", True) else "MAU of fewer than 30 days"
        table.add_row(str(row["day"]), *(_figure(row[name]) for name in ("dau", "wau", "mau")), note)
    output.console().print(table)
    output.emit(
        f"stickiness (DAU/MAU) {_share(answer['stickiness'].get('ratio'))}; mean of 7 days {_share(answer['stickiness'].get('mean_7d'))}"
    )
    kept = [f"{name.upper()} {_share((found or {}).get('rate'))}" for name, found in answer["cohorts"].items()]
    output.emit("kept: " + ", ".join(kept))


def _print_cohorts(answer: dict[str, Any]) -> None:
    from rich.table import Table

    if not answer["cohorts"]:
        output.emit("no activity is known yet")
        return
    table = Table("first seen", box=None, pad_edge=False)
    for name in ("users", *(str(column) for column in answer["columns"])):
        table.add_column(name, justify="right")
    for cohort in answer["cohorts"]:
        rates = ("" if rate is None else _share(rate) for rate in cohort["rates"])
        table.add_row(str(cohort["start"]), str(cohort["users"]), *rates)
    output.console().print(table)


def _figure(value: int | None) -> str:
    return "-" if value is None else str(value)


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"
