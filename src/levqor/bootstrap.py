"""The one place where adapters are built and handed in."""

import importlib.metadata
import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import redis

from levqor.alerts.apprise import Apprise
from levqor.alerts.telegram import Telegram
from levqor.alerts.webhook import Webhook
from levqor.client.flush import Flusher, connect
from levqor.client.recorder import Recorder
from levqor.domain.errors import LevqorError, UsageError
from levqor.domain.fleet import FleetKind
from levqor.engines.rq import RqEngine
from levqor.fleets.agent import AgentFleet
from levqor.fleets.app import AppReload
from levqor.handlers import BUILT_IN
from levqor.host import ProcessIdentity, SystemClock
from levqor.monitors.alert_desk import AlertDesk
from levqor.monitors.alerting import Courier, CourierParts
from levqor.monitors.autoscale import Autopilot, Parts
from levqor.monitors.dead_letter_desk import DeadLetterDesk, DeskParts, Pace
from levqor.monitors.dead_letters import Flush
from levqor.monitors.incident_desk import IncidentDesk, IncidentDeskParts
from levqor.monitors.incident_health import SloHealth
from levqor.monitors.incident_log import IncidentLog
from levqor.monitors.incident_response import IncidentResponse, ResponseParts, ResponseRules
from levqor.monitors.operations import Operations, OperationsParts
from levqor.monitors.reading import Reader, Scope
from levqor.monitors.rollups import RollUps
from levqor.monitors.slo_watchdog import Objectives, Watchdog
from levqor.ports import Alerts, Clock
from levqor.settings import Configuration, Settings, describe
from levqor.store.database import Database, database_url
from levqor.store.flags import DEFAULT_FLEET, FlagsFile, flag_rows
from levqor.store.idempotency import Idempotency
from levqor.store.leases import Lease, LeaseWatch
from levqor.store.telemetry import Telemetry

if TYPE_CHECKING:
    from levqor.web.services import Services


FLUSHED_WITHIN_S = 15.0
"""What was counted has reached the store by then."""


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
    dead_letters: DeadLetterDesk
    incidents: IncidentResponse
    incident_desk: IncidentDesk
    idempotency: Idempotency
    autopilot: Autopilot | None
    courier: Courier | None
    alert_desk: AlertDesk
    recorder: Recorder
    flusher: Flusher

    def start(self) -> None:
        # Known from the first tick on: a process that reports no requests yet is not a process that is silent.
        self.flusher.flush_once()
        self.flusher.start()
        if self.autopilot is not None:
            self.autopilot.start()
        if self.courier is not None:
            self.courier.start()

    def close(self) -> None:
        """Stop in order: nobody waits any more, the loop lets go of its lease, then the last counts are flushed."""
        self.operations.close()
        self.alert_desk.close()
        if self.courier is not None:
            self.courier.stop()  # while the lease is still held, so that what it has sent is written down
        self.dead_letters.close()
        self.incident_desk.close()
        self.incidents.close()
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
    thresholds = (settings.scale_down_p95_ms, settings.scale_up_p95_ms, settings.slo_p99_ms)
    recorder = Recorder(thresholds_ms=tuple(sorted(set(thresholds))))
    engine = RqEngine(
        broker_url(settings), clock=clock, handlers=settings.handlers, max_losses=settings.job_max_losses, on_outcome=recorder.count
    )
    flush = Flush(engine, settings.queues, clock, flushes_max=settings.flushes_max)
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
    objectives = Objectives(
        p99_ms=settings.slo_p99_ms,
        error_rate=settings.slo_error_rate,
        availability=settings.slo_availability,
        is_literal=settings.slo_evidence == "literal",
        windows=tuple(timedelta(seconds=width) for width in settings.slo_windows_s),
    )
    watchdog = Watchdog(objectives, telemetry, database, lease, clock, call=lambda breach: incidents.call_by_watchdog(breach))
    incident_log = IncidentLog(settings.logs, masker_of(settings))
    incidents = IncidentResponse(
        ResponseParts(
            reader=reader,
            fleet=fleet,
            flush=flush,
            reload=app_reload(settings, clock),
            health=SloHealth(watchdog, telemetry),
            database=database,
            lease=lease,
            flags_file=flags_file,
            clock=clock,
            log=incident_log,
            rules=response_rules(settings),
        )
    )
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
            watchdog=watchdog,
            incidents=incidents,
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
            watchdog=watchdog,
            manual_hold_s=settings.manual_hold_s,
            configuration=describe(configuration),
            lease_watch=LeaseWatch(database, clock, is_surely_gone),
            wake=autopilot.wake if with_autopilot else _nothing,
        )
    )
    dead_letters = DeadLetterDesk(
        DeskParts(
            engine=engine,
            flush=flush,
            database=database,
            clock=clock,
            queues=tuple(settings.queues),
            allow=frozenset(settings.redrive_allow),
            pace=Pace(settings.flush_canary, settings.flush_batch, settings.flush_pause_s),
        )
    )
    wake = autopilot.wake if with_autopilot else _nothing
    incident_desk = IncidentDesk(IncidentDeskParts(incidents, database, clock, incident_log, wake))
    channels = alert_channels(settings, clock)
    courier = Courier(CourierParts(database, lease, channels, clock, jitter=random.random))
    return ControlPlane(
        settings=settings,
        clock=clock,
        database=database,
        store=store,
        engine=engine,
        telemetry=telemetry,
        operations=operations,
        dead_letters=dead_letters,
        incidents=incidents,
        incident_desk=incident_desk,
        idempotency=Idempotency(database, clock),
        autopilot=autopilot if with_autopilot else None,
        courier=courier if with_autopilot else None,
        alert_desk=AlertDesk(database, clock, [channel.name for channel in channels], courier.wake if with_autopilot else _nothing),
        recorder=recorder,
        flusher=Flusher(recorder, store_url(settings), f"web:{identity}"),
    )


