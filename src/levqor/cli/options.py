"""Options that mean the same in every verb."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON that has a schema number.")]
Url = Annotated[str | None, typer.Option("--url", metavar="URL", help="The service's address. Default: HOST and PORT of the settings.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Why = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason, for whoever reads it later.")]
