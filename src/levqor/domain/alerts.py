"""What a person is told, and what became of telling them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

RUNBOOK = "https://github.com/levqor/levqor/blob/main/docs/runbook.md"


class Severity(StrEnum):
    """How soon somebody should look: at once, in working hours, or when they like."""

    PAGE = "page"
    TICKET = "ticket"
    INFO = "info"


class Kind:
    """Kinds that are treated in their own way; any other short word may be used too."""

    OPENED = "opened"
    REMINDER = "reminder"
    RESOLVED = "resolved"
    TEST = "test"


class State(StrEnum):
    """Of one delivery. Unknown: it was handed over, and nobody can say whether it arrived."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One message as a channel sends it."""

    id: int
    key: str
    kind: str
    severity: Severity
    title: str
    text: str
    created_at: datetime
    is_repeat: bool = False
    """It may have arrived before: an earlier attempt ended without an answer."""

    @property
    def heading(self) -> str:
        """The title with what a reader must know before anything else."""
        return f"[{self.severity}] {self.title}{' (possible repeat)' if self.is_repeat else ''}"

    @property
    def body(self) -> str:
        """The text and where it comes from; a reminder is written long before it is told, so its time would mislead."""
        at = "" if self.kind == Kind.REMINDER else f", {self.created_at:%Y-%m-%d %H:%M:%S} UTC"
        said = (self.text, f"levqor alert {self.id}{at}", self.runbook)
        return "\n".join(line for line in said if line is not None)

    @property
    def runbook(self) -> str | None:
        """Where it is written what to do: an entry for the first word of each key. None where there is nothing to do."""
        return None if self.kind in (Kind.TEST, Kind.RESOLVED) else f"{RUNBOOK}#{self.key.partition(':')[0]}"

    @property
    def token(self) -> str:
        """The same for every attempt at the same alert, so that a receiver can tell a repeat."""
        return f"levqor-{self.id}-{int(self.created_at.timestamp() * 1000)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One alert on its way through one channel."""

    id: int
    alert: Alert
    channel: str
    state: State
    attempts: int
    due_in_s: float
    episode_id: int | None = None
    is_episode_open: bool = False

    @property
    def may_repeat(self) -> bool:
        """Has an earlier attempt ended without an answer?"""
        return self.state is State.UNKNOWN

    @property
    def is_waiting(self) -> bool:
        """Is there still an attempt to come?"""
        return self.state is State.PENDING or (self.state is State.UNKNOWN and self.due_in_s >= 0)