def alert_channels(settings: Settings, clock: Clock) -> list[Alerts]:
    """Every channel that is configured; nothing is opened."""
    channels: list[Alerts] = []
    if settings.telegram_bot_token is not None and settings.telegram_chat_id is not None:
        token, chat_id = settings.telegram_bot_token.get_secret_value(), settings.telegram_chat_id.get_secret_value()
        channels.append(Telegram(token, chat_id, settings.telegram_api_base))
    if settings.alert_webhook_url is not None and settings.alert_webhook_secret is not None:
        url, secret = settings.alert_webhook_url.get_secret_value(), settings.alert_webhook_secret.get_secret_value()
        channels.append(Webhook(url, secret, clock))
    channels += [Apprise(url.get_secret_value(), number) for number, url in enumerate(settings.alert_urls, 1)]
    return channels


def app_reload(settings: Settings, clock: Clock) -> AppReload | None:
    """How the attached app is reloaded; None where it is not ours to reload."""
    if settings.app_reload_command is None:
        return None
    return AppReload(settings.app_reload_command, settings.app_ready_url, settings.app_reload_timeout_s, clock)


def response_rules(settings: Settings) -> ResponseRules:
    """The dials of incident response; a recovery is judged once the shortest window holds nothing of before it."""
    return ResponseRules(
        limits=settings.recovery_limits,
        settle_s=min(settings.slo_windows_s) + FLUSHED_WITHIN_S,
        verify_s=settings.recovery_verify_s,
        quiet_s=settings.incident_quiet_s,
        each_worker_s=settings.drain_grace_s + settings.start_timeout_s + FLUSHED_WITHIN_S,
        allow=frozenset(settings.redrive_allow),
        pace=Pace(settings.flush_canary, settings.flush_batch, settings.flush_pause_s),
    )


def masker_of(settings: Settings) -> Callable[[str], str]:
    """Takes every secret out of a line."""
    from levqor.web.logs import masker, secrets_of

    mask = masker(secrets_of(settings))
    return lambda line: mask(None, "", line)


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
        alerts=plane.alert_desk,
        dead_letters=plane.dead_letters,
        incidents=plane.incident_desk,
        on_start=on_start,
        on_stop=on_stop,
    )


def run_web(configuration: Configuration, fd: int | None, *, with_autopilot: bool, ready_fd: int | None = None) -> int:
    """Serve until told to stop; the exit code. `ready_fd`: where to say that connections are accepted."""
    from levqor.web.app import create_app
    from levqor.web.logs import configure
    from levqor.web.server import serve, tell_ready

    configure(configuration.settings)
    plane = control_plane(configuration, with_autopilot=with_autopilot)
    serve(create_app(services(plane, plane.start, plane.close)), configuration.settings, fd=fd, on_ready=tell_ready(ready_fd))
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
