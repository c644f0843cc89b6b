"""The composition of `levqor up` and `levqor agent`: what is claimed, begun and handed over, in which order."""

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from levqor.agent import embedded, orphans
from levqor.agent.agent import CONTROL, Agent, Background
from levqor.agent.embedded import EmbeddedStore, address, connect, problem
from levqor.agent.journal import Entry, Journal, Record
from levqor.agent.link import Link, WorkerEngine
from levqor.agent.log_care import LogCare
from levqor.agent.logs import open_log
from levqor.agent.premises import Lock, agent_id, claim_folder, listen, local_secret
from levqor.agent.process import Child, Command
from levqor.agent.ready import Announcer, Place, Talk
from levqor.agent.stopping import StopSignals
from levqor.agent.supervisor import Service, Supervisor
from levqor.agent.workers import ROLE as WORKER
from levqor.agent.workers import Ending, GiveBack, Limits, WorkerPool
from levqor.domain.errors import DependencyDown, LevqorError, UsageError
from levqor.fleets.agent import AgentSeat
from levqor.ports import Clock
from levqor.settings import Configuration, Settings

STORE_STOPS_WITHIN_S = 10.0
CONTROL_STOPS_WITHIN_S = 15.0

STORE_STARTS_WITHIN_S = 60.0
"""Loading a large append-only file takes a while."""

STORE_HANGS_AFTER_S = 5.0
"""An adopted store that says nothing for so long is ended and begun again."""

STORE_TRIES = 3
GIVEN_STORE_WITHIN_S = 3.0
UNDO_WITHIN_S = 5.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class ControlProcess:
    """One process of the control plane. `tells_ready`: it takes `--ready-fd` and can be replaced without a lost request."""

    name: str
    argv: Sequence[str]
    tells_ready: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """What the command line hands in. `watch` runs beside the supervising; its event is set once the service should answer."""

    engine: Callable[[Settings], WorkerEngine]
    watch: Callable[[Settings, threading.Event | None], Background]
    migrate: Callable[[Configuration], None]
    control_plane: Callable[[Settings, int], Sequence[ControlProcess]]
    clock: Clock
    talk: Talk
    own_command: Sequence[str] = ()
    """How the team begins a worker; empty: as the engine does."""


class Interrupted(LevqorError):
    """A signal came before the start was complete: nothing stays, and that is no failure."""

    exit_code = 0


def run_up(configuration: Configuration, parts: Parts) -> int:
    """Store, control plane and workers until a signal; the exit code. Raises LevqorError with one line when it cannot start."""
    settings = configuration.settings
    signals = StopSignals(parts.clock)
    signals.install()
    claim_folder(settings.data, 0o700)
    claim_folder(settings.logs)
    claim_folder(settings.flags.parent)
    open_log(settings.logs, settings.log_level)
    with Lock(settings.data / "levqor.lock"):
        household = Household(configuration, parts, signals)
        household.end_orphans((CONTROL,) if settings.redis_url is None else (CONTROL, embedded.ROLE))
        with contextlib.closing(listen(settings.host, settings.port)) as listener:
            return household.live(listener)


def run_agent(configuration: Configuration, parts: Parts) -> int:
    """Workers of this host for a store that others run, until a signal; the exit code. Raises LevqorError when it cannot start."""
    settings = configuration.settings
    if settings.redis_url is None:
        raise UsageError("levqor agent serves an existing installation: set REDIS_URL to its store")
    signals = StopSignals(parts.clock)
    signals.install()
    claim_folder(settings.data, 0o700)
    claim_folder(settings.logs)
    open_log(settings.logs, settings.log_level)
    with Lock(settings.data / "levqor.lock"):
        return Household(configuration, parts, signals).live(None)


