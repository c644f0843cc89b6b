"""The agent: one thread that supervises processes and never asks the network, and a few that do."""

import logging
import threading
from collections.abc import Callable, Sequence

from levqor.agent import embedded
from levqor.agent.journal import Journal
from levqor.agent.link import Link
from levqor.agent.process import reap_strangers
from levqor.agent.stopping import StopSignals
from levqor.agent.supervisor import Supervisor
from levqor.agent.workers import Ending, WorkerPool
from levqor.ports import Clock

log = logging.getLogger(__name__)

CONTROL = "control"
"""Role of the control plane's processes."""

TICK_S = 0.2
STRANGERS_S = 5.0

GIVE_BACK_WITHIN_S = 5.0
"""How long the end of the agent waits for the engine to take jobs back; the next start's reaping finds the rest."""

INSISTED_WITHIN_S = 3.0
"""The same, and how long the store may take to end, once a second signal came."""

Background = Callable[[threading.Event], None]
"""Runs in a thread of its own until the event is set."""


class Agent:
    """Keeps children alive and ends them. `pool` and `link` are None where the workers are somebody else's."""

    def __init__(
        self,
        supervisor: Supervisor,
        journal: Journal,
        signals: StopSignals,
        clock: Clock,
        pool: WorkerPool | None = None,
        link: Link | None = None,
        background: Sequence[Background] = (),
        last_target: int | None = None,
    ) -> None:
        self._supervisor = supervisor
        self._journal = journal
        self._signals = signals
        self._clock = clock
        self._pool = pool
        self._link = link
        self._background = background
        self._last_target = last_target
        self._pause = threading.Event()
        self._stop_link = threading.Event()
        self._stop_background = threading.Event()
        self._threads: list[threading.Thread] = []
        self._strangers_at = clock.monotonic()

    def run(self) -> int:
        """Until a signal; then end all children. The exit code."""
        self._begin()
        while not self._signals.asked:
            self.tick()
            self._pause.wait(TICK_S)
        self.end()
        return 0

    def tick(self) -> None:
        """One moment of supervision."""
        try:
            self._supervise()
        except Exception:
            # Whatever went wrong with one child, the others still need their supervisor.
            log.exception("the supervision failed for a moment and goes on")

    def end(self) -> None:
        """Workers first, while store and control plane still serve them; then those."""
        log.info("stopping")
        self._until(self._workers_are_gone, within_s=None)
        self._until(self._has_given_back, within_s=GIVE_BACK_WITHIN_S)
        self._stop_background.set()
        self._end_role(CONTROL)
        self._stop_link.set()
        for thread in self._threads:
            thread.join(2 * embedded.ANSWER_TIMEOUT_S)
        if self._link is not None:
            self._link.leave()
        self._end_role(embedded.ROLE)
        self._write()
        self._signals.ignore()

    def _begin(self) -> None:
        for index, work in enumerate(self._background):
            self._thread(f"background-{index}", work, self._stop_background)
        if self._link is not None:
            self._thread("link", self._link.run, self._stop_link)

    def _thread(self, name: str, work: Background, stop: threading.Event) -> None:
        thread = threading.Thread(target=work, args=(stop,), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _supervise(self) -> None:
        changed = self._supervisor.tick()
        if self._pool is not None and self._link is not None:
            changed |= self._tend(self._pool, self._link)
        if changed:
            self._write()
        if self._clock.monotonic() - self._strangers_at >= STRANGERS_S:
            self._strangers_at = self._clock.monotonic()
            ours = {child.identity.pid for child in self._supervisor.children}
            ours |= {child.identity.pid for child in self._pool.children} if self._pool is not None else set()
            reap_strangers(lambda pid: pid in ours)

    def _tend(self, pool: WorkerPool, link: Link) -> bool:
        seen = link.seen()
        target = 0 if self._signals.asked else seen.target
        moved = target is not None and target != pool.target
        if target is not None:
            pool.target = target
        for command in link.commands():
            if command.get("command") == "restart":
                pool.restart(command.get("worker"))
            elif command.get("command") == "rotate":
                self._supervisor.rotate(CONTROL)
        changed = pool.tick(seen.workers)
        link.tell(pool.state(), is_leaving=self._signals.asked, web=self._supervisor.serving(CONTROL))
        return changed or (moved and not self._signals.asked)

    def _write(self) -> None:
        """A stopped agent keeps its last target for the next one."""
        pool = self._pool
        if pool is not None and not self._signals.asked:
            self._last_target = pool.target
        children = [*self._supervisor.children, *(pool.children if pool is not None else [])]
        self._journal.write(self._last_target, children, pool.draining if pool is not None else frozenset())

    def _workers_are_gone(self) -> bool:
        if self._pool is None:
            return True
        if self._signals.insisted:
            self._pool.kill(Ending.RETURNED)
        return self._pool.is_empty

    def _has_given_back(self) -> bool:
        return self._link is None or self._link.has_given_back

    def _end_role(self, role: str) -> None:
        self._supervisor.stop([role])
        started = self._clock.monotonic()
        while not self._supervisor.are_stopped([role]):
            patience_s = INSISTED_WITHIN_S if role == embedded.ROLE else 0.0
            if self._signals.insisted and self._clock.monotonic() - started >= patience_s:
                self._supervisor.kill([role])
            self.tick()
            self._pause.wait(TICK_S / 2)

    def _until(self, is_done: Callable[[], bool], within_s: float | None) -> None:
        started = self._clock.monotonic()
        while not is_done():
            patience_s = INSISTED_WITHIN_S if self._signals.insisted and within_s is not None else within_s
            if patience_s is not None and self._clock.monotonic() - started >= patience_s:
                log.warning("gave up waiting for the engine; the next start takes the jobs back")
                return
            self.tick()
            self._pause.wait(TICK_S / 2)
