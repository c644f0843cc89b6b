"""`config`: every setting and where it came from, and the API's description; needs no running service."""

from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import Json
from levqor.domain.errors import NotFound

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)


@app.callback()
def config() -> None:
    """Every setting, its value and where it came from; and the API's description."""


@app.command("show")
def show(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One setting. None: all.")] = None,
    as_json: Json = False,
) -> None:
    """Print the settings that hold here and now, each with its source; secrets are masked."""
    from levqor.settings import describe, load

    rows = describe(load())
    if name is not None:
        key = name.upper().removeprefix("LEVQOR_")
        if key not in rows:
            raise NotFound(f"no setting is named {key}; `levqor config show` lists them")
        rows = {key: rows[key]}
    if as_json:
        output.emit_json({"settings": rows})
        return
    _print(rows)


@app.command("openapi")
def openapi() -> None:
    """Print the whole API as OpenAPI (JSON), for making clients; opens nothing."""
    import json

    from levqor.bootstrap.web import openapi as description

    output.emit(json.dumps(description(), indent=1, sort_keys=True))


def _print(rows: dict[str, dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("setting", "value", "source", box=None, pad_edge=False)
    for name, row in rows.items():
        value = row["value"]
        words = "-" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        style = "" if row["source"] == "default" else "bold"
        table.add_row(Text(name, style), Text(words, style), Text(row["source"], style or "dim"))
    output.console().print(table)
