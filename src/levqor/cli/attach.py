"""`attach` and `detach`: beside a team's own queues, and gone again (spec P7)."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Yes
from levqor.domain.errors import DependencyDown, GuardRefused

if TYPE_CHECKING:
    from levqor.settings import Configuration

KEYS = "levqor:*"
SCAN_SIZE = 500

Kind = Literal["none", "slots", "external"]
"""Kinds whose workers are the team's own; beside `levqor agent` stands `levqor up`, which brings a store for both."""


def attach(
    redis: Annotated[str, typer.Option("--redis", metavar="URL", help="The broker of your own queues.")],
    queues: Annotated[str, typer.Option("--queues", metavar="A,B", help="The queues, in order of priority.")] = "default",
    fleet_kind: Annotated[
        Kind, typer.Option("--fleet-kind", help="`none` advises; `slots` and `external` scale your workers, as the settings say how.")
    ] = "none",
    rule: Annotated[Literal["threshold", "wait"] | None, typer.Option("--rule", help="The scaling rule. Default: SCALE_RULE.")] = None,
    host: Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="Port to listen on.")] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="FOLDER", help="Folder of Levqor's own state.")] = None,
) -> None:
    """Watch the queues of your own broker and advise. It is only read; Levqor keeps its telemetry in a store of its own."""
    from levqor.cli.up import up_beside
    from levqor.settings import load

    options = attach_options(redis, queues, fleet_kind, rule)
    raise typer.Exit(up_beside(load({**options, "host": host, "port": port, "data": data})))


def attach_options(redis: str, queues: str, fleet_kind: Kind = "none", rule: str | None = None) -> dict[str, Any]:
    """The settings of an installation that takes no job and spawns no worker. Raises UsageError for an address that is none."""
    from levqor.engines.broker import address_of

    address_of(redis)
    return {
        "broker_url": redis,
        "queues": queues,
        "fleet_kind": fleet_kind,
        "scale_rule": rule,
        "intake_enabled": False,
    }


def detach(
    redis: Annotated[str | None, typer.Option("--redis", metavar="URL", help="The store. Default: REDIS_URL, else Levqor's own.")] = None,
    broker: Annotated[str | None, typer.Option("--broker", metavar="URL", help="The broker. Default: BROKER_URL, else the store.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """List and remove every key and table of Levqor's. Jobs and queues stay as they are; quarantined ones are dead letters again."""
    from levqor.settings import load

    configuration = load({"redis_url": redis, "broker_url": broker})
    refuse_while_it_runs(configuration)
    places = _places(configuration)
    tables = _tables(configuration)
    found = {**{f"{place.name}keys": place.keys for place in places}, "tables": tables}
    count = sum(len(place.keys or []) for place in places)
    if not as_json or not (yes or dry_run):
        _list(places, tables, configuration)
    if dry_run:
        _report(found, "nothing was removed: a dry run", as_json, dry_run=True)
        return
    if not output.confirm(f"Remove {count} keys and {len(tables)} tables?", yes=yes):
        output.tell("nothing was removed")
        return
    _remove(configuration, places, tables)
    _report(found, f"removed {count} keys and {len(tables)} tables", as_json, dry_run=False)


def refuse_while_it_runs(configuration: "Configuration") -> None:
    """A running service would write its keys anew: GuardRefused."""
    from levqor.cli.service import Service

    try:
        with Service(configuration.settings, timeout_s=2.0) as service:
            service.get("/livez")
    except DependencyDown:
        return
    raise GuardRefused(f"the service at {configuration.settings.local_url} is running; end it first")


@dataclass(frozen=True, slots=True)
class _Place:
    """A server that may hold keys of Levqor's. `keys` None: it is our own and is not running."""

    name: Literal["", "broker_"]
    url: str
    keys: list[str] | None


def _places(configuration: "Configuration") -> list[_Place]:
    """The store, and the broker where it is another one. Raises DependencyDown where one of them does not answer."""
    from levqor.cli.stores import store_url

    settings = configuration.settings
    url = store_url(settings)
    places = [_Place("", url or "", None if url is None else _keys("store", url, is_ours=settings.redis_url is None))]
    if settings.broker_url is not None and settings.broker_url.get_secret_value() != url:
        broker = settings.broker_url.get_secret_value()
        places.append(_Place("broker_", broker, _keys("broker", broker, is_ours=False)))
    return places


def _keys(what: str, url: str, *, is_ours: bool) -> list[str] | None:
    """Every key of Levqor's; None where our own store is not running."""
    from redis.exceptions import RedisError

    from levqor.cli.stores import client_of

    try:
        with client_of(url) as client:
            return sorted(key.decode(errors="replace") for key in client.scan_iter(match=KEYS, count=SCAN_SIZE))
    except RedisError as error:
        if is_ours:
            return None
        raise DependencyDown(f"the {what} does not answer: {type(error).__name__}") from error


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


def _list(places: list[_Place], tables: list[str], configuration: "Configuration") -> None:
    for place in places:
        if place.keys is None:
            folder = configuration.settings.data / "store"
            output.tell(
                f"Levqor's own store is not running; its keys are in {folder}, remove that folder when no job in it is wanted any more"
            )
        for key in place.keys or []:
            output.emit(f"key    {key}{' (broker)' if place.name else ''}")
    for table in tables:
        output.emit(f"table  {table}")


def _remove(configuration: "Configuration", places: list[_Place], tables: list[str]) -> None:
    from redis.exceptions import RedisError

    from levqor.bootstrap.database import drop_everything
    from levqor.cli.stores import client_of

    for place in places:
        keys = place.keys or []
        if not keys:
            continue
        _release_quarantined(configuration, place.url, keys)
        try:
            with client_of(place.url) as client:
                for start in range(0, len(keys), SCAN_SIZE):
                    client.unlink(*keys[start : start + SCAN_SIZE])
        except RedisError as error:
            raise DependencyDown(f"not all keys could be removed ({type(error).__name__}): do it again") from error
    if tables:
        drop_everything(configuration)


def _release_quarantined(configuration: "Configuration", url: str, keys: list[str]) -> None:
    """Jobs are the team's: what was quarantined goes back to the dead letters, where the queue library's own tools see it."""
    from levqor.cli.stores import client_of
    from levqor.client.rq_scripts import QUARANTINE, text
    from levqor.engines.rq import RqEngine
    from levqor.host import SystemClock

    prefix = f"{QUARANTINE}:"
    queues = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
    engine = RqEngine(url, clock=SystemClock(), prefix=configuration.settings.rq_key_prefix)
    try:
        with client_of(url) as client:
            for queue in queues:
                ids: Any = client.zrange(f"{prefix}{queue}", 0, -1)
                engine.release_quarantined(queue, [text(job_id) for job_id in ids])
    finally:
        engine.close()


def _report(found: dict[str, Any], sentence: str, as_json: bool, *, dry_run: bool) -> None:
    if as_json:
        output.emit_json({"dry_run": dry_run, "removed": not dry_run, **found})
    else:
        output.tell(sentence)
