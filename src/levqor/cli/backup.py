"""`backup`: Levqor's own data as copies that were proven to restore. Works with and without a running service."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Yes
from levqor.domain.errors import GuardRefused, UsageError

if TYPE_CHECKING:
    from levqor.monitors.backups import BackupDesk
    from levqor.settings import Configuration

app = typer.Typer(
    help="Backups of Levqor's own data: create, list, verify, restore.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)

Name = Annotated[str, typer.Argument(metavar="[NAME|latest]", help="A name of `levqor backup list`.")]


@app.command("create")
def create(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Make a backup: database, flags, checksums. The service may run meanwhile."""
    desk = _desk()
    if dry_run:
        plan = desk.plan()
        _answer({"dry_run": True, **plan}, f"dry run: {plan['database']}, at most {_size(plan['bytes'])}, into {plan['folder']}", as_json)
        return
    made = desk.create()
    _answer(made, f"{made['path']}: {made['rows']} rows of {made['tables']} tables, {_size(made['size'])}", as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """The backups, the newest first, and whether each was proven to restore."""
    answer = _desk().listing()
    if as_json:
        output.emit_json(answer)
        return
    for backup in answer["backups"]:
        output.emit(f"{backup['name']}  {_size(backup['size']):>8}  schema {backup['revision'] or '?':<5} {_said_of(backup)}")
    if not answer["backups"]:
        output.tell(f"there is no backup yet in {answer['folder']}")


@app.command("verify")
def verify(name: Name = "latest", as_json: Json = False) -> None:
    """Restore a backup in a scratch place, compare it with its manifest, and write down what was found. Exit code 1 if it is not whole."""
    report = _desk().verify(name)
    _answer(report, _verified(report), as_json)
    _end(report["ok"])


@app.command("cycle")
def cycle(as_json: Json = False) -> None:
    """Create, verify, and only if it is good delete what BACKUP_KEEP_DAILY and BACKUP_KEEP_WEEKLY leave over."""
    report = _desk().cycle()
    gone = f"; deleted {', '.join(report['deleted'])}" if report["deleted"] else ""
    _answer(report, f"{_verified(report['verified'])}; {report['kept']} kept{gone}", as_json)
    _end(report["ok"])


@app.command("restore")
def restore(
    name: Annotated[str, typer.Argument(metavar="NAME|latest", help="A name of `levqor backup list`.")],
    keep_flags: Annotated[bool, typer.Option("--keep-flags", help="Leave the flags file as it is.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Put a backup in the place of the present data, which is kept under another name. Refused while the service runs."""
    from levqor.bootstrap.backups import restore_of
    from levqor.host import SystemClock
    from levqor.settings import load

    configuration = load()
    work = restore_of(configuration.settings, SystemClock())
    plan = work.plan(name, keep_flags=keep_flags)
    if dry_run:
        _answer({"dry_run": True, "restored": False, **plan}, "\n".join(_planned(plan)), as_json)
        return
    with _nobody_runs(configuration):
        if not yes:
            for line in _planned(plan):
                output.tell(line)
        if not output.confirm(f"Restore {plan['name']}?", yes=yes):
            output.tell("nothing was restored")
            return
        done = work.run(plan, "levqor backup restore")
    kept = f"; what it replaced is kept as {', '.join(done['kept_as'])}" if done["kept_as"] else ""
    _answer(done, f"restored {done['name']} to {done['database']}{kept}", as_json)


@contextmanager
def _nobody_runs(configuration: "Configuration") -> Iterator[None]:
    """Neither a service nor an agent on this data, and none can begin meanwhile. Raises GuardRefused."""
    from levqor.agent.premises import Lock, claim_folder
    from levqor.cli.attach import refuse_while_it_runs

    refuse_while_it_runs(configuration)
    data = configuration.settings.data
    claim_folder(data, 0o700)
    with ExitStack() as stack:
        try:
            stack.enter_context(Lock(data / "levqor.lock"))
        except UsageError as error:
            raise GuardRefused(f"{error}; end it first") from error
        yield


def _desk() -> "BackupDesk":
    from levqor.bootstrap.backups import backup_desk
    from levqor.host import SystemClock
    from levqor.settings import load

    return backup_desk(load().settings, SystemClock())


def _answer(data: dict[str, Any], sentence: str, as_json: bool) -> None:
    if as_json:
        output.emit_json(data)
    else:
        output.emit(sentence)


def _end(is_good: bool) -> None:
    if not is_good:
        raise typer.Exit(1)


def _planned(plan: dict[str, Any]) -> list[str]:
    lines = [f"{plan['name']} ({plan['rows']} rows, schema {plan['revision']}, {plan['how']} just now) goes to {plan['database']}"]
    lines += [f"what is there now is kept as {kept}" for kept in plan["kept_as"]]
    lines += [f"flag {flag}: {now} becomes {then}" for flag, (now, then) in plan["flags"].items()]
    return [*lines, *([f"it would be refused: {plan['in_use']}"] if plan["in_use"] else [])]


def _verified(report: dict[str, Any]) -> str:
    if not report["ok"]:
        return "\n".join([f"{report['name']} is not whole:", *(f"  {problem}" for problem in report["problems"])])
    how = "restored in a scratch place" if report["how"] == "restored" else "read to its end (the server allows no scratch database)"
    return f"{report['name']} is whole: {how}, {report['rows']} rows as its manifest says"


def _said_of(backup: dict[str, Any]) -> str:
    if backup["verified"] is None:
        return "not verified yet"
    return (
        f"verified {backup['verified_at'][:16]}Z, {backup['how']}" if backup["verified"] else "NOT WHOLE: `levqor backup verify` says why"
    )


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