class Household:
    """One agent's start, from the claimed folder to the running agent."""

    def __init__(self, configuration: Configuration, parts: Parts, signals: StopSignals) -> None:
        self._configuration = configuration
        self._parts = parts
        self._signals = signals
        self._id = agent_id(configuration.settings.data)
        self._journal = Journal(configuration.settings.data / "agent.json")
        self._record: Record = self._journal.read()
        self._living = orphans.living(self._id, self._record)
        self._supervisor = Supervisor(self._id, parts.clock)
        self._pause = threading.Event()

    @property
    def _settings(self) -> Settings:
        return self._configuration.settings

    def end_orphans(self, roles: Sequence[str]) -> None:
        """End what an agent that was killed left running in these roles."""
        orphans.end([entry for entry in self._living if entry.role in roles], self._parts.clock)
        self._living = [entry for entry in self._living if entry.role not in roles]

    def live(self, listener: socket.socket | None) -> int:
        try:
            self._open_store()
            agent = self._agent(listener)
        except Interrupted:
            self._end_all()
            raise
        except BaseException:
            self._undo()
            raise
        return agent.run()

    def _agent(self, listener: socket.socket | None) -> Agent:
        if listener is None:
            background = [self._parts.watch(self._settings, None), self._log_care()]
        else:
            self._parts.migrate(self._configuration)
            self._add_control_plane(listener, self._make_secrets())
            background = self._beside()
        pool, link = self._fleet()
        self._check_signals()
        return Agent(
            supervisor=self._supervisor,
            journal=self._journal,
            signals=self._signals,
            clock=self._parts.clock,
            pool=pool,
            link=link,
            background=background,
            last_target=self._record.target,
        )

    def _beside(self) -> list[Background]:
        settings = self._settings
        place = Place(settings.local_url, settings.data, settings.token_file if settings.admin_token is None else None)
        announcer = Announcer(place, self._parts.talk, self._parts.clock)
        return [announcer.run, self._parts.watch(settings, announcer.is_up), self._log_care()]

    def _log_care(self) -> Background:
        return LogCare(self._settings.logs, self._settings.log_keep_days, self._parts.clock).run

    def _open_store(self) -> None:
        """A store that answers, ours or the one of REDIS_URL."""
        if self._settings.redis_url is None:
            self._use_store(self._embedded_store())
        else:
            self._await_given(self._settings.redis_url.get_secret_value())

    def _use_store(self, url: str) -> None:
        settings = self._settings.model_copy(update={"redis_url": SecretStr(url)})
        self._configuration = dataclasses.replace(self._configuration, settings=settings)

    def _embedded_store(self) -> str:
        store = EmbeddedStore(self._settings.data / "store", self._settings.logs / "store.log")
        recorded = next((entry.adopted() for entry in self._living if entry.role == embedded.ROLE), None)
        url = store.prepare(is_running=recorded is not None)
        adopted = recorded or self._unrecorded_store(store)
        self._supervisor.add(Service(embedded.ROLE, embedded.ROLE, store.command(), STORE_STOPS_WITHIN_S), adopted)
        self._await_ours(url, adopted)
        return url

    def _unrecorded_store(self, store: EmbeddedStore) -> Child | None:
        identity = store.find_running()
        return None if identity is None else Child(embedded.ROLE, embedded.ROLE, identity, f"{self._id}/{embedded.ROLE}/{embedded.ROLE}")

    def _await_ours(self, url: str, adopted: Child | None) -> None:
        started = self._parts.clock.monotonic()
        while (why := problem(url)) is not None:
            self._check_signals()
            waited_s = self._parts.clock.monotonic() - started
            if waited_s > STORE_STARTS_WITHIN_S or self._supervisor.deaths(embedded.ROLE) >= STORE_TRIES:
                raise DependencyDown(f"the embedded store does not start: see {self._settings.logs / 'store.log'}")
            if adopted is not None and why != embedded.LOADING and waited_s > STORE_HANGS_AFTER_S:
                orphans.wait_for_end([adopted], self._parts.clock, 0.0)
                adopted = None
            self._supervisor.tick()
            self._pause.wait(_POLL_S)

    def _await_given(self, url: str) -> None:
        try:
            place = address(url)
        except ValueError as error:
            raise UsageError("REDIS_URL is not a store's address: expected redis://HOST:PORT/0, rediss:// or unix://") from error
        started = self._parts.clock.monotonic()
        while (why := problem(url)) is not None:
            self._check_signals()
            if self._parts.clock.monotonic() - started > GIVEN_STORE_WITHIN_S:
                raise DependencyDown(f"the store of REDIS_URL does not answer at {place} ({why})")
            self._pause.wait(_POLL_S)

    def _check_signals(self) -> None:
        if self._signals.asked:
            raise Interrupted("stopped before the start was complete")

    def _make_secrets(self) -> dict[str, str]:
        """On loopback, what nobody has set is made here; children read it from the files."""
        settings = self._settings
        unset = {"admin_token": settings.admin_token is None, "jwt_secret": settings.jwt_secret is None}
        if not settings.is_loopback:
            return {}
        files = {name: settings.data / name for name, is_unset in unset.items() if is_unset}
        for path in files.values():
            local_secret(path)
        return {f"LEVQOR_{name.upper()}_FILE": str(path) for name, path in files.items()}

    def _add_control_plane(self, listener: socket.socket, secret_files: dict[str, str]) -> None:
        environment = {**passed_on(self._configuration), **secret_files}
        descriptor = listener.fileno()
        for process in self._parts.control_plane(self._settings, descriptor):
            command = Command(process.argv, environment, pass_fds=(descriptor,))
            self._supervisor.add(Service(CONTROL, process.name, command, CONTROL_STOPS_WITHIN_S, process.tells_ready))

    def _fleet(self) -> tuple[WorkerPool | None, Link | None]:
        settings = self._settings
        workers = [entry for entry in self._living if entry.role == WORKER]
        if settings.fleet_kind != "agent":
            orphans.end(workers, self._parts.clock)
            return None, None
        engine = self._parts.engine(settings)
        seat = AgentSeat(connect(_store_url(settings)), self._id)
        link = Link(seat, engine, settings.queues, socket.gethostname(), self._parts.clock)
        pool = self._pool(engine, link)
        pool.target = self._record.target
        for entry in workers:
            pool.adopt(entry.adopted(), entry.is_draining)
        self._give_back_unwatched(link)
        return pool, link

    def _pool(self, engine: WorkerEngine, link: Link) -> WorkerPool:
        settings = self._settings
        environment = {**passed_on(self._configuration), "RQ_KEY_PREFIX": settings.rq_key_prefix}
        output = settings.logs / "workers.log"
        queues = tuple(settings.queues)

        def command(name: str) -> Command:
            argv = named(self._parts.own_command, name) or engine.worker_command(name, queues)
            return Command(argv, environment, output=output, hides_secrets=True)

        return WorkerPool(
            agent_id=self._id,
            host=socket.gethostname(),
            queues=queues,
            command=command,
            limits=Limits(settings.start_timeout_s, settings.drain_grace_s),
            clock=self._parts.clock,
            give_back=link.give_back,
        )

    def _give_back_unwatched(self, link: Link) -> None:
        dead: list[Entry] = orphans.dead_workers(self._record)
        orphans.bury(dead, self._parts.clock)
        for entry in dead:
            link.give_back(GiveBack(entry.name, Ending.LOST))

    def _undo(self) -> None:
        """Nothing half-started: what this start began is ended, what it found running stays for the next one."""
        begun = [child for child in self._supervisor.children if not child.is_adopted]
        for child in begun:
            child.terminate()
        orphans.wait_for_end(begun, self._parts.clock, UNDO_WITHIN_S)

    def _end_all(self) -> None:
        """Whoever stops a start wants nothing of it, nor of the run before it, to stay: workers drain first."""
        orphans.end([entry for entry in self._living if entry.role == WORKER], self._parts.clock, self._settings.drain_grace_s)
        orphans.end([entry for entry in self._living if entry.role != WORKER], self._parts.clock)
        self._undo()


def named(own_command: Sequence[str], name: str) -> list[str]:
    """The team's command with the worker's name, which is how the engine's list and our processes are matched."""
    if not own_command or any("{name}" in word for word in own_command):
        return [word.replace("{name}", name) for word in own_command]
    return [*own_command, "--name", name]


def passed_on(configuration: Configuration) -> dict[str, str]:
    """What a child cannot read for itself: the command line's words, the store that we run, and folders made absolute.

    All else it reads from the same environment and file as we did, so that it can name each value's source.
    """
    settings = configuration.settings
    names = {name for name, source in configuration.sources.items() if source == "command line"}
    values = {name: getattr(settings, name) for name in sorted(names | {"data", "logs", "flags", "redis_url", "broker_url"})}
    return {f"LEVQOR_{name.upper()}": _text(value) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    """As the setting is written in the environment."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, list):
        return ",".join(_text(item) for item in value)
    if isinstance(value, dict):
        return ",".join(f"{name}={item}" for name, item in value.items())
    return str(value)


def _store_url(settings: Settings) -> str:
    if settings.redis_url is None:
        raise RuntimeError("the store was not opened")
    return settings.redis_url.get_secret_value()
