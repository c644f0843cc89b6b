"""`costs forecast` and `costs today`: read from the database itself, whether a service runs or not."""

import json
from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import Json
from levqor.domain.errors import UsageError

METHODS = ("auto", "linear", "level")
FILE = "last_forecast.json"
PARTS = (
    ("stripe_fees", "fees"),
    ("infra", "infra"),
    ("openai", "AI"),
    ("workers", "workers"),
    ("total_cost", "all costs"),
    ("stripe_charges", "revenue"),
    ("margin", "margin"),
)
PLOT_COLUMNS = 50

Plot = Annotated[bool, typer.Option("--plot", help="Draw the days with their intervals.")]
Persist = Annotated[bool, typer.Option("--persist", help=f"Write it to {FILE} in LEVQOR_DATA too.")]
Method = Annotated[str | None, typer.Option("--method", metavar="NAME", help="auto, linear or level. Default: COST_METHOD.")]
Refresh = Annotated[bool, typer.Option("--refresh", help="Make it anew, although the kept one is good.")]


def mount(app: typer.Typer) -> None:
    """Put both commands beside the ledger's."""
    app.command("forecast")(forecast)
    app.command("today")(today)


def forecast(plot: Plot = False, persist: Persist = False, method: Method = None, refresh: Refresh = False, as_json: Json = False) -> None:
    """What the next 30 days are expected to cost, with the interval that holds in 80 of 100 cases. Needs no running service."""
    from levqor.bootstrap.costs import books_alone
    from levqor.settings import load

    if method is not None and method not in METHODS:
        raise UsageError(f"--method: expected {', '.join(METHODS)}")
    configuration = load()
    with books_alone(configuration) as books:
        # Another method than the installation's is a question, not the day's forecast: it is kept nowhere.
        is_own = method in (None, configuration.settings.cost_method)
        answer = books.costs.forecast(refresh) if is_own else books.costs.forecast_by(str(method))
    if persist:
        from levqor.agent.premises import write_private

        path = configuration.settings.data / FILE
        try:
            configuration.settings.data.mkdir(parents=True, exist_ok=True)
            write_private(path, json.dumps({"schema": output.SCHEMA, **answer}, indent=2, allow_nan=False) + "\n")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from error
        output.tell(f"written to {path}")
    if as_json:
        output.emit_json(answer)
        return
    _print_forecast(answer)
    if plot:
        _plot(answer)


def today(as_json: Json = False) -> None:
    """What this UTC day has cost so far, what the brake counts, and the budget. Needs no running service."""
    from levqor.bootstrap.costs import books_alone
    from levqor.settings import load

    with books_alone(load()) as books:
        answer = books.costs.today()
    if as_json:
        output.emit_json(answer)
    else:
        _print_today(answer)


def _print_forecast(answer: dict[str, Any]) -> None:
    from rich.table import Table

    currency = answer["currency"]
    output.emit(f"next 30 days: {_money(answer['forecast_next_30d'])} {currency}, {_band(answer)}")
    table = Table("", "expected", "low", "high", "past error", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, label in PARTS:
        part = answer["breakdown"][name]
        table.add_row(label, _money(part["forecast"]), _money(part["low"]), _money(part["high"]), _percent(part["error"]))
    output.console().print(table)
    _print_limits(answer)
    coverage = answer["coverage_so_far"]
    if coverage["share"] is not None:
        output.emit(f"of {coverage['count']} past forecasts {coverage['share']:.0%} held what came; {coverage['level']:.0%} are promised")
    output.emit(
        f"method {answer['method']}, {answer['days_of_history']} days of history, made {answer['computed_at'][:16].replace('T', ' ')} UTC"
    )
    for name in answer["unknown"]:
        output.tell(f"{name} has no history and is in no figure")
    _tell_sources(answer["sources"])


def _band(answer: dict[str, Any]) -> str:
    if answer["confidence_low"] is None:
        return "but there is no history to say it from"
    level = f"{answer['interval_level']:.0%} between {_money(answer['confidence_low'])} and {_money(answer['confidence_high'])}"
    return f"{level} (little history)" if answer["low_data"] else level


def _print_limits(answer: dict[str, Any]) -> None:
    if answer["limit"] is None:
        return
    day = answer["limit_breach_date"]
    guarded = "unknown" if answer["guard_forecast_next_30d"] is None else f"{answer['guard_forecast_next_30d'] / 30:.2f} a day"
    output.emit(
        f"the brake counts {guarded} of {_money(answer['limit'])}; {f'above the limit on {day}' if day else 'no day above the limit'}"
    )
    budget = answer["budget"]
    when = f"is used up on {budget['used_up_on']}" if budget["used_up_on"] else "lasts"
    earliest = budget["used_up_on_earliest"]
    worst = f" (at the high end on {earliest})" if earliest and earliest != budget["used_up_on"] else ""
    output.emit(f"the budget of {_money(budget['amount'])} for {budget['key']} {when}{worst}")


def _plot(answer: dict[str, Any]) -> None:
    """One bar a day; the lighter part reaches to the high end of the day's interval."""
    days = answer["daily"]
    highest = max((max(day["high"] or 0.0, day["cost"] or 0.0) for day in days), default=0.0)
    if highest <= 0:
        output.tell("there is nothing to draw")
        return
    for day in days:
        cost, high = (max(0.0, day[name] or 0.0) for name in ("cost", "high"))
        solid = round(cost / highest * PLOT_COLUMNS)
        light = max(0, round(high / highest * PLOT_COLUMNS) - solid)
        output.emit(f"{day['day']} {'█' * solid}{'░' * light}{' ' * (PLOT_COLUMNS - solid - light)} {_money(day['cost'])}".rstrip())


def _print_today(answer: dict[str, Any]) -> None:
    currency = answer["currency"]
    parts = ", ".join(f"{name} {_money(amount)}" for name, amount in answer["by_category"].items() if amount and name != "revenue")
    output.emit(
        f"{answer['day']} so far: {_money(answer['cost'])} {currency}{f' ({parts})' if parts else ''}; revenue {_money(answer['revenue'])}"
    )
    output.emit(f"brake ({', '.join(answer['guard']['categories'])}): {answer['guard']['text']}")
    budget = answer["budget"]
    if budget is not None:
        output.emit(f"budget for {budget['key']}: {_money(budget['spent'])} of {_money(budget['amount'])}, {budget['percent']:.0f} %")
    for name, sums in answer["other_currencies"].items():
        output.emit(f"not counted, in {name}: " + ", ".join(f"{category} {_money(amount)}" for category, amount in sums.items()))
    for name in answer["unknown"]:
        output.tell(f"{name} has never been read: what it costs is in no figure")
    _tell_sources(answer["sources"])


def _tell_sources(sources: dict[str, dict[str, Any]]) -> None:
    for name, source in sources.items():
        if source["status"] in ("down", "stale"):
            output.tell(f"{name} is {source['status']}: {source['problem']}")


def _money(amount: float | None) -> str:
    return "-" if amount is None else f"{amount:.2f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
