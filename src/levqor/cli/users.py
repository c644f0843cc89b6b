"""`users`: what is known of a person, and forgetting it."""

from typing import Annotated

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Yes
from levqor.cli.service import actor
from levqor.domain.errors import UsageError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

Id = Annotated[str, typer.Argument(metavar="ID", help="Your own id of the person; opaque to Levqor.")]


@app.callback()
def users() -> None:
    """Known users. Needs no running service: it works on the database itself."""


@app.command("set")
def set_user(
    user_id: Id,
    referral_source: Annotated[str | None, typer.Option("--referral-source", metavar="NAME", help="Where they came from.")] = None,
    created_at: Annotated[str | None, typer.Option("--created-at", metavar="TIME", help="When they signed up, RFC 3339.")] = None,
    is_service: Annotated[bool | None, typer.Option("--service/--person", help="A service does not count as active.")] = None,
    as_json: Json = False,
) -> None:
    """Make a person known, or change what is given."""
    from levqor.bootstrap.retention import retention_alone
    from levqor.policies.events import moment_of
    from levqor.settings import load

    try:
        created = None if created_at is None else moment_of(created_at)
    except ValueError as error:
        raise UsageError(f"--created-at: {str(error).removeprefix('ts: ')}") from None
    with retention_alone(load()) as desk:
        answer = desk.set_user(user_id, created_at=created, referral_source=referral_source, is_service=is_service)
    if as_json:
        output.emit_json(answer)
    else:
        output.emit("now known" if answer["created"] else "changed as asked")


@app.command("forget")
def forget(user_id: Id, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Erase who somebody was: their id and referral source. The counts of the past stay, with a number that leads to nobody."""
    from levqor.bootstrap.retention import retention_alone
    from levqor.settings import load

    with retention_alone(load()) as desk:
        known = desk.user(user_id)
        if dry_run:
            _say({"dry_run": True, **known}, "dry run, nothing was done: this person is known and would be forgotten", as_json)
            return
        if not output.confirm("Forget this person for good?", yes=yes):
            output.tell("nothing was done")
            return
        answer = desk.forget(user_id, actor())
    _say(answer, "forgotten", as_json)


def _say(answer: dict[str, object], words: str, as_json: bool) -> None:
    if as_json:
        output.emit_json(answer)
    else:
        output.emit(words)
