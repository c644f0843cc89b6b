"""Data on standard output, talk on standard error (spec L1)."""

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from levqor.domain.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

UNWRAPPED = 1_000
"""Columns where no terminal limits them: a line that a program reads is never broken."""

SCHEMA = 1
"""Raised when a key of any `--json` answer changes its meaning or goes away; new keys do not raise it."""


def emit(line: str = "") -> None:
    """A line of data."""
    typer.echo(line)


def emit_json(data: Mapping[str, Any], *, is_line: bool = False) -> None:
    """One JSON document; `is_line` keeps it on one line, flushed, for whoever reads line by line."""
    text = json.dumps({"schema": SCHEMA, **data}, indent=None if is_line else 2, ensure_ascii=False, allow_nan=False, default=str)
    typer.echo(text)
    if is_line:
        sys.stdout.flush()


def tell(line: str) -> None:
    """A line of talk."""
    typer.echo(line, err=True)


def console(*, is_talk: bool = False) -> "Console":
    """A rich console for tables and colours; it heeds NO_COLOR and a missing terminal by itself."""
    from rich.console import Console

    stream = sys.stderr if is_talk else sys.stdout
    return Console(stderr=is_talk, highlight=False, width=None if stream.isatty() else UNWRAPPED)


def has_terminal() -> bool:
    """Can a question be asked and answered?"""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, yes: bool) -> bool:
    """Ask, unless told not to. Without a terminal nobody can answer: UsageError that names `--yes`."""
    if yes:
        return True
    if not has_terminal():
        raise UsageError(f"{question} There is no terminal to answer on: add --yes, or look first with --dry-run.")
    return bool(typer.confirm(question, err=True))
