"""What a look at a team's RQ found: frozen facts, None where nobody could tell."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from levqor.domain.dead_letters import DeadLetter, grouped
from levqor.engines.rq_version import Standing, standing_of

LOST = "lost"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Server:
    """The broker by its own word. A managed one may keep some of it to itself."""

    product: str | None = None
    version: str | None = None
    memory_used: int | None = None
    memory_limit: int | None = None
    """Bytes; 0: none is set."""
    memory_of_host: int | None = None
    eviction: str | None = None
    is_appending: bool | None = None
    append_failed: bool | None = None
    save_points: str | None = None
    """`3600 1 300 100`: seconds and changes, in turns; empty: no snapshot is ever written."""
    snapshot_failed: bool | None = None
    role: str | None = None
    is_linked: bool | None = None
    """A replica's link to its master."""
    is_cluster: bool | None = None
    clients: int | None = None
    clients_limit: int | None = None
    skew_s: float | None = None
    """This host's clock less the broker's."""
    round_trip_s: float | None = None
    other_databases: tuple[tuple[int, int], ...] = ()
    """Number and keys of the databases that were not looked at and are not empty."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue; `overdue` delayed jobs should have been put back on it a while ago."""

    name: str
    waiting: int | None
    oldest_wait_s: float | None
    running: int | None
    delayed: int | None
    dead: int | None
    deferred: int | None
    abandoned: int | None
    """Marked as running, and nobody has been heard of who runs them."""
    overdue: int | None
    has_scheduler: bool | None
    tidied_within_s: float | None
    """RQ 3: so long is left of the time in which nobody looks for abandoned jobs again. None: no such mark."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One registered worker; `state` is RQ's word, `draining`, or `lost` where its registration has lapsed."""

    name: str
    state: str
    job_id: str | None = None
    function: str | None = None
    host: str | None = None
    pid: int | None = None
    queues: tuple[str, ...] = ()
    heard_at: datetime | None = None
    silent_s: float | None = None
    good_for_s: float | None = None
    """What is left of its registration."""
    started_at: datetime | None = None
    rq_version: str | None = None
    python_version: str | None = None
    is_levqors: bool = False

    @property
    def is_alive(self) -> bool:
        return self.state != LOST

    @property
    def wakes_every_s(self) -> float | None:
        """How long it waits for a job before it looks after itself; None: only an idle worker's registration tells.

        RQ registers an idle worker for its worker-ttl and a minute more, and has it wait 15 s less than worker-ttl.
        """
        if self.state != "idle" or self.good_for_s is None or self.silent_s is None:
            return None
        return max(1.0, round(self.good_for_s + self.silent_s) - 60.0 - 15.0)


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Dead jobs of one exception in one function. `oldest` is the oldest of those that were read."""

    function: str
    error: str
    count: int
    newest: datetime | None
    oldest: datetime | None
    sample: str
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dead:
    """All dead jobs counted, and the newest of them grouped: `read` may be fewer than `total`."""

    total: int = 0
    read: int = 0
    groups: tuple[DeadGroup, ...] = ()

    @property
    def is_sample(self) -> bool:
        return self.read < self.total


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that one look found."""

    place: str
    typed: str
    """The address in a command."""
    is_near: bool
    has_password: bool
    prefix: str
    server: Server = Server()
    keys: int | None = None
    has_rq: bool = False
    others: tuple[str, ...] = ()
    """Other queue libraries whose keys are there."""
    queues: tuple[Queue, ...] = ()
    queues_unread: int = 0
    missing: tuple[str, ...] = ()
    """Queues that were asked for and that nobody knows."""
    workers: tuple[Worker, ...] = ()
    workers_unread: int = 0
    dead: Dead = Dead()
    is_suspended: bool | None = None
    looked_at: datetime | None = None
    took_s: float = 0.0

    @property
    def living(self) -> tuple[Worker, ...]:
        return tuple(worker for worker in self.workers if worker.is_alive)

    @property
    def served(self) -> frozenset[str]:
        return frozenset(queue for worker in self.living for queue in worker.queues)

    @property
    def unserved(self) -> tuple[Queue, ...]:
        """Jobs wait there, now or later, and no living worker takes any. None is named while some workers were not read."""
        if self.workers_unread:
            return ()
        return tuple(queue for queue in self.queues if (queue.waiting or queue.delayed) and queue.name not in self.served)

    @property
    def standing(self) -> Standing:
        return standing_of((worker.rq_version, worker.python_version) for worker in self.living)


def dead_groups(letters: Iterable[DeadLetter]) -> tuple[DeadGroup, ...]:
    """By exception and function, the largest group first."""
    letters = list(letters)
    samples: dict[tuple[str, str, bool], DeadLetter] = {}
    queues: dict[tuple[str, str, bool], set[str]] = {}
    for letter in letters:
        key = (letter.handler, letter.error_class, letter.is_foreign)
        if key not in samples or _is_newer(letter, samples[key]):
            samples[key] = letter
        queues.setdefault(key, set()).add(letter.queue)
    return tuple(
        DeadGroup(
            function=group.handler,
            error=group.error_class,
            count=group.count,
            newest=group.newest,
            oldest=group.oldest,
            sample=samples[group.handler, group.error_class, group.is_foreign].job_id,
            queues=tuple(sorted(queues[group.handler, group.error_class, group.is_foreign])),
        )
        for group in grouped(letters)
    )


def _is_newer(letter: DeadLetter, other: DeadLetter) -> bool:
    return letter.died_at is not None and (other.died_at is None or letter.died_at > other.died_at)
