"""`deploy`: mark that a version of the team's app came."""

from typing import Annotated

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Url, Yes
from levqor.cli.service import Service


def deploy(
    sha: Annotated[str, typer.Option("--sha", metavar="SHA", help="The version that came: a commit, a tag, a build.")],
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What came with it, for whoever reads it later.")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Mark a deploy: shown beside signals, decisions and incidents; its first failures start no recovery."""
    wish = {"sha": sha, "note": note}
    with Service.at(url) as service:
        answer = wish if dry_run else service.post("/ops/deploys", wish)
    if as_json:
        output.emit_json({"dry_run": dry_run, **answer})
        return
    sentence = f"deploy {sha} marked"
    output.emit(f"dry run, nothing was done: {sentence}" if dry_run else sentence)
