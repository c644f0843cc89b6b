"""`attach` and `detach`: beside a team's own queues, and gone again (spec P7)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Yes
from levqor.domain.errors import DependencyDown, GuardRefused, UsageError

if TYPE_CHECKING:
    from levqor.settings import Configuration

KEYS = "levqor:*"
SCAN_SIZE = 500


def attach(
    redis: Annotated[str, typer.Option("--redis", metavar="URL", help="The broker of your own queues.")],
    queues: Annotated[str, typer.Option("--queues", metavar="A,B", help="The queues, in order of priority.")] = "default",
    host: Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="Port to listen on.")] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="FOLDER", help="Folder of Levqor's own state.")] = None,
) -> None:
    """Watch the queues of your own broker and advise. It is only read; Levqor keeps its telemetry in a store of its own."""
    from levqor.cli.up import run_up
    from levqor.settings import load

    raise typer.Exit(run_up(load(attach_options(redis, queues, host, port, data))))


def attach_options(redis: str, queues: str, host: str | None, port: int | None, data: str | None) -> dict[str, Any]:
    """The settings of an installation that owns no worker and takes no job."""
    if not redis.startswith(("redis://", "rediss://", "unix://")):
        raise UsageError("--redis: expected an address such as redis://127.0.0.1:6379/0")
    return {
        "broker_url": redis,
        "queues": queues,
        "fleet_kind": "none",
        "intake_enabled": False,
        "host": host,
        "port": port,
        "data": data,
    }


def detach(
    redis: Annotated[str | None, typer.Option("--redis", metavar="URL", help="The store. Default: REDIS_URL, else Levqor's own.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """List and remove every key and table of Levqor's. Jobs and queues stay as they are."""
    from levqor.settings import load

    configuration = load({"redis_url": redis})
    refuse_while_it_runs(configuration)
    keys = _keys(configuration)
    tables = _tables(configuration)
    found = {"keys": keys, "tables": tables}
    if not as_json or not (yes or dry_run):
        _list(found, configuration)
    if dry_run:
        _report(found, "nothing was removed: a dry run", as_json, dry_run=True)
        return
    if not output.confirm(f"Remove {len(keys or [])} keys and {len(tables)} tables?", yes=yes):
        output.tell("nothing was removed")
        return
    _remove(configuration, keys, tables)
    _report(found, f"removed {len(keys or [])} keys and {len(tables)} tables", as_json, dry_run=False)


def refuse_while_it_runs(configuration: "Configuration") -> None:
    """A running service would write its keys anew: GuardRefused."""
    from levqor.cli.service import Service

    try:
        with Service(configuration.settings, timeout_s=2.0) as service:
            service.get("/livez")
    except DependencyDown:
        return
    raise GuardRefused(f"the service at {configuration.settings.local_url} is running; end it first")


def _keys(configuration: "Configuration") -> list[str] | None:
    """Every key of Levqor's; None where its own store is not running."""
    from redis.exceptions import RedisError

    from levqor.cli.stores import client_of, store_url

    url = store_url(configuration.settings)
    if url is None:
        return None
    try:
        with client_of(url) as client:
            return sorted(key.decode(errors="replace") for key in client.scan_iter(match=KEYS, count=SCAN_SIZE))
    except RedisError as error:
        if configuration.settings.redis_url is None:
            return None
        raise DependencyDown(f"the store does not answer: {type(error).__name__}") from error


def _tables(configuration: "Configuration") -> list[str]:
    """Every table of Levqor's that is there; a SQLite file that is not there is not made."""
    from sqlalchemy import inspect

    from levqor.store.database import VERSION_TABLE, Database, database_url
    from levqor.store.schema import SCHEMA, metadata

    settings = configuration.settings
    url = database_url(settings.database_url.get_secret_value() if settings.database_url else None, settings.data)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return []
    database = Database(url)
    try:
        with database.read() as connection:
            there = inspect(connection).get_table_names(schema=None if database.is_sqlite else SCHEMA)
    finally:
        database.close()
    ours = {table.name for table in metadata.tables.values()} | {VERSION_TABLE}
    return sorted(ours.intersection(there))


def _list(found: dict[str, Any], configuration: "Configuration") -> None:
    if found["keys"] is None:
        folder = configuration.settings.data / "store"
        output.tell(f"Levqor's own store is not running; its keys are in {folder}, remove that folder when no job in it is wanted any more")
    for key in found["keys"] or []:
        output.emit(f"key    {key}")
    for table in found["tables"]:
        output.emit(f"table  {table}")


def _remove(configuration: "Configuration", keys: list[str] | None, tables: list[str]) -> None:
    from levqor.bootstrap.database import drop_everything
    from levqor.cli.stores import client_of, store_url

    url = store_url(configuration.settings)
    if keys and url is not None:
        _release_quarantined(url, keys)
        with client_of(url) as client:
            for start in range(0, len(keys), SCAN_SIZE):
                client.unlink(*keys[start : start + SCAN_SIZE])
    if tables:
        drop_everything(configuration)


def _release_quarantined(url: str, keys: list[str]) -> None:
    """Jobs are the team's: what was quarantined goes back to the dead letters, where the queue library's own tools see it."""
    from levqor.client.rq_scripts import QUARANTINE
    from levqor.engines.rq import RqEngine
    from levqor.host import SystemClock

    prefix = f"{QUARANTINE}:"
    engine = RqEngine(url, clock=SystemClock())
    try:
        for queue in (key.removeprefix(prefix) for key in keys if key.startswith(prefix)):
            while letters := engine.quarantined(queue, limit=SCAN_SIZE):
                engine.release_quarantined(queue, [letter.job_id for letter in letters])
    finally:
        engine.close()


def _report(found: dict[str, Any], sentence: str, as_json: bool, *, dry_run: bool) -> None:
    if as_json:
        output.emit_json({"dry_run": dry_run, "removed": not dry_run, **found})
    else:
        output.tell(sentence)
