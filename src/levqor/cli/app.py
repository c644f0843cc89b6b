"""`main` and the group of verbs; the help is printed from the table alone, so that it needs no other import."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from levqor.cli.verbs import VERBS, Verb
from levqor.domain.errors import LevqorError

INTERRUPTED = 130


class VerbGroup(TyperGroup):
    """Finds a verb's command in its own module when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name, verb in VERBS.items() if not verb.is_hidden]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        verb = VERBS.get(cmd_name)
        return None if verb is None else _command(cmd_name, verb)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for section in dict.fromkeys(verb.section for verb in VERBS.values()):
            rows = [(name, verb.summary) for name, verb in VERBS.items() if verb.section == section and not verb.is_hidden]
            with formatter.section(section):
                formatter.write_dl(rows)


def _command(name: str, verb: Verb) -> Any:
    found = getattr(importlib.import_module(verb.module), verb.attribute)
    if isinstance(found, typer.Typer):
        command = typer.main.get_command(found)
    else:
        alone = typer.Typer(rich_markup_mode=None, add_completion=False)
        alone.command(name, context_settings={"ignore_unknown_options": verb.takes_negative_numbers})(found)
        command = typer.main.get_command(alone)
    command.name = name
    return command


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"levqor {version('levqor')}")
        raise typer.Exit


def _application() -> typer.Typer:
    application = typer.Typer(cls=VerbGroup, rich_markup_mode=None, no_args_is_help=True)

    @application.callback()
    def levqor(
        version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")] = False,
    ) -> None:
        """An autopilot for a Python service: it measures, scales the workers inside a budget, and says why.

        Data goes to standard output, talk to standard error. Exit codes: 0 done, 1 failed, 2 usage or setting,
        3 refused by a guard, 4 condition not met, 69 a dependency is down.
        """

    return application


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and answer its exit code; errors that Levqor raises on purpose are one line, never a traceback."""
    try:
        typer.main.get_command(_application()).main(args=None if arguments is None else list(arguments), prog_name="levqor")
    except SystemExit as end:
        return _flushed(end.code if isinstance(end.code, int) else 0 if end.code is None else 1)
    except KeyboardInterrupt:
        return INTERRUPTED
    except LevqorError as error:
        typer.echo(f"levqor: {error}", err=True)
        return error.exit_code
    except BrokenPipeError:
        return _reader_left()
    return _flushed(0)


def _flushed(code: int) -> int:
    """Flush now, where a reader that has left can still be met with silence."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    return code


def _reader_left() -> int:
    """`levqor ... | head`: whoever read standard output has seen enough; that is no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
