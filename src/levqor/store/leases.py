"""The lease that makes one autopilot act (spec P2), with no stored time in it.

A contender takes the lease only after it has itself watched the holder's beat stand still for the whole term of trust,
on its own monotonic clock; so a wall clock that jumps can neither double nor stall the leader. A holder trusts its
lease from the start of the attempt that renewed it, less a margin, and each write it makes carries its term.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from levqor.domain.errors import DatabaseDown, NotTheLeader
from levqor.ports import Clock
from levqor.store.database import Database
from levqor.store.schema import leases

TTL_S = 10.0
MARGIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The lease's row as a contender last saw it, and since when it has looked so."""

    holder: str | None
    term: int
    beat: int
    since: float


class Lease:
    """One contender's view of one lease; not shared between threads, but `term` and `fenced` may be read by others."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        holder: str,
        *,
        name: str = "autopilot",
        ttl_s: float = TTL_S,
        margin_s: float = MARGIN_S,
        is_dead: Callable[[str], bool] = lambda _holder: False,
    ) -> None:
        """`is_dead` says of a holder's identity whether that process is surely gone: then nobody waits for it."""
        self._database, self._clock, self._holder, self._name = database, clock, holder, name
        self._ttl_s, self._trust_s, self._is_dead = ttl_s, ttl_s - margin_s, is_dead
        self._term: int | None = None
        self._trusted_until = 0.0
        self._seen: Seen | None = None

    @property
    def term(self) -> int | None:
        """The term while the lease is trusted, else None."""
        return self._term if self.is_trusted else None

    @property
    def is_trusted(self) -> bool:
        return self._term is not None and self._clock.monotonic() < self._trusted_until

    @property
    def holder_seen(self) -> str | None:
        """Who held the lease when it was last looked at."""
        return self._holder if self.is_trusted else (self._seen.holder if self._seen else None)

    def attempt(self) -> bool:
        """Renew or try to take the lease; is it trusted now? A database that does not answer renews nothing."""
        started = self._clock.monotonic()
        try:
            with self._database.write() as connection:
                held = self._renew(connection) if self._term is not None else self._take(connection, started)
        except DatabaseDown:
            return self.is_trusted
        if held:
            self._trusted_until = started + self._trust_s
        else:
            self._term, self._trusted_until = None, 0.0
        return self.is_trusted

    def release(self) -> None:
        """Let go at a clean stop, so that a successor need not wait."""
        term, self._term, self._trusted_until = self._term, None, 0.0
        if term is None:
            return
        with self._database.write() as connection:
            mine = (leases.c.name == self._name) & (leases.c.holder == self._holder) & (leases.c.term == term)
            connection.execute(update(leases).where(mine).values(holder=None))

    @contextmanager
    def fenced(self) -> Iterator[Connection]:
        """A write transaction that is committed only while this term is the newest. Raises NotTheLeader."""
        term = self.term
        if term is None:
            raise NotTheLeader("this process does not hold the lease")
        with self._database.write() as connection:
            mine = (leases.c.name == self._name) & (leases.c.holder == self._holder) & (leases.c.term == term)
            # An update takes the row's lock, so no other term can begin before this transaction ends.
            if connection.execute(update(leases).where(mine).values(beat=leases.c.beat + 1)).rowcount != 1:
                self._term, self._trusted_until = None, 0.0
                raise NotTheLeader(f"term {term} has ended")
            yield connection

    def _renew(self, connection: Connection) -> bool:
        mine = (leases.c.name == self._name) & (leases.c.holder == self._holder) & (leases.c.term == self._term)
        return connection.execute(update(leases).where(mine).values(beat=leases.c.beat + 1)).rowcount == 1

    def _take(self, connection: Connection, now: float) -> bool:
        row = connection.execute(select(leases).where(leases.c.name == self._name)).one_or_none()
        if row is None:
            return self._create(connection)
        if self._seen is None or (row.term, row.beat, row.holder) != (self._seen.term, self._seen.beat, self._seen.holder):
            self._seen = Seen(row.holder, row.term, row.beat, now)
        stands_still = now - self._seen.since >= self._ttl_s
        if not (row.holder is None or stands_still or self._is_dead(row.holder)):
            return False
        unchanged = (leases.c.name == self._name) & (leases.c.term == row.term) & (leases.c.beat == row.beat)
        taken = connection.execute(update(leases).where(unchanged).values(holder=self._holder, term=row.term + 1, beat=0))
        if taken.rowcount == 1:
            self._term = row.term + 1
        return taken.rowcount == 1

    def _create(self, connection: Connection) -> bool:
        try:
            with connection.begin_nested():
                connection.execute(insert(leases).values(name=self._name, holder=self._holder, term=1, beat=0))
        except IntegrityError:
            return False
        self._term = 1
        return True


class LeaseWatch:
    """Watches who leads, from a process that need not contend itself."""

    def __init__(self, database: Database, clock: Clock, is_dead: Callable[[str], bool], *, name: str = "autopilot") -> None:
        self._database, self._clock, self._is_dead, self._name = database, clock, is_dead, name
        self._seen: Seen | None = None

    def leader(self) -> dict[str, str | int | float | bool | None]:
        """Holder, term, since when the beat stands still as seen from here, and whether anybody leads. Raises DatabaseDown."""
        now = self._clock.monotonic()
        with self._database.read() as connection:
            row = connection.execute(select(leases).where(leases.c.name == self._name)).one_or_none()
        if row is None:
            return {"holder": None, "term": None, "still_s": None, "leads": False}
        seen = self._seen
        if seen is None or (row.term, row.beat, row.holder) != (seen.term, seen.beat, seen.holder):
            seen = self._seen = Seen(row.holder, row.term, row.beat, now)
        leads = row.holder is not None and now - seen.since < TTL_S and not self._is_dead(row.holder)
        return {"holder": row.holder, "term": row.term, "still_s": round(now - seen.since, 1), "leads": leads}
