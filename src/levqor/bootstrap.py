"""The one place where adapters are built and handed in."""

import importlib.metadata
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

from levqor.client.flush import Flusher, connect
from levqor.client.recorder import Recorder
from levqor.domain.errors import LevqorError, UsageError
from levqor.domain.fleet import FleetKind
from levqor.engines.rq import RqEngine
from levqor.fleets.agent import AgentFleet
from levqor.handlers import BUILT_IN
from levqor.host import ProcessIdentity, SystemClock
from levqor.monitors.autoscale import Autopilot, Parts
from levqor.monitors.operations import Operations, OperationsParts
from levqor.monitors.reading import Reader, Scope
from levqor.monitors.rollups import RollUps
from levqor.settings import Configuration, Settings, describe
from levqor.store.database import Database, database_url
from levqor.store.flags import DEFAULT_FLEET, FlagsFile, flag_rows
from levqor.store.idempotency import Idempotency
from levqor.store.leases import Lease, LeaseWatch
from levqor.store.telemetry import Telemetry

if TYPE_CHECKING:
    from levqor.web.services import Services


def version() -> str:
    """The installed version of Levqor."""
    return importlib.metadata.version("levqor")


def open_database(settings: Settings) -> Database:
    """The installation's database. Raises UsageError for a URL that is none."""
    url = None if settings.database_url is None else settings.database_url.get_secret_value()
    return Database(database_url(url, settings.data))


def open_flags(settings: Settings) -> FlagsFile:
    """The flags file, with the bounds that a worker count has."""
    return FlagsFile(settings.flags, settings.workers_min, settings.workers_max)


def migrate(configuration: Configuration) -> None:
    """Bring the database's schema to this version, and take over the flags file on a first start. Raises DatabaseDown, SchemaError."""
    settings = configuration.settings
    database = open_database(settings)
    try:
        database.migrate()
        with database.write() as connection:
            if not flag_rows(connection):
                open_flags(settings).sync(connection, SystemClock().now())
    finally:
        database.close()


def database_check(configuration: Configuration) -> tuple[bool, str]:
    """Does the database answer with this version's schema? And what it says."""
    try:
        database = open_database(configuration.settings)
        revision = database.check()
    except LevqorError as error:
        return False, str(error)
    database.close()
    return True, f"{database.label}, schema {revision}"


def drop_everything(configuration: Configuration) -> list[str]:
    """Remove every table of Levqor's own; their names. Raises DatabaseDown."""
    database = open_database(configuration.settings)
    try:
        return database.drop_everything()
    finally:
        database.close()


def store_url(settings: Settings) -> str:
    """The store's URL. Raises UsageError where there is none: only `levqor up` brings its own."""
    if settings.redis_url is None:
        raise UsageError("REDIS_URL is not set: set it, or start everything with `levqor up`, which brings its own store")
    return settings.redis_url.get_secret_value()


