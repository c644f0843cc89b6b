"""The fleet's local side: worker processes follow the target, and none of their jobs is lost (spec A8)."""

import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from levqor.agent.backoff import Backoff
from levqor.agent.plan import Plan, Slot, plan
from levqor.agent.process import Child, Command
from levqor.domain.fleet import Worker, WorkerState
from levqor.ports import Clock

log = logging.getLogger(__name__)

ROLE = "worker"

QUICK_EXIT_S = 1.0
"""A worker that ends by itself sooner counts as dead, whatever it says: else it would be respawned without end."""

RECENT_MAX = 1_000

View = Mapping[str, Worker]
"""Workers by name as the engine lists them."""


class Ending(StrEnum):
    """Why a worker's job goes back: its grace was over, or it died."""

    RETURNED = "returned"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class GiveBack:
    """A worker that is gone with all its processes: whatever it was running is for the engine to take back."""

    worker: str
    ending: Ending


@dataclass(slots=True)
class LocalWorker:
    """A worker process and what is known of it. Times are monotonic seconds, but `started_at`, which is the engine's word."""

    child: Child
    spawned_at: float
    state: WorkerState = WorkerState.STARTING
    job_id: str | None = None
    started_at: float | None = None
    since: float = 0.0
    unlisted_s: float = 0.0
    draining_since: float | None = None
    ending: Ending | None = None

    @property
    def name(self) -> str:
        return self.child.name

    def slot(self) -> Slot:
        return Slot(self.name, self.state, self.since)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a worker may take to start, and to finish its job when it is drained."""

    start_timeout_s: float = 30.0
    drain_grace_s: float = 120.0


@dataclass(frozen=True, slots=True)
class PoolState:
    """What the pool tells the heartbeat."""

    workers: tuple[Worker, ...] = ()
    deaths_10m: int = 0
    crash_looping: bool = False
    target: int | None = None
    pids: tuple[int, ...] = ()


@dataclass(slots=True)
class _Restarts:
    """Workers that a person wants replaced, one after another."""

    waiting: deque[str] = field(default_factory=lambda: deque(maxlen=RECENT_MAX))
    current: str | None = None


class WorkerPool:
    """Worker processes of this host. Every method returns at once and asks neither store nor engine."""

    def __init__(
        self,
        agent_id: str,
        host: str,
        queues: tuple[str, ...],
        command: Callable[[str], Command],
        limits: Limits,
        clock: Clock,
        give_back: Callable[[GiveBack], None],
    ) -> None:
        self._agent_id = agent_id
        self._host = host
        self._queues = queues
        self._command = command
        self._limits = limits
        self._clock = clock
        self._give_back = give_back
        self._workers: dict[str, LocalWorker] = {}
        self._backoff = Backoff()
        self._restarts = _Restarts()
        self._ticked_at: float | None = None
        self.target: int | None = None

    @property
    def children(self) -> list[Child]:
        return [worker.child for worker in self._workers.values()]

    @property
    def draining(self) -> frozenset[str]:
        return frozenset(name for name, worker in self._workers.items() if worker.draining_since is not None)

    @property
    def is_empty(self) -> bool:
        return not self._workers

    def mark(self, name: str) -> str:
        return f"{self._agent_id}/{ROLE}/{name}"

    def adopt(self, child: Child, is_draining: bool) -> None:
        """Go on with a worker of an earlier agent; a draining one gets its grace anew."""
        now = self._clock.monotonic()
        worker = LocalWorker(child, spawned_at=now, since=now)
        self._workers[child.name] = worker
        if is_draining:
            worker.draining_since, worker.state = now, WorkerState.DRAINING
            child.terminate()

    def restart(self, name: str | None) -> None:
        """Replace one worker, or all that live now; unknown names are somebody else's."""
        names = list(self._workers) if name is None else [name]
        self._restarts.waiting.extend(name for name in names if name in self._workers and name not in self._restarts.waiting)

    def tick(self, view: View | None) -> bool:
        """Move one moment on. `view` None: the engine cannot be asked now. True when a process changed."""
        now = self._clock.monotonic()
        before = {name: worker.draining_since for name, worker in self._workers.items()}
        self._observe(view, now, now - (self._ticked_at if self._ticked_at is not None else now))
        self._ticked_at = now
        self._end_overdue(now)
        self._bury(now)
        if self.target is not None:
            self._act(plan(self.target, [worker.slot() for worker in self._alive()]), now)
            self._roll(now)
        return before != {name: worker.draining_since for name, worker in self._workers.items()}

    def kill(self, ending: Ending) -> None:
        """End all workers at once; their jobs go back."""
        self.target = 0
        for worker in self._workers.values():
            worker.ending = worker.ending or ending

    def state(self) -> PoolState:
        now = self._clock.monotonic()
        return PoolState(
            workers=tuple(self._describe(worker) for worker in self._alive()),
            deaths_10m=self._backoff.deaths_10m(now),
            crash_looping=self._backoff.is_crash_looping(now),
            target=self.target,
            pids=tuple(worker.child.identity.pid for worker in self._alive()),
        )

    def _describe(self, worker: LocalWorker) -> Worker:
        return Worker(worker.name, self._host, worker.child.identity.pid, worker.state, worker.job_id, self._queues, worker.started_at)

    def _alive(self) -> list[LocalWorker]:
        return [worker for worker in self._workers.values() if worker.ending is None]

    def _observe(self, view: View | None, now: float, passed_s: float) -> None:
        if view is None:
            return
        for worker in self._alive():
            listed = view.get(worker.name)
            if listed is None:
                self._miss(worker, passed_s, now)
            else:
                self._see(worker, listed, now)

    def _see(self, worker: LocalWorker, listed: Worker, now: float) -> None:
        if listed.job_id != worker.job_id:
            worker.job_id, worker.since = listed.job_id, now
        worker.unlisted_s, worker.started_at = 0.0, listed.started_at
        if worker.draining_since is None:
            busy = listed.job_id is not None or listed.state is WorkerState.BUSY
            worker.state = WorkerState.BUSY if busy else WorkerState.IDLE

    def _miss(self, worker: LocalWorker, passed_s: float, now: float) -> None:
        """Only time in which the engine could be asked counts against a worker that it does not list."""
        if worker.draining_since is not None:
            return
        worker.unlisted_s += passed_s
        is_overdue = worker.unlisted_s >= self._limits.start_timeout_s
        if worker.state is WorkerState.STARTING:
            if is_overdue:
                log.warning("worker %s did not come up within %.0f s and is ended", worker.name, self._limits.start_timeout_s)
                worker.ending = Ending.LOST
                self._backoff = self._backoff.after_death(now)
        elif is_overdue and worker.state is not WorkerState.LOST:
            log.warning("worker %s lives but the engine lost sight of it; it will be replaced", worker.name)
            worker.state = WorkerState.LOST
            self.restart(worker.name)
        elif worker.state is not WorkerState.LOST:
            worker.state = WorkerState.UNKNOWN

    def _end_overdue(self, now: float) -> None:
        for worker in self._alive():
            if worker.draining_since is not None and now - worker.draining_since >= self._limits.drain_grace_s and worker.child.is_alive:
                log.warning("worker %s did not finish within %.0f s; its job goes back", worker.name, self._limits.drain_grace_s)
                worker.ending = Ending.RETURNED

    def _bury(self, now: float) -> None:
        """Nothing may run on behalf of a worker when its job goes back: else the job would run twice."""
        for worker in list(self._workers.values()):
            if worker.ending is None and worker.child.is_alive:
                continue
            if worker.ending is None:
                worker.ending = self._judge(worker, now)
            if worker.child.kill_family():
                del self._workers[worker.name]
                self._give_back(GiveBack(worker.name, worker.ending))

    def _judge(self, worker: LocalWorker, now: float) -> Ending:
        """It ended by itself: as it was asked to, or dead."""
        code = worker.child.exit_code
        if worker.draining_since is not None:
            return Ending.RETURNED
        if code != 0 or now - worker.spawned_at < QUICK_EXIT_S:
            self._backoff = self._backoff.after_death(now)
            log.warning("worker %s died (exit code %s), %d deaths in 10 min", worker.name, code, self._backoff.deaths_10m(now))
        return Ending.LOST

    def _act(self, todo: Plan, now: float) -> None:
        for name in todo.drain:
            self._drain(self._workers[name], now)
        if self._backoff.may_start(now):
            for _ in range(min(todo.spawn, 1) if self._backoff.is_crash_looping(now) else todo.spawn):
                self._spawn(now)

    def _drain(self, worker: LocalWorker, now: float) -> None:
        log.info("worker %s drains (%s)", worker.name, worker.state.value)
        worker.draining_since, worker.state = now, WorkerState.DRAINING
        worker.child.terminate()

    def _spawn(self, now: float) -> None:
        name = f"{self._agent_id}-{secrets.token_hex(3)}"
        try:
            child = Child.spawn(ROLE, name, self.mark(name), self._command(name))
        except OSError as error:
            log.error("worker cannot start: %s", error)
            self._backoff = self._backoff.after_death(now)
            return
        log.info("worker %s starts, process %d", name, child.identity.pid)
        self._workers[name] = LocalWorker(child, spawned_at=now, since=now)

    def _roll(self, now: float) -> None:
        """The next one is replaced when the last is gone and its replacement has come up."""
        if self._restarts.current in self._workers or any(worker.state is WorkerState.STARTING for worker in self._alive()):
            return
        serving = [worker for worker in self._alive() if worker.draining_since is None]
        self._restarts.current = None
        while self._restarts.waiting and len(serving) >= (self.target or 0):
            worker = self._workers.get(self._restarts.waiting.popleft())
            if worker is not None and worker in serving:
                self._restarts.current = worker.name
                self._drain(worker, now)
                return
