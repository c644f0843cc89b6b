"""Fleets, workers and queues as they are seen from outside."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class FleetKind(StrEnum):
    """How a target becomes workers."""

    NONE = "none"
    AGENT = "agent"
    SLOTS = "slots"
    EXTERNAL = "external"


class WorkerState(StrEnum):
    """What a worker does; `lost` is one that stopped answering and has not been replaced."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    DRAINING = "draining"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process. `name` is its id in the engine; `started_at` is epoch seconds."""

    name: str
    host: str
    pid: int | None
    state: WorkerState
    job_id: str | None = None
    queues: tuple[str, ...] = ()
    started_at: float | None = None
    ended_jobs: int | None = None
    """Jobs that it has ended so far, well or not, and the seconds that they took, as the engine counts them."""
    worked_s: float | None = None

    @property
    def is_alive(self) -> bool:
        return self.state is not WorkerState.LOST

    def serves(self, queues: Collection[str]) -> bool:
        """Does it take jobs from one of these? One that names no queue may serve any."""
        return not self.queues or any(queue in queues for queue in self.queues)

    def as_dict(self) -> dict[str, Any]:
        """Without the engine's counts: they are read anew each time."""
        facts = {**asdict(self), "state": self.state.value, "queues": list(self.queues)}
        del facts["ended_jobs"], facts["worked_s"]
        return facts

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Worker":
        return cls(**{**data, "state": WorkerState(data["state"]), "queues": tuple(data.get("queues", ()))})


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue as read from the broker, without changing it. `delayed` holds retries that are not due yet."""

    name: str
    depth: int
    oldest_wait_s: float | None
    running: int
    delayed: int
    dead: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Room:
    """Memory on the agent's host: bytes free, a worker's P95 size in bytes, stall share (PSI full avg10, per cent)."""

    free_bytes: int | None
    worker_p95_bytes: int | None
    stalled_percent: float | None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Room":
        return cls(data.get("free_bytes"), data.get("worker_p95_bytes"), data.get("stalled_percent"))


@dataclass(frozen=True, slots=True)
class FleetState:
    """A fleet at one moment: the target in force and what lives. None means not known."""

    name: str
    kind: FleetKind
    queues: tuple[str, ...]
    target: int
    running: int | None
    starting: int = 0
    draining: int = 0
    room: Room | None = None
    paused_queues: tuple[str, ...] = ()
    unserved_queues: tuple[str, ...] = ()

    @property
    def takes_orders(self) -> bool:
        """Can Levqor reach its workers one by one, to restart them?"""
        return self.kind in (FleetKind.AGENT, FleetKind.SLOTS)

    @property
    def can_pause(self) -> bool:
        """Do its workers look for paused queues? Those of Levqor's own class do; what a process manager starts is the team's."""
        return self.kind is FleetKind.AGENT

    @property
    def is_scalable(self) -> bool:
        return self.kind is not FleetKind.NONE
