"""`verify`: is everything as it should be? Asked over HTTP; what is only here is looked at here (spec V1, V2)."""

import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import Json
from levqor.domain.errors import LevqorError, UsageError

if TYPE_CHECKING:
    from levqor.settings import Configuration, Settings
    from levqor.store.database import Database
    from levqor.verify.checks import Result
    from levqor.verify.suites import Suite

SUITES = "public, v6_2, ops, all or integrity"
KEPT = ("all", "integrity")
"""Suites whose reports are kept, where they are of the installation on this machine."""


def verify(
    suite: Annotated[str, typer.Option("--suite", metavar="NAME", help=f"What to check: {SUITES}.")] = "all",
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="The service's address, with its prefix. Default: HOST and PORT.")
    ] = None,
    as_json: Json = False,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML, too.")] = None,
    timeout_s: Annotated[float, typer.Option("--timeout", metavar="S", help="Each request must be answered within this.")] = 10.0,
    record: Annotated[int | None, typer.Option("--record", hidden=True, help="Number under which the report is kept.")] = None,
) -> None:
    """Check an installation, answer by answer; exit code 1 and `FAILED @ STAGE` at the first stage that fails.

    Needs the running service; ADMIN_TOKEN, or on this machine the token that `up` wrote. Against another machine, what can
    only be seen there is skipped, and jobs need API_KEYS.
    """
    from levqor.settings import load

    raise typer.Exit(_run(load(), _suite(suite), base_url, timeout_s, as_json=as_json, junit=junit, record=record))


def _suite(name: str) -> "Suite":
    from levqor.verify.suites import Suite

    try:
        return Suite(name)
    except ValueError:
        raise UsageError(f"--suite: expected {SUITES}") from None


def _run(
    configuration: "Configuration",
    suite: "Suite",
    base_url: str | None,
    timeout_s: float,
    *,
    as_json: bool,
    junit: Path | None,
    record: int | None,
) -> int:
    from levqor.bootstrap.checks import verify_premises
    from levqor.host import SystemClock
    from levqor.verify.report import junit as as_junit
    from levqor.verify.report import report
    from levqor.verify.suites import run, stages
    from levqor.verify.target import Target, checked_timeout, place_of

    settings, clock = configuration.settings, SystemClock()
    place = _checked("--base-url", lambda: place_of(settings, base_url))
    timeout_s = _checked("--timeout", lambda: checked_timeout(timeout_s))
    if junit is not None and not junit.absolute().parent.is_dir():
        raise UsageError(f"--junit: there is no folder {junit.absolute().parent}")
    target, premises = Target(place, timeout_s, clock), verify_premises(settings, clock, is_local=place.is_local)
    say = _silence if as_json else _tell_progress if sys.stdout.isatty() else _say
    at, began, results = clock.now(), clock.monotonic(), []
    todo = stages(suite, target, premises)
    for result in run(todo, suite.overall_s, clock, _mask(settings, place.token)):
        results.append(result)
        say(result)
    target.close()
    found = report(suite.value, place.shown_url, at, clock.monotonic() - began, todo, results)
    if premises.database is not None:
        if suite.value in KEPT:
            _keep(premises.database, at, found, record)
        premises.database.close()
    if junit is not None:
        _write(junit, as_junit(found, results))
    _tell(found, results, as_json=as_json)
    return 0 if found["ok"] else 1


def _mask(settings: "Settings", token: str | None) -> Callable[[str], str]:
    """Takes out what no report may hold: every secret of the settings, and the token of the local file."""
    from levqor.bootstrap.processes import masker_of

    mask = masker_of(settings)
    return lambda text: mask(text) if token is None else mask(text).replace(token, "***")


def _tell(found: dict[str, Any], results: Sequence["Result"], *, as_json: bool) -> None:
    """The document, or the table and the verdict."""
    from levqor.verify.report import verdict

    if as_json:
        output.emit_json(found)
        output.tell(verdict(found))
        return
    if sys.stdout.isatty():
        _print(results)
    output.emit(verdict(found))


def _checked(option: str, read: Any) -> Any:
    try:
        return read()
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _keep(database: "Database", at: datetime, found: dict[str, Any], record: int | None) -> None:
    """A report that cannot be kept is told, and is no reason to fail."""
    from sqlalchemy.exc import DBAPIError

    from levqor.cli.service import actor
    from levqor.store.verifications import VerificationState, begin_verification, end_verification

    state = VerificationState.PASSED if found["ok"] else VerificationState.FAILED
    try:
        with database.write() as connection:
            number = record or begin_verification(connection, at, found["suite"], actor())
            end_verification(connection, number, state, found)
    except (LevqorError, DBAPIError) as error:
        output.tell(f"the report was not kept: {type(error).__name__}")


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_bytes(content)
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise UsageError(f"--junit: cannot write {path}: {error.strerror}") from None


STYLES = {"PASS": "green", "FAIL": "bold red", "SKIP": "yellow"}


def _silence(_: "Result") -> None:
    """The document says it all."""


def _tell_progress(result: "Result") -> None:
    """On a terminal the table comes at the end; until then, how far it is."""
    output.tell(f"{result.outcome.value}  {result.stage}/{result.id}")


def _say(result: "Result") -> None:
    """One check at once, in lines that a program can read."""
    output.emit(f"{result.outcome.value}  {result.stage}/{result.id}  ({result.duration_s:.2f} s)")
    output.emit(f"      expected  {result.expected}")
    output.emit(f"      skipped   {result.reason}" if result.outcome.value == "SKIP" else f"      seen      {result.seen}")
    sys.stdout.flush()


def _print(results: Sequence["Result"]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "check", "expected", "seen", "s", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for result in results:
        seen = f"skipped: {result.reason}" if result.outcome.value == "SKIP" else result.seen
        outcome = Text(result.outcome.value, STYLES[result.outcome.value])
        table.add_row(outcome, f"{result.stage}/{result.id}", Text(result.expected), Text(seen), f"{result.duration_s:.2f}")
    output.console().print(table)
