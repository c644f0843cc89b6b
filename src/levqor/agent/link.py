"""All that the agent asks of store and engine, in a thread of its own: a store that hangs must not stop the supervising."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from levqor.agent.plan import share
from levqor.agent.process import is_marked, kill_marked
from levqor.agent.room import WorkerSizes, measure
from levqor.agent.workers import Ending, GiveBack, PoolState, View
from levqor.domain.errors import DependencyDown, GuardRefused
from levqor.domain.fleet import Worker
from levqor.fleets.agent import AgentSeat, Heartbeat
from levqor.ports import Clock

log = logging.getLogger(__name__)

TURN_S = 0.3
BEAT_S = 1.0
REAP_S = 5.0
SAMPLE_S = 5.0

VIEW_TRUSTED_S = 3.0
"""An older list of workers says nothing about now."""

GIVE_BACKS_MAX = 1_000
"""Beyond these the reaping finds what is left."""


class WorkerEngine(Protocol):
    """What the agent asks of an engine. Each call has a deadline of about a second and raises EngineDown."""

    def workers(self) -> list[Worker]: ...
    def worker_command(self, name: str, queues: Sequence[str]) -> list[str]: ...
    def give_back(self, worker_name: str, *, interrupted: bool = False) -> str | None: ...
    def reap(self, is_dead: Callable[[Worker], bool] | None = None) -> list[str]: ...
    def promote_due(self, queues: Sequence[str]) -> int: ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What store and engine said last. `workers` None: the engine did not answer lately."""

    target: int | None = None
    workers: View | None = None


@dataclass(slots=True)
class _Mail:
    """Passed between the threads; each field is replaced or popped whole."""

    state: PoolState = field(default_factory=PoolState)
    is_leaving: bool = False
    web: Mapping[str, int] = field(default_factory=dict)
    give_backs: deque[GiveBack] = field(default_factory=lambda: deque(maxlen=GIVE_BACKS_MAX))
    commands: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=GIVE_BACKS_MAX))


