"""`levqor up`: the agent with store, control plane and workers, in the foreground."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from levqor.agent.startup import ControlProcess, Parts
    from levqor.settings import Configuration, Settings


def up(
    host: Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="Port to listen on.")] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="FOLDER", help="Folder of Levqor's own state.")] = None,
    redis_url: Annotated[
        str | None, typer.Option("--redis-url", metavar="URL", help="Your own Redis or Valkey. Default: one of ours.")
    ] = None,
    database_url: Annotated[str | None, typer.Option("--database-url", metavar="URL", help="Your own PostgreSQL. Default: SQLite.")] = None,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- COMMAND]", help="Your own worker instead of Levqor's, such as `-- rq worker default`; `--name NAME` is added."
        ),
    ] = None,
) -> None:
    """Run everything until Ctrl-C: store, service, autopilot and workers."""
    from dataclasses import replace

    from levqor.settings import load

    options = {"host": host, "port": port, "data": data, "redis_url": redis_url, "database_url": database_url}
    raise typer.Exit(up_beside(load(options), replace(service_parts(), own_command=tuple(command or ()))))


def up_beside(configuration: "Configuration", parts: "Parts | None" = None) -> int:
    """`run_up`, once the workers of a broker that is the team's own are of a version that can be read. Raises GuardRefused."""
    from levqor.bootstrap.broker import broker_standing
    from levqor.domain.errors import EngineDown

    if configuration.settings.broker_url is not None:
        try:
            standing = broker_standing(configuration.settings)
            standing.check_readable()
        except EngineDown as error:
            typer.echo(f"{error}; its queues are unknown until it does", err=True)
        else:
            if standing.sentence:
                typer.echo(standing.sentence, err=True)
    return run_up(configuration, parts)


def run_up(configuration: "Configuration", parts: "Parts | None" = None) -> int:
    """Run until a signal; the exit code. Raises LevqorError with one line when it cannot start."""
    from levqor.agent import startup

    try:
        return startup.run_up(configuration, parts or service_parts())
    except startup.Interrupted:
        return 0


def service_parts() -> "Parts":
    """The real things: RQ, Levqor's own control plane, probes through the listening socket."""
    from levqor.agent.startup import Parts
    from levqor.agent.watch import Watch
    from levqor.bootstrap.database import migrate
    from levqor.bootstrap.store import broker_url
    from levqor.engines.rq import RqEngine
    from levqor.host import SystemClock

    clock = SystemClock()
    watch = Watch(clock)

    def engine(settings: "Settings") -> RqEngine:
        return RqEngine(
            broker_url(settings),
            clock=clock,
            handlers=settings.handlers,
            max_losses=settings.job_max_losses,
            on_outcome=watch.recorder.count,
            url_variable="LEVQOR_REDIS_URL" if settings.broker_url is None else "LEVQOR_BROKER_URL",
            prefix=settings.rq_key_prefix,
        )

    return Parts(
        engine=engine,
        watch=watch.background,
        migrate=migrate,
        control_plane=control_plane,
        clock=clock,
        talk=lambda line: typer.echo(line, err=True),
    )


def control_plane(settings: "Settings", descriptor: int) -> Sequence["ControlProcess"]:
    """One process that serves and decides; with several web processes, one more that decides."""
    from levqor.agent.startup import ControlProcess

    levqor = [sys.executable, "-m", "levqor.cli"]
    web = [*levqor, "web", "--fd", str(descriptor)]
    if settings.web_workers == 1:
        return [ControlProcess("web", web, tells_ready=True)]
    return [
        *(ControlProcess(f"web-{number}", [*web, "--no-autopilot"], tells_ready=True) for number in range(1, settings.web_workers + 1)),
        ControlProcess("autopilot", [*levqor, "autopilot"]),
    ]
