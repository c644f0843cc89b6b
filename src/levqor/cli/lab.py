"""`lab`: the policies by themselves, JSON lines in, JSON lines out."""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from levqor.cli import output

lab = typer.Typer(
    help="Examine the policies: JSON lines in, JSON lines out.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


@lab.callback()
def _lab() -> None:
    """Examine the policies: JSON lines in, JSON lines out."""


@lab.command("slo")
def lab_slo(
    literal: Annotated[bool, typer.Option("--literal", help="Compare without asking for evidence.")] = False,
) -> None:
    """Judge windows: `{"requests": n, "over_p99": k, "errors": e}` a line in, `{"state", "p_value", "why"}` out."""
    from levqor.lab.slo import judge_lines
    from levqor.monitors.slo_watchdog import Objectives
    from levqor.settings import load

    settings = load().settings
    latency, errors, _availability = Objectives(settings.slo_p99_ms, settings.slo_error_rate, settings.slo_availability).all()
    _each(judge_lines(sys.stdin, (latency, errors), is_literal=literal or settings.slo_evidence == "literal"))


@lab.command("forecast")
def lab_forecast() -> None:
    """Forecast sums: `{"start": "2026-01-31", "values": [...], "horizon": 30}` a line in, `{"forecast", "low", "high", "method"}` out.

    `start` is the day of the first value, null a day without a figure, `method` auto, linear or level. The interval is the 80 % one.
    """
    from levqor.lab.forecast import forecast_lines_of

    _each(forecast_lines_of(sys.stdin))


def _each(answers: Iterator[str]) -> None:
    for line in answers:
        output.emit(line)
        sys.stdout.flush()
