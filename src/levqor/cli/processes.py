"""`web` and `autopilot`: the control plane's processes, one by one."""

from typing import Annotated

import typer

Host = Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")]
Port = Annotated[int | None, typer.Option("--port", metavar="N", help="Port to listen on.")]


def web(
    host: Host = None,
    port: Port = None,
    fd: Annotated[int | None, typer.Option("--fd", hidden=True, help="An inherited listening socket.")] = None,
    ready_fd: Annotated[int | None, typer.Option("--ready-fd", hidden=True, help="Where to say that connections are accepted.")] = None,
    with_autopilot: Annotated[
        bool, typer.Option("--autopilot/--no-autopilot", help="Run the autopilot's loop in this process too.")
    ] = True,
) -> None:
    """Run the HTTP service, with the autopilot's loop unless told otherwise."""
    from levqor.bootstrap.web import run_web
    from levqor.settings import load

    raise typer.Exit(run_web(load({"host": host, "port": port}), fd, with_autopilot=with_autopilot, ready_fd=ready_fd))


def autopilot() -> None:
    """Run the autopilot's loop alone, beside any number of web processes."""
    from levqor.bootstrap.web import run_autopilot
    from levqor.settings import load

    raise typer.Exit(run_autopilot(load()))
