"""One look at everything: telemetry, broker, agents, spend. Each source that fails makes its own signals unknown, no other's."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from levqor.domain.errors import EngineDown, StoreDown
from levqor.domain.flags import WORKER_COUNT
from levqor.domain.fleet import FleetKind, FleetState, QueueState, Room, Worker, WorkerState
from levqor.domain.signals import Signal, Signals
from levqor.monitors.job_flow import Flow, JobFlow
from levqor.ports import Clock, Engine
from levqor.store.database import Database
from levqor.store.flags import read_flags
from levqor.store.holds import paused
from levqor.store.telemetry import HttpWindow, JobsWindow, ProbesWindow, Telemetry

SCALING_WINDOW_S = 60.0
FAILURES_WINDOW_S = 300.0
AVAILABILITY_WINDOW_S = 300.0
SPENDING = ("spend_last_24h", "forecast_next_30d")

T = TypeVar("T")


class FleetReport(Protocol):
    """What the fleet's agents say of their workers; `running` None: no agent was heard."""

    @property
    def agents(self) -> int: ...
    @property
    def workers(self) -> list[Worker]: ...
    @property
    def running(self) -> int | None: ...
    @property
    def starting(self) -> int: ...
    @property
    def draining(self) -> int: ...
    @property
    def room(self) -> Room | None: ...
    @property
    def deaths_10m(self) -> int: ...
    @property
    def crash_looping(self) -> bool: ...
    @property
    def outside(self) -> int | None:
        """The count that somebody set by other means since Levqor's last act; None: nobody did."""
        ...

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the workers, or why nobody knows of them."""
        ...

    @property
    def why_not(self) -> str | None:
        """Why the fleet does not follow its target for the moment."""
        ...


class Fleet(Protocol):
    """How a target becomes workers: the control plane's side."""

    def report(self) -> FleetReport:
        """What lives now. Raises StoreDown."""
        ...

    def publish(self, target: int, term: int) -> None:
        """Hand the target to the agents. Raises StoreDown, or NotTheLeader for a term that has ended."""
        ...

    def restart(self, worker_name: str | None) -> int:
        """Ask the agents to drain and replace one worker or all; how many agents were asked. Raises StoreDown."""
        ...

    def publish_paused(self, queues: list[str]) -> None:
        """Hand the paused queues to the workers. Raises StoreDown."""
        ...


class Money(Protocol):
    """What the spend guard reads, a few indexed reads each."""

    def spend(self, connection: Connection, now: datetime) -> Signal:
        """Of the guarded categories, in the last 24 h."""
        ...

    def forecast(self, connection: Connection, now: datetime) -> Signal:
        """Of the guarded categories, for the next 30 days."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """What is read: the fleet and the dials that the readings depend on."""

    fleet: str
    kind: FleetKind
    queues: tuple[str, ...]
    slow_ms: float
    expects_http: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What the store and the broker said, each part a value or the reason why there is none."""

    http: HttpWindow | str
    jobs: JobsWindow | str
    probes: ProbesWindow | str
    queues: list[QueueState] | str
    workers: list[Worker] | str
    report: FleetReport | str
    flow: Flow | None = None
    """None where the queues or the workers are not known."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All signals and the fleet at one moment."""

    signals: Signals
    fleet: FleetState
    queues: list[QueueState] | None
    workers: list[Worker] | None
    report: FleetReport | None
    problems: dict[str, str]
    measured_at: datetime
    engine_advice: tuple[str, ...] = ()

    @property
    def advice(self) -> list[str]:
        """Sentences that say what stands still, each with the command that mends it."""
        sentences = []
        depths = {queue.name: queue.depth for queue in self.queues or []}
        for name in self.fleet.unserved_queues:
            jobs = depths.get(name, 0)
            waits = f"{jobs} job{' waits' if jobs == 1 else 's wait'} in queue {name!r} and no worker serves it"
            sentences.append(f"{waits}: {self._mend_unserved(name)}")
        if self.fleet.kind is FleetKind.AGENT and self.report is not None and self.report.running is None:
            sentences.append("no agent reports its workers: start one with `levqor up`")
        if self.report is not None:
            sentences += [f"{problem}: `levqor doctor` says how to mend it" for problem in self.report.problems]
            sentences += [f"the fleet does not follow its target {self.fleet.target} now: {why}" for why in (self.report.why_not,) if why]
        if self._is_crash_looping:
            sentences.append(f"workers keep dying ({self.deaths_10m} in 10 minutes): `tail logs/workers.log` shows of what")
        return [*sentences, *self.engine_advice]

    @property
    def deaths_10m(self) -> int:
        return 0 if self.report is None else self.report.deaths_10m

    @property
    def _is_crash_looping(self) -> bool:
        return self.report is not None and self.report.crash_looping

    def _mend_unserved(self, queue: str) -> str:
        if not self.fleet.takes_orders:
            return f"start one with `rq worker {queue}` or your process manager"
        if self.fleet.target == 0:
            return "give it one with `levqor scale 1`"
        if self.fleet.running is None:
            is_agents = self.fleet.kind is FleetKind.AGENT
            return "no agent is heard, start one with `levqor up`" if is_agents else "the workers are not known, `levqor doctor` says why"
        if self._is_crash_looping:
            return "`tail logs/workers.log` shows why workers die"
        return "one is on its way, watch it with `levqor ps`; if none comes, `levqor doctor` says why"


