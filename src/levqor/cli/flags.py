"""`flags get` and `flags set`."""

from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Url, Yes
from levqor.cli.service import Service
from levqor.domain.errors import NotFound, UsageError

app = typer.Typer(help="Read and set the flags.", no_args_is_help=True, rich_markup_mode=None, add_completion=False)

WORDS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


@app.command("get")
def get_flags(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One flag. None: all.")] = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """The flags in force."""
    with Service.at(url) as service:
        flags = service.get("/ops/flags")
    values = _values(flags)
    if name is not None:
        values = {_known(name, values): values[_known(name, values)]}
    if as_json:
        output.emit_json({**{key: flags[key] for key in ("state", "error") if key in flags}, "values": values})
        return
    for key, value in values.items():
        output.emit(_say(value) if name is not None else f"{key}={_say(value)}")
    if flags.get("error"):
        output.tell(f"the flags file is not in force: {flags['error']}")


@app.command("set")
def set_flag(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="true, false, or a number of workers.")],
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Set one flag: an audited change, in force within a tick."""
    wish = parse_value(value)
    with Service.at(url) as service:
        before = _values(service.get("/ops/flags"))
        key = _known(name, before)
        if not dry_run:
            service.put(f"/ops/flags/{key}", {"value": wish})
    if as_json:
        output.emit_json({"dry_run": dry_run, "name": key, "before": before[key], "after": wish})
    else:
        output.emit(f"{'would set ' if dry_run else ''}{key}: {_say(before[key])} -> {_say(wish)}")


def parse_value(text: str) -> bool | int:
    """`true`, `off` or a count. Raises UsageError for anything else."""
    words = text.strip().lower()
    if words in WORDS:
        return WORDS[words]
    if words.isascii() and words.isdigit() and len(words) <= 6:
        return int(words)
    raise UsageError("flags: expected true, false or a number of workers")


def _values(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: entry["value"] for name, entry in flags["flags"].items()}


def _known(name: str, values: dict[str, Any]) -> str:
    key = name.upper().replace("-", "_")
    if key not in values:
        raise NotFound(f"no flag is named {key}; there are {', '.join(values)}")
    return key


def _say(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
