"""Children that must always live (store, control plane): restarted when they die, ended when told to."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from levqor.agent.backoff import Backoff
from levqor.agent.process import Child, Command
from levqor.ports import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """One child that must live. `stop_within_s` is how long it may take to obey SIGTERM."""

    role: str
    name: str
    command: Command
    stop_within_s: float


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

    @property
    def is_stopped(self) -> bool:
        return self._stopping_since is not None and self.child is None

    def adopt(self, child: Child) -> None:
        self.child = child

    def tick(self) -> bool:
        """Keep the promise for this moment; True when the process changed."""
        before = self.child
        now = self._clock.monotonic()
        if self.child is not None and (self._is_ending or not self.child.is_alive):
            self._end(now)
        if self._stopping_since is not None:
            self._hurry(now, self._stopping_since)
        elif self.child is None and self.backoff.may_start(now):
            self._start(now)
        return self.child is not before

    def stop(self) -> None:
        """Ask it to end, and start it no more."""
        if self._stopping_since is None:
            self._stopping_since = self._clock.monotonic()
            if self.child is not None:
                self.child.terminate()

    def kill(self) -> None:
        """End it at once, and start it no more."""
        self.stop()
        self._is_ending = True

    def _start(self, now: float) -> None:
        try:
            self.child = Child.spawn(self.service.role, self.service.name, self._mark, self.service.command)
        except OSError as error:
            log.error("%s cannot start: %s", self.service.name, error)
            self.backoff = self.backoff.after_death(now)

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

    def add(self, service: Service, adopted: Child | None = None) -> None:
        supervised = Supervised(service, f"{self._agent_id}/{service.role}/{service.name}", self._clock)
        if adopted is not None:
            supervised.adopt(adopted)
        self._all.append(supervised)

    @property
    def children(self) -> list[Child]:
        return [supervised.child for supervised in self._all if supervised.child is not None]

    def deaths(self, role: str) -> int:
        return sum(len(supervised.backoff.deaths) for supervised in self._with([role]))

    def tick(self) -> bool:
        """True when a process changed."""
        changes = [supervised.tick() for supervised in self._all]
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
