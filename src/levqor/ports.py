"""The few doors through which monitors reach the world; adapters are handed in by `bootstrap`."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from levqor.domain.alerts import Alert
from levqor.domain.backups import Examined, Taken
from levqor.domain.fleet import QueueState, Worker
from levqor.domain.schedule import Ended
from levqor.domain.spending import SpendPage
from levqor.domain.summary import Letter


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


class Letters(Protocol):
    """A channel that summaries go through, with the same promises as one for alerts."""

    @property
    def name(self) -> str:
        """Names the channel in rows; stays the same from one start to the next."""
        ...

    def send(self, letter: Letter) -> str | None:
        """Hand it over once; what a person should know although it was taken. Raises DeliveryError."""
        ...


class SpendSource(Protocol):
    """Whoever knows what was spent or earned. Each page stands for itself: written, it need not be asked for again."""

    @property
    def name(self) -> str:
        """The source's name in the ledger."""
        ...

    def pages(self, cursor: Mapping[str, Any] | None) -> Iterator[SpendPage]:
        """What came since `cursor` (None: from the beginning), page by page. Raises SourceDown."""
        ...


class ScheduledProcess(Protocol):
    """A run of `levqor` that was begun. Nothing here waits."""

    @property
    def identity(self) -> str:
        """Whoever outlives neither its run nor the process that began it."""
        ...

    def ended(self) -> Ended | None:
        """How it ended; None while it goes on."""
        ...

    def stop(self) -> None:
        """Ask it to end; it has a moment, and is then ended."""
        ...


class Runner(Protocol):
    """Begins runs of `levqor` as processes that end with this one."""

    def start(self, words: Sequence[str], grace_s: float) -> ScheduledProcess:
        """Begin `levqor` with these words; ended once it takes longer than `grace_s`. Raises OSError."""
        ...


class Keeper(Protocol):
    """Takes, examines and puts back copies of one database. Each method raises DatabaseDown, and BackupFailed with nothing lost."""

    kind: str
    """`sqlite` or `postgresql`."""
    file: str
    """What its copy is called in a backup."""

    @property
    def label(self) -> str:
        """The database for messages, without its password."""
        ...

    def size(self) -> int:
        """Bytes that a copy takes at most. Raises NotFound where there is no database yet."""
        ...

    def take(self, folder: Path) -> Taken:
        """Write a copy as of one moment into the folder; others go on working."""
        ...

    def examine(self, file: Path, scratch: Path) -> Examined:
        """Restore a copy in a scratch place. Raises SchemaError where it is newer than this version."""
        ...

    def is_readable(self) -> bool:
        """Is there a database that can be asked anything?"""
        ...

    def in_use(self) -> str | None:
        """Who works with it, in words; changes nothing."""
        ...

    def aside(self, mark: str) -> str | None:
        """What the present database will be called once it is replaced; None where there is none."""
        ...

    def put_back(self, file: Path, scratch: Path, mark: str) -> None:
        """Put a copy in the database's place, which is kept under its name with that mark."""
        ...
