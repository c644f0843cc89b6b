"""`levqor agent`: this host's workers for an installation that runs elsewhere."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from levqor.agent.startup import Parts
    from levqor.settings import Configuration


def agent(
    redis_url: Annotated[
        str | None, typer.Option("--redis-url", metavar="URL", help="The installation's store. Default: REDIS_URL.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="FOLDER", help="Folder of this agent's own state.")] = None,
    queues: Annotated[str | None, typer.Option("--queues", metavar="A,B", help="The queues, in order of priority.")] = None,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND]", help="Your own worker, such as `-- rq worker default`; `--name NAME` is added."),
    ] = None,
) -> None:
    """Run this machine's share of the workers. SIGTERM lets them finish; killed, it leaves them to the next agent."""
    from dataclasses import replace

    from levqor.cli.up import service_parts
    from levqor.settings import load

    configuration = load({"redis_url": redis_url, "data": data, "queues": queues})
    raise typer.Exit(run_agent(configuration, replace(service_parts(), own_command=tuple(command or ()))))


def run_agent(configuration: "Configuration", parts: "Parts | None" = None) -> int:
    """Run until a signal; the exit code. Raises LevqorError with one line when it cannot start."""
    from levqor.agent import startup
    from levqor.cli.up import service_parts

    try:
        return startup.run_agent(configuration, parts or service_parts())
    except startup.Interrupted:
        return 0