class Link:
    """The agent's tie to the rest of the installation."""

    def __init__(self, seat: AgentSeat, engine: WorkerEngine, queues: Sequence[str], host: str, clock: Clock) -> None:
        self._seat = seat
        self._engine = engine
        self._queues = tuple(queues)
        self._host = host
        self._clock = clock
        self._mail = _Mail()
        self._sizes = WorkerSizes()
        self._target: int | None = None
        self._target_seen: int | None = None
        self._listed: tuple[float, View] | None = None
        self._returned = 0
        self._due: dict[str, float] = {}
        self._problems: dict[str, str] = {}

    def seen(self) -> Seen:
        listed = self._listed
        fresh = listed is not None and self._clock.monotonic() - listed[0] <= VIEW_TRUSTED_S
        return Seen(self._target, listed[1] if listed is not None and fresh else None)

    def tell(self, state: PoolState, is_leaving: bool = False, web: Mapping[str, int] | None = None) -> None:
        """What the next heartbeat says."""
        self._mail.state = state
        self._mail.web = web or {}
        self._mail.is_leaving = is_leaving

    def give_back(self, gone: GiveBack) -> None:
        """Have the engine take back the job of a worker that is gone; tried until it answers."""
        self._mail.give_backs.append(gone)

    @property
    def has_given_back(self) -> bool:
        return not self._mail.give_backs

    def commands(self) -> list[dict[str, Any]]:
        """Commands that came since the last call."""
        taken: list[dict[str, Any]] = []
        while self._mail.commands:
            taken.append(self._mail.commands.popleft())
        return taken

    def run(self, stop: threading.Event) -> None:
        """Until `stop`; no failure of store or engine ends it."""
        while True:
            self.turn()
            if stop.wait(TURN_S):
                return

    def turn(self) -> None:
        """Each of the two is asked on its own: a broker that is down does not hide the target."""
        self._attempt("store", self._ask_store)
        self._attempt("engine", self._ask_engine)

    def leave(self) -> None:
        """Be counted no more."""
        self._attempt("store", self._seat.leave)

    def _attempt(self, name: str, ask: Callable[[], None]) -> None:
        try:
            ask()
        except DependencyDown as error:
            self._say(name, str(error))
        except Exception as error:  # noqa: BLE001 (the outer edge of the loop: it says so and goes on)
            self._say(name, repr(error))
        else:
            self._say(name, None)

    def _say(self, name: str, problem: str | None) -> None:
        """Once per episode."""
        before = self._problems.pop(name, None)
        if problem is not None:
            self._problems[name] = problem
            if before is None:
                log.warning("%s: %s; workers keep their last target", name, problem)
        elif before is not None:
            log.info("%s answers again", name)

    def _is_due(self, what: str, every_s: float) -> bool:
        now = self._clock.monotonic()
        if now < self._due.get(what, now):
            return False
        self._due[what] = now + every_s
        return True

    def _ask_store(self) -> None:
        if self._is_due("sample", SAMPLE_S):
            self._sizes.sample(self._mail.state.pids)
        if self._is_due("beat", BEAT_S):
            self._seat.beat(self._heartbeat())
        orders = self._seat.orders()
        self._mail.commands.extend(orders.commands)
        if orders.target is not None:
            self._target = share(orders.target, orders.agents, self._seat.agent_id)
            self._target_seen = orders.target

    def _heartbeat(self) -> Heartbeat:
        state = self._mail.state
        return Heartbeat(
            agent_id=self._seat.agent_id,
            workers=state.workers,
            room=measure(self._sizes),
            deaths_10m=state.deaths_10m,
            crash_looping=state.crash_looping,
            returned=self._returned,
            target_seen=self._target_seen,
            is_leaving=self._mail.is_leaving,
            web=dict(self._mail.web),
        )

    def _ask_engine(self) -> None:
        self._hand_back()
        workers = self._engine.workers()
        self._listed = (self._clock.monotonic(), {worker.name: worker for worker in workers})
        self._engine.promote_due(self._queues)
        if self._is_due("reap", REAP_S):
            self._reap(workers)

    def _hand_back(self) -> None:
        while self._mail.give_backs:
            gone = self._mail.give_backs[0]
            is_ours = gone.ending is Ending.RETURNED
            try:
                self._report(self._engine.give_back(gone.worker, interrupted=is_ours), gone.ending)
            except GuardRefused as error:
                log.warning("whatever worker %s was running is left to its queue library: %s", gone.worker, error)
            # Taken off only now: an engine that did not answer is asked again.
            self._mail.give_backs.popleft()

    def _report(self, job_id: str | None, ending: Ending) -> None:
        if job_id is None:
            return
        self._returned += ending is Ending.RETURNED
        log.warning("job %s is %s: it goes back to its queue", job_id, ending.value)

    def _reap(self, workers: Sequence[Worker]) -> None:
        """Workers of this folder's agents that nobody owns any more are seen at once; the engine knows the rest by their silence."""
        gone = {worker.name for worker in workers if self._is_gone(worker)}
        # What a dead worker left running goes first: its job must not run on beside its second run.
        ready = {name for name in gone if kill_marked(self._mark(name))}
        given_back = self._engine.reap(lambda worker: worker.name in ready) if ready else []
        for job_id in [*given_back, *self._engine.reap()]:
            self._report(job_id, Ending.LOST)

    def _is_gone(self, worker: Worker) -> bool:
        if worker.host != self._host or worker.pid is None or not worker.name.startswith(f"{self._seat.agent_id}-"):
            return False
        if any(worker.name == own.name for own in self._mail.state.workers):
            return False
        return not is_marked(worker.pid, self._mark(worker.name))

    def _mark(self, name: str) -> str:
        return f"{self._seat.agent_id}/worker/{name}"
