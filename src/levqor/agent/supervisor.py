"""Children that must always live (store, control plane): restarted when they die, ended when told to."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from levqor.agent.backoff import Backoff
from levqor.agent.process import Child, Command
from levqor.agent.rotation import Leaver, Successor
from levqor.ports import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """One child that must live. `stop_within_s` is how long it may take to obey SIGTERM.

    `tells_ready`: it can say when it accepts connections, so that it can be replaced without a lost request.
    """

    role: str
    name: str
    command: Command
    stop_within_s: float
    tells_ready: bool = False


class Supervised:
    """A service and its present process."""

    def __init__(self, service: Service, mark: str, clock: Clock) -> None:
        self.service = service
        self.child: Child | None = None
        self.backoff = Backoff()
        self._mark = mark
        self._clock = clock
        self._stopping_since: float | None = None
        self._is_ending = False
        self._generation = 0
        self._successor: Successor | None = None
        self._leavers: list[Leaver] = []

    @property
    def is_stopped(self) -> bool:
        return self._stopping_since is not None and not self.children

    @property
    def is_rotating(self) -> bool:
        return self._successor is not None or bool(self._leavers)

    @property
    def children(self) -> list[Child]:
        """The present process, and during a rotation the one before and the one after it."""
        successors = [] if self._successor is None else [self._successor.child]
        return [*([] if self.child is None else [self.child]), *successors, *(leaver.child for leaver in self._leavers)]

    def adopt(self, child: Child) -> None:
        self.child = child

    def tick(self) -> bool:
        """Keep the promise for this moment; True when the process changed."""
        before = self.children
        now = self._clock.monotonic()
        self._leavers = [leaver for leaver in self._leavers if not leaver.is_gone()]
        self._follow()
        if self.child is not None and (self._is_ending or not self.child.is_alive):
            self._end(now)
        if self._stopping_since is not None:
            self._hurry(now, self._stopping_since)
        elif self.child is None and self.backoff.may_start(now):
            self._start(now)
        return self.children != before

    def rotate(self) -> bool:
        """Begin to replace the present process by a new one; False where there is nothing to replace, or it is under way."""
        if self.child is None or self.is_rotating or self._stopping_since is not None or not self.service.tells_ready:
            return False
        try:
            self._successor = Successor(self._spawn, self.service.command, self._clock)
        except OSError as error:
            log.error("%s cannot be replaced: %s", self.service.name, error)
            return False
        log.info("%s: process %d begins beside the one it replaces", self.service.name, self._successor.child.identity.pid)
        return True

    def stop(self) -> None:
        """Ask it to end, and start it no more."""
        if self._stopping_since is None:
            self._stopping_since = self._clock.monotonic()
            self._dismiss_successor()
            if self.child is not None:
                self.child.terminate()

    def kill(self) -> None:
        """End it at once, and start it no more."""
        self.stop()
        self._is_ending = True

    def _start(self, now: float) -> None:
        try:
            self.child = self._spawn(self.service.command)
        except OSError as error:
            log.error("%s cannot start: %s", self.service.name, error)
            self.backoff = self.backoff.after_death(now)

    def _spawn(self, command: Command) -> Child:
        """Each process has a mark of its own: whoever ends one of them by its mark spares the other."""
        self._generation += 1
        mark = self._mark if self._generation == 1 else f"{self._mark}~{self._generation}"
        return Child.spawn(self.service.role, self.service.name, mark, command)

    def _follow(self) -> None:
        """The successor takes over once it accepts, or at once where the old process has died."""
        if self._successor is None:
            return
        if self._successor.is_hopeless:
            log.error("%s: the new process did not come up; the old one stays", self.service.name)
            self._dismiss_successor()
        elif self._successor.accepts:
            if self.child is not None:
                self._leavers.append(Leaver(self.child, self.service.stop_within_s, self._clock))
            self._successor.close()
            self.child, self._successor, self._is_ending = self._successor.child, None, False

    def _dismiss_successor(self) -> None:
        if self._successor is not None:
            self._successor.close()
            self._leavers.append(Leaver(self._successor.child, 0.0, self._clock))
            self._successor = None

    def _hurry(self, now: float, since: float) -> None:
        if self.child is not None and not self._is_ending and now - since >= self.service.stop_within_s:
            log.warning("%s did not end within %.0f s and is killed", self.service.name, self.service.stop_within_s)
            self._is_ending = True

    def _end(self, now: float) -> None:
        """What is left of it goes too; once nothing is, it is off the books."""
        if self.child is None or not self.child.kill_family():
            self._is_ending = True
            return
        code = self.child.exit_code
        self.child, self._is_ending = None, False
        if self._stopping_since is None:
            self.backoff = self.backoff.after_death(now)
            log.warning("%s died (%s); starts again in %.0f s", self.service.name, _how(code), self.backoff.delay_s)


def _how(code: int | None) -> str:
    if code is None or code < -100:
        return "how is not known"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


class Supervisor:
    """All services of one agent."""

    def __init__(self, agent_id: str, clock: Clock) -> None:
        self._agent_id = agent_id
        self._clock = clock
        self._all: list[Supervised] = []
        self._waiting: list[Supervised] = []

    def add(self, service: Service, adopted: Child | None = None) -> None:
        supervised = Supervised(service, f"{self._agent_id}/{service.role}/{service.name}", self._clock)
        if adopted is not None:
            supervised.adopt(adopted)
        self._all.append(supervised)

    @property
    def children(self) -> list[Child]:
        return [child for supervised in self._all for child in supervised.children]

    def serving(self, role: str) -> dict[str, int]:
        """Process id by name, of those that can be replaced without a lost request."""
        able = (one for one in self._with([role]) if one.service.tells_ready)
        return {one.service.name: one.child.identity.pid for one in able if one.child is not None}

    def rotate(self, role: str) -> None:
        """Replace all that can be, one after another: those that wait begin when the one before is through."""
        self._waiting = [*self._waiting, *(one for one in self._with([role]) if one.service.tells_ready and one not in self._waiting)]

    def deaths(self, role: str) -> int:
        return sum(len(supervised.backoff.deaths) for supervised in self._with([role]))

    def tick(self) -> bool:
        """True when a process changed."""
        changes = [supervised.tick() for supervised in self._all]
        if self._waiting and not any(supervised.is_rotating for supervised in self._all):
            changes.append(self._waiting.pop(0).rotate())
        return any(changes)

    def stop(self, roles: Sequence[str]) -> None:
        for supervised in self._with(roles):
            supervised.stop()

    def kill(self, roles: Sequence[str]) -> None:
        for supervised in self._with(roles):
            supervised.kill()

    def are_stopped(self, roles: Sequence[str]) -> bool:
        return all(supervised.is_stopped for supervised in self._with(roles))

    def _with(self, roles: Sequence[str]) -> list[Supervised]:
        return [supervised for supervised in self._all if supervised.service.role in roles]
