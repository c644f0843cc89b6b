"""`levqor init`: units, a compose file or a Procfile that fit this installation, shown before they are written."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Yes
from levqor.domain.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from levqor.kit.files import Change, File
    from levqor.kit.installation import Installation

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

Output = Annotated[Path | None, typer.Option("--output", metavar="FOLDER", help="Write here instead.")]
Worker = Annotated[str | None, typer.Option("--worker", metavar="COMMAND", help="Your own worker. Default: `rq worker` on QUEUES.")]


@app.callback()
def init() -> None:
    """Write what runs this installation: from the settings in force here, without a secret, and shown before it is written."""


@app.command("systemd")
def systemd(
    folder: Output = None,
    worker: Worker = None,
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="Who runs it. Default: you; for root, levqor.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """A unit for the service and, for FLEET_KIND=slots with SLOTS_UNIT, one for a worker and the right to start it."""
    from levqor.kit.units import systemd_files

    _run(systemd_files, folder, worker, user, dry_run=dry_run, yes=yes, as_json=as_json)


@app.command("compose")
def compose(folder: Output = None, worker: Worker = None, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """A compose file: store, service and, where your own image runs them, workers that are scaled by count."""
    from levqor.kit.compose import compose_files

    _run(compose_files, folder, worker, None, dry_run=dry_run, yes=yes, as_json=as_json)


@app.command("procfile")
def procfile(folder: Output = None, worker: Worker = None, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Lines of a Procfile; those that are there stay."""
    from levqor.kit.procfile import procfile_files

    present = _present((folder or Path.cwd()) / "Procfile")
    _run(lambda installation: procfile_files(installation, present), folder, worker, None, dry_run=dry_run, yes=yes, as_json=as_json)


def _run(
    make: "Callable[[Installation], Sequence[File]]",
    folder: Path | None,
    worker: str | None,
    user: str | None,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    from levqor.kit.files import changes, write
    from levqor.kit.installation import describe_installation
    from levqor.settings import load

    installation = describe_installation(load(), worker, user or _user(), Path.cwd())
    files = [file if folder is None else file.inside(folder.absolute()) for file in make(installation)]
    found = changes(files)
    if not as_json:
        _show(found)
    if found and not dry_run:
        if not output.confirm(f"Write {_named(found)}?", yes=yes):
            output.tell("nothing was written")
            return
        for change in found:
            write(change)
    _report(found, installation, dry_run=dry_run, as_json=as_json)


def _present(procfile: Path) -> str:
    try:
        return procfile.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {procfile}: {error}") from error


def _user() -> str:
    from levqor.cli.service import actor

    name = actor()
    return "levqor" if name in ("root", "somebody") else name


def _show(found: "Sequence[Change]") -> None:
    for change in found:
        output.emit(change.diff().removesuffix("\n"))


def _named(found: "Sequence[Change]") -> str:
    return ", ".join(str(change.file.place) for change in found)


def _report(found: "Sequence[Change]", installation: "Installation", *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        output.emit_json({"dry_run": dry_run, "files": [_row(change) for change in found], "secrets": list(installation.secrets)})
        return
    if not found:
        output.tell("nothing to change")
        return
    output.tell("nothing was written: a dry run" if dry_run else f"written: {_named(found)}")
    if "worker" in installation.worker and "-w" not in installation.worker:
        output.tell(
            "RQ's own worker can lose a job handed to it while it is told to stop: install levqor beside it, add -w levqor.rq.Worker"
        )
    if installation.secrets:
        output.tell(
            f"secrets in force here, which stand in no file: put {', '.join(installation.secrets)} into {installation.env_file} (mode 600)"
        )


def _row(change: "Change") -> dict[str, Any]:
    return {"path": str(change.file.place), "is_new": change.before is None, "diff": change.diff()}
