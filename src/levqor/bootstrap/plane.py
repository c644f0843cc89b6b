"""The control plane: everything that a web process or an autopilot is made of."""

import random
from dataclasses import dataclass

import redis
import structlog

from levqor.bootstrap.alerts import alert_channels
from levqor.bootstrap.checks import verify_desk
from levqor.bootstrap.costs import cost_desk, cost_watch, own_lines
from levqor.bootstrap.database import open_database, open_flags
from levqor.bootstrap.fleets import PlaneFleet, fleet_of
from levqor.bootstrap.incidents import app_reload, objectives_of, response_rules
from levqor.bootstrap.processes import is_gone_writer, is_surely_gone, masker_of, nothing
from levqor.bootstrap.retention import retention_desk
from levqor.bootstrap.schedule import scheduled_jobs, scheduler_of
from levqor.bootstrap.store import broker_url, owns_broker, store_url
from levqor.client.flush import Flusher, connect
from levqor.client.recorder import Recorder
from levqor.domain.fleet import FleetKind
from levqor.engines.rq import RqEngine
from levqor.host import ProcessIdentity, SystemClock
from levqor.monitors.alert_desk import AlertDesk
from levqor.monitors.alerting import Courier, CourierParts
from levqor.monitors.autoscale import Autopilot, Duty, Parts
from levqor.monitors.cost_watch import CostWatch
from levqor.monitors.costs import CostDesk
from levqor.monitors.dead_letter_desk import DeadLetterDesk, DeskParts, Pace
from levqor.monitors.dead_letters import Flush
from levqor.monitors.incident_desk import IncidentDesk, IncidentDeskParts
from levqor.monitors.incident_health import SloHealth
from levqor.monitors.incident_log import IncidentLog
from levqor.monitors.incident_response import IncidentResponse, ResponseParts
from levqor.monitors.operations import Operations, OperationsParts
from levqor.monitors.reading import Reader, Scope
from levqor.monitors.retention import RetentionDesk
from levqor.monitors.rollups import RollUps
from levqor.monitors.schedule_desk import ScheduleDesk
from levqor.monitors.scheduler import PERIOD_S as SCHEDULE_PERIOD_S
from levqor.monitors.scheduler import Scheduler
from levqor.monitors.slo_watchdog import Watchdog
from levqor.monitors.verification import VerifyDesk
from levqor.settings import Configuration, Settings, describe
from levqor.store.budgets import purge_budget_alerts
from levqor.store.database import Database
from levqor.store.event_ids import purge_event_ids
from levqor.store.flags import DEFAULT_FLEET
from levqor.store.forecasts import purge_forecasts
from levqor.store.idempotency import Idempotency
from levqor.store.imports import purge_positions
from levqor.store.leases import Lease, LeaseWatch
from levqor.store.schedule import purge_runs
from levqor.store.sessions import purge_sessions
from levqor.store.summaries import purge_summaries
from levqor.store.telemetry import Telemetry
from levqor.store.verifications import purge_verifications

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Everything that a web process or an autopilot is made of."""

    settings: Settings
    clock: SystemClock
    database: Database
    store: redis.Redis
    fleet: PlaneFleet
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
    verification: VerifyDesk
    retention: RetentionDesk
    costs: CostDesk
    costs_kept: CostWatch
    schedule: ScheduleDesk
    scheduler: Scheduler
    recorder: Recorder
    flusher: Flusher

    def start(self) -> None:
        # Known from the first tick on: a process that reports no requests yet is not a process that is silent.
        self.flusher.flush_once()
        self.flusher.start()
        self.fleet.start()
        if self.autopilot is not None:
            self.autopilot.start()
        if self.courier is not None:
            self.courier.start()

    def close(self) -> None:
        """Stop in order: nobody waits any more, the loop lets go of its lease, then the last counts are flushed."""
        self.operations.close()
        self.alert_desk.close()
        self.verification.close()
        if self.courier is not None:
            self.courier.stop()  # while the lease is still held, so that what it has sent is written down
        self.dead_letters.close()
        self.incident_desk.close()
        self.incidents.close()
        if self.autopilot is not None:
            self.autopilot.stop()
        self.fleet.close()
        self.costs_kept.close()
        self.scheduler.close()
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
        broker_url(settings),
        clock=clock,
        handlers=settings.handlers,
        max_losses=settings.job_max_losses,
        on_outcome=recorder.count,
        prefix=settings.rq_key_prefix,
        acts_unseen=owns_broker(settings),
    )
    flush = Flush(engine, settings.queues, clock, flushes_max=settings.flushes_max)
    telemetry = Telemetry(store, is_gone_writer)
    lease = Lease(database, clock, str(identity), is_dead=is_surely_gone)
    fleet = fleet_of(settings, engine, store, database, lease, clock)
    flags_file = open_flags(settings)
    scope = Scope(
        fleet=DEFAULT_FLEET,
        kind=FleetKind(settings.fleet_kind),
        queues=tuple(settings.queues),
        slow_ms=settings.scale_down_p95_ms,
        expects_http=settings.intake_enabled,
    )
    costs = cost_desk(settings, database, clock)
    reader = Reader(scope, engine, telemetry, fleet, database, clock, costs.signals, engine.advice)
    costs_kept = cost_watch(costs, database, lease, clock)
    scheduler = scheduler_of(configuration, database, lease, clock, str(identity))
    watchdog = Watchdog(objectives_of(settings), telemetry, database, lease, clock, call=lambda breach: incidents.call_by_watchdog(breach))
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
    if with_autopilot and settings.late_start:
        log.warning("rule `wait` needs headroom: raise WORKERS_MIN", why=settings.late_start)
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
            manual_hold_s=settings.manual_hold_s,
            duties=(costs_kept.duty, Duty("schedule", SCHEDULE_PERIOD_S, scheduler.turn)),
            causes=(scheduler.causes, costs_kept.causes),
            purges=(
                purge_verifications,
                purge_summaries,
                purge_forecasts,
                purge_budget_alerts,
                purge_event_ids,
                purge_positions,
                own_lines(settings, clock).keep,
                purge_runs,
                purge_sessions,
            ),
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
            wake=autopilot.wake if with_autopilot else nothing,
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
    wake = autopilot.wake if with_autopilot else nothing
    incident_desk = IncidentDesk(IncidentDeskParts(incidents, database, clock, incident_log, wake))
    channels = alert_channels(settings, clock)
    courier = Courier(CourierParts(database, lease, channels, clock, jitter=random.random))
    return ControlPlane(
        settings=settings,
        clock=clock,
        database=database,
        store=store,
        fleet=fleet,
        engine=engine,
        telemetry=telemetry,
        operations=operations,
        dead_letters=dead_letters,
        incidents=incidents,
        incident_desk=incident_desk,
        idempotency=Idempotency(database, clock),
        autopilot=autopilot if with_autopilot else None,
        courier=courier if with_autopilot else None,
        alert_desk=AlertDesk(database, clock, [channel.name for channel in channels], courier.wake if with_autopilot else nothing),
        verification=verify_desk(configuration, database, clock),
        retention=retention_desk(settings, database, clock),
        costs=costs,
        costs_kept=costs_kept,
        schedule=ScheduleDesk(scheduled_jobs(settings), database, clock, wake),
        scheduler=scheduler,
        recorder=recorder,
        flusher=Flusher(recorder, store_url(settings), f"web:{identity}"),
    )
