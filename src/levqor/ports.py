"""The few doors through which monitors reach the world; adapters are handed in by `bootstrap`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from levqor.domain.alerts import Alert
from levqor.domain.fleet import QueueState, Worker


class Clock(Protocol):
    """Time as an argument: `now` for calendars and records, `monotonic` for every interval (spec P1)."""

    def now(self) -> datetime:
        """Aware UTC time of day; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that only go forward; comparable inside one process."""
        ...


class Engine(Protocol):
    """A queue library as seen from outside its workers. Every read leaves the broker as it was.

    Every method has a deadline of about a second and raises `EngineDown` when the broker does not answer in it.
    """

    def queues(self, names: Sequence[str]) -> list[QueueState]:
        """State of each named queue, in that order; a queue that does not exist is empty."""
        ...

    def workers(self) -> list[Worker]:
        """Every worker that is registered with the broker, from all hosts."""
        ...

    def queue_names(self) -> list[str]:
        """Every queue that the broker knows."""
        ...


class Alerts(Protocol):
    """A channel through which people are told. It has a deadline of its own, and nothing that it raises or logs holds a secret."""

    @property
    def name(self) -> str:
        """Names the channel in rows and lists; stays the same from one start to the next."""
        ...

    def send(self, alert: Alert) -> None:
        """Deliver it once. Raises DeliveryError, which says whether trying again can help and whether it may have arrived."""
        ...