class Reader:
    """Gathers a `Reading` from adapters that are handed in."""

    def __init__(
        self,
        scope: Scope,
        engine: Engine,
        telemetry: Telemetry,
        fleet: Fleet,
        database: Database,
        clock: Clock,
        money: Money | None = None,
        engine_advice: Callable[[], list[str]] = list,
    ) -> None:
        """`money` None: nothing here knows of any. `engine_advice`: what the engine's last look told about itself."""
        self.scope, self._engine, self._telemetry, self._money = scope, engine, telemetry, money
        self._fleet, self._database, self._clock, self._engine_advice = fleet, database, clock, engine_advice
        self._flow = JobFlow()

    def look(self) -> Look:
        """Ask the store and the broker; nothing of the database, so that no lock is held while one of them hangs."""
        store, broker = _Asking(), _Asking()
        queues = broker.ask(lambda: self._engine.queues(self.scope.queues))
        workers = broker.ask(self._engine.workers)
        return Look(
            http=store.ask(lambda: self._telemetry.http_window(SCALING_WINDOW_S)),
            jobs=store.ask(lambda: self._telemetry.jobs_window(FAILURES_WINDOW_S)),
            probes=store.ask(lambda: self._telemetry.probes_window(AVAILABILITY_WINDOW_S)),
            report=store.ask(self._fleet.report),
            queues=queues,
            workers=workers,
            flow=None if isinstance(queues, str) or isinstance(workers, str) else self._flow.see(self._clock.monotonic(), queues, workers),
        )

    def read(self) -> Reading:
        """A reading of this moment. Raises DatabaseDown."""
        look = self.look()
        with self._database.read() as connection:
            return self.assemble(look, connection)

    def assemble(self, look: Look, connection: Connection) -> Reading:
        """The reading, with the facts that live in the database as `connection` sees them."""
        paused_names = tuple(row["queue"] for row in paused(connection))
        return self._reading(look, int(read_flags(connection)[WORKER_COUNT]), paused_names, self._spending(connection))

    def _spending(self, connection: Connection) -> dict[str, Signal]:
        if self._money is None:
            return dict.fromkeys(SPENDING, Signal.not_configured("nothing here counts money"))
        now = self._clock.now()
        return {"spend_last_24h": self._money.spend(connection, now), "forecast_next_30d": self._money.forecast(connection, now)}

    def without_database(self, look: Look, problem: str) -> Reading:
        """What can still be said while the database does not answer; the target shown is 0 and means nothing."""
        return self._reading(look, 0, (), dict.fromkeys(SPENDING, Signal.unknown(problem)), {"database": problem})

    def _reading(
        self, look: Look, target: int, paused_names: tuple[str, ...], spending: dict[str, Signal], problems: dict[str, str] | None = None
    ) -> Reading:
        report = None if isinstance(look.report, str) else look.report
        queues = None if isinstance(look.queues, str) else look.queues
        workers = None if isinstance(look.workers, str) else look.workers
        running = self._running(report, workers)
        fleet = FleetState(
            name=self.scope.fleet,
            kind=self.scope.kind,
            queues=self.scope.queues,
            # Nobody follows a target there: advice goes on from the workers that run.
            target=running if self.scope.kind is FleetKind.NONE and running is not None else target,
            running=running,
            starting=0 if report is None else report.starting,
            draining=0 if report is None else report.draining,
            room=None if report is None else report.room,
            paused_queues=paused_names,
            unserved_queues=_unserved(queues, workers, paused_names),
        )
        signals = Signals(
            **self._http_signals(look.http),
            **_queue_signals(look.queues, paused_names),
            **_flow_signals(look, paused_names),
            failures_5m=_failures(look.jobs, self.scope.kind),
            availability=_availability(look.probes),
            **spending,
        )
        found = {name: part for name, part in _parts(look).items() if isinstance(part, str)}
        advice = () if workers is None else tuple(self._engine_advice())
        return Reading(signals, fleet, queues, workers, report, {**found, **(problems or {})}, self._clock.now(), advice)

    def _running(self, report: FleetReport | None, workers: list[Worker] | None) -> int | None:
        if self.scope.kind is FleetKind.NONE:
            return None if workers is None else sum(worker.is_alive and worker.serves(self.scope.queues) for worker in workers)
        return None if report is None else report.running

    def _http_signals(self, window: HttpWindow | str) -> dict[str, Signal]:
        names = ("p50_ms", "p95_ms", "p99_ms", "request_rate", "requests", "slow_requests", "error_rate")
        problem = window if isinstance(window, str) else window.problem
        if isinstance(window, str) or problem is not None:
            return dict.fromkeys(names, Signal.unknown(problem or "", None if isinstance(window, str) else window.age_s))
        age = window.age_s or 0.0
        if window.requests == 0 and not self.scope.expects_http:
            return dict.fromkeys(names, Signal.not_configured("no app reports its requests"))
        counts = {
            "request_rate": Signal.of(window.rate, age),
            "requests": Signal.of(window.requests, age),
            "slow_requests": Signal.of(window.at_least(self.scope.slow_ms), age),
        }
        if window.requests == 0:
            return {**dict.fromkeys(names, Signal.no_traffic(age)), **counts}
        quantiles = {name: Signal.of(window.quantile(q) or 0.0, age) for name, q in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99))}
        return {**counts, **quantiles, "error_rate": Signal.of(window.failed / window.requests, age)}