def broker_url(settings: Settings) -> str:
    """The URL of the queues' broker; the store's where no other is set."""
    return store_url(settings) if settings.broker_url is None else settings.broker_url.get_secret_value()


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Everything that a web process or an autopilot is made of."""

    settings: Settings
    clock: SystemClock
    database: Database
    store: redis.Redis
    engine: RqEngine
    telemetry: Telemetry
    operations: Operations
    idempotency: Idempotency
    autopilot: Autopilot | None
    recorder: Recorder
    flusher: Flusher

    def start(self) -> None:
        # Known from the first tick on: a process that reports no requests yet is not a process that is silent.
        self.flusher.flush_once()
        self.flusher.start()
        if self.autopilot is not None:
            self.autopilot.start()

    def close(self) -> None:
        """Stop in order: nobody waits any more, the loop lets go of its lease, then the last counts are flushed."""
        self.operations.close()
        if self.autopilot is not None:
            self.autopilot.stop()
        self.flusher.close()
        self.store.close()
        self.database.close()


def control_plane(configuration: Configuration, *, with_autopilot: bool) -> ControlPlane:
    """Build a control plane. Opens nothing but the database's and the store's first connections when they are used."""
    settings, clock = configuration.settings, SystemClock()
    identity = ProcessIdentity.current()
    database = open_database(settings)
    store = connect(store_url(settings))
    engine = RqEngine(broker_url(settings), clock=clock, handlers=settings.handlers, max_losses=settings.job_max_losses)
    telemetry = Telemetry(store, is_gone_writer)
    broker = store if settings.broker_url is None else connect(broker_url(settings))
    fleet = AgentFleet(store, DEFAULT_FLEET, broker)
    flags_file = open_flags(settings)
    scope = Scope(
        fleet=DEFAULT_FLEET,
        kind=FleetKind(settings.fleet_kind),
        queues=tuple(settings.queues),
        slow_ms=settings.scale_down_p95_ms,
        expects_http=settings.intake_enabled,
    )
    reader = Reader(scope, engine, telemetry, fleet, database, clock)
    lease = Lease(database, clock, str(identity), is_dead=is_surely_gone)
    autopilot = Autopilot(
        Parts(
            reader=reader,
            fleet=fleet,
            database=database,
            lease=lease,
            flags_file=flags_file,
            rules=settings.rules,
            tick_s=settings.tick_s,
            hourly_cost=settings.worker_hourly_cost,
            clock=clock,
            rollups=RollUps(telemetry),
        )
    )
    operations = Operations(
        OperationsParts(
            reader=reader,
            fleet=fleet,
            database=database,
            flags_file=flags_file,
            rules=settings.rules,
            clock=clock,
            manual_hold_s=settings.manual_hold_s,
            configuration=describe(configuration),
            lease_watch=LeaseWatch(database, clock, is_surely_gone),
            wake=autopilot.wake if with_autopilot else _nothing,
        )
    )
    thresholds = (settings.scale_down_p95_ms, settings.scale_up_p95_ms, 200.0)
    recorder = Recorder(thresholds_ms=tuple(sorted(set(thresholds))))
    return ControlPlane(
        settings=settings,
        clock=clock,
        database=database,
        store=store,
        engine=engine,
        telemetry=telemetry,
        operations=operations,
        idempotency=Idempotency(database, clock),
        autopilot=autopilot if with_autopilot else None,
        recorder=recorder,
        flusher=Flusher(recorder, store_url(settings), f"web:{identity}"),
    )


def is_surely_gone(holder: str) -> bool:
    """Was the lease's holder a process of this host and boot that no longer lives?"""
    try:
        identity = ProcessIdentity.parse(holder)
    except ValueError:
        return False
    return identity.is_local and not identity.is_alive()


def is_gone_writer(writer: str) -> bool:
    """Was this writer of telemetry (`web:` or `agent:` and its identity) a process of this host and boot that no longer lives?"""
    return is_surely_gone(writer.partition(":")[2])


def services(plane: ControlPlane, on_start: Callable[[], None], on_stop: Callable[[], None]) -> "Services":
    """What the web part is handed."""
    from levqor.web.services import Services

    return Services(
        settings=plane.settings,
        operations=plane.operations,
        engine=plane.engine if plane.settings.intake_enabled else None,
        idempotency=plane.idempotency,
        telemetry=plane.telemetry,
        clock=plane.clock,
        version=version(),
        handlers=sorted({*BUILT_IN, *plane.settings.handlers}),
        recorder=plane.recorder,
        on_start=on_start,
        on_stop=on_stop,
    )


def run_web(configuration: Configuration, fd: int | None, *, with_autopilot: bool) -> int:
    """Serve until told to stop; the exit code."""
    from levqor.web.app import create_app
    from levqor.web.logs import configure
    from levqor.web.server import serve

    configure(configuration.settings)
    plane = control_plane(configuration, with_autopilot=with_autopilot)
    serve(create_app(services(plane, plane.start, plane.close)), configuration.settings, fd=fd)
    return 0


def run_autopilot(configuration: Configuration) -> int:
    """Tick until told to stop; the exit code."""
    from levqor.web.logs import configure

    configure(configuration.settings)
    plane = control_plane(configuration, with_autopilot=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    plane.start()
    stop.wait()
    plane.close()
    return 0


def _nothing() -> None:
    """No autopilot in this process: the leader looks for orders by itself."""
