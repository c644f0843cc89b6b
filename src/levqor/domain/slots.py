"""Slots: numbered places for one worker each, which a process manager of the team's starts and stops."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from levqor.domain.fleet import Worker, WorkerState


class SlotState(StrEnum):
    """A slot in its process manager's words; `failed` is one that the process manager has given up."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"

    @property
    def is_up(self) -> bool:
        return self in (SlotState.STARTING, SlotState.RUNNING)


@dataclass(frozen=True, slots=True)
class ListedSlot:
    """One line of the process manager's list. `restarts`: how often it has restarted the worker by itself; None: it does not tell."""

    number: int
    state: SlotState
    pid: int | None = None
    restarts: int | None = None


@dataclass(frozen=True, slots=True)
class SeenSlot:
    """A slot with the worker that the engine lists for its process. `since`: when its job, or without one itself, began (monotonic s)."""

    number: int
    state: SlotState
    does: WorkerState
    pid: int | None = None
    worker: Worker | None = None
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class SlotMemory:
    """What was commanded last; it has one home, the database, so that nobody takes Levqor's own acts for somebody else's."""

    boot: str = ""
    """The boot in which it was commanded: what a machine's start left stopped, no person stopped."""
    wanted: Mapping[int, bool] = field(default_factory=dict)
    """Slots that should be up, and whether each has been seen up since it was told to start."""
    draining: Mapping[int, int | None] = field(default_factory=dict)
    """Slots told to stop, with the process that was told."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "boot": self.boot,
            "wanted": {str(number): is_seen for number, is_seen in sorted(self.wanted.items())},
            "draining": {str(number): pid for number, pid in sorted(self.draining.items())},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SlotMemory":
        wanted = {int(number): bool(is_seen) for number, is_seen in data["wanted"].items()}
        return cls(str(data["boot"]), wanted, {int(number): pid for number, pid in data["draining"].items()})