class _Asking:
    """Asks one server several questions, and does not wait a second time for a server that did not answer the first."""

    def __init__(self) -> None:
        self._problem: str | None = None

    def ask(self, question: Callable[[], T]) -> T | str:
        """The answer, or the reason why there is none."""
        if self._problem is not None:
            return self._problem
        try:
            return question()
        except (StoreDown, EngineDown) as error:
            self._problem = str(error)
            return self._problem


def _parts(look: Look) -> dict[str, object]:
    return {name: getattr(look, name) for name in ("http", "jobs", "probes", "queues", "workers", "report")}


def _queue_signals(queues: list[QueueState] | str, paused_names: tuple[str, ...]) -> dict[str, Signal]:
    """A paused queue's jobs wait by a person's word: they are no pressure."""
    if isinstance(queues, str):
        return dict.fromkeys(("queue_depth", "oldest_wait_s", "running", "dead"), Signal.unknown(queues))
    served = [queue for queue in queues if queue.name not in paused_names]
    waits = [queue.oldest_wait_s for queue in served if queue.oldest_wait_s is not None]
    return {
        "queue_depth": Signal.of(sum(queue.depth for queue in served)),
        "oldest_wait_s": Signal.of(max(waits)) if waits else Signal.no_traffic(),
        "running": Signal.of(sum(queue.running for queue in queues)),
        "dead": Signal.of(sum(queue.dead for queue in queues)),
    }


def _flow_signals(look: Look, paused_names: tuple[str, ...]) -> dict[str, Signal]:
    if look.flow is None:
        problem = next((part for part in (look.queues, look.workers) if isinstance(part, str)), "not counted")
        return dict.fromkeys(("arrival_rate", "mean_service_s"), Signal.unknown(problem))
    return {"arrival_rate": look.flow.arrival_rate(paused_names), "mean_service_s": look.flow.mean_service_s()}


def _failures(window: JobsWindow | str, kind: FleetKind) -> Signal:
    """A team's own workers need not report; Levqor's do."""
    if isinstance(window, str):
        return Signal.unknown(window)
    if window.age_s is None and kind is not FleetKind.AGENT:
        return Signal.not_configured("no worker reports its jobs: `rq worker -w levqor.rq.Worker` does")
    if window.problem is not None:
        return Signal.unknown(window.problem, window.age_s)
    return Signal.of(window.failures, window.age_s or 0.0)


def _availability(window: ProbesWindow | str) -> Signal:
    if isinstance(window, str):
        return Signal.unknown(window)
    if window.problem is not None:
        return Signal.unknown(window.problem, window.age_s)
    if window.total == 0:
        return Signal.unknown("no probe in the last 5 minutes", window.age_s)
    return Signal.of(1 - window.failed / window.total, window.age_s or 0.0)


def _unserved(queues: list[QueueState] | None, workers: list[Worker] | None, paused_names: tuple[str, ...]) -> tuple[str, ...]:
    if queues is None or workers is None:
        return ()
    served = {name for worker in workers if worker.state is not WorkerState.LOST for name in worker.queues}
    return tuple(q.name for q in queues if q.depth > 0 and q.name not in served and q.name not in paused_names)
