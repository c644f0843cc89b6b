"""Dead letters in memory: each job does at its n-th flush what its script says."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tests.clock import ManualClock

from levqor.domain.dead_letters import DeadLetter, Requeued
from levqor.domain.errors import EngineDown
from levqor.domain.fleet import QueueState
from levqor.monitors.dead_letters import Fate

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def letter(job_id: str, **facts: object) -> DeadLetter:
    known = DeadLetter(job_id, "default", "send", "ConnectionError: refused", AT, attempts=3, losses=0, flushes=0, is_foreign=False)
    return replace(known, **facts)  # type: ignore[arg-type]


@dataclass
class MemoryEngine:
    """Keeps the engine's promises: a ZREM gate, a batch that moves nothing twice, flushes that count."""

    letters: dict[str, DeadLetter] = field(default_factory=dict)
    """All jobs; `dead` are those in the registry."""
    scripts: dict[str, list[Fate]] = field(default_factory=dict)
    """What becomes of a job at its first, second... flush; the last one goes on. None said: it succeeds."""
    dead: list[str] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)
    moves: list[tuple[str, ...]] = field(default_factory=list)
    batches: dict[str, str] = field(default_factory=dict)
    down_after_moves: int | None = None

    def bury(self, *letters: DeadLetter, script: Sequence[Fate] = ()) -> None:
        for one in letters:
            self.letters[one.job_id] = one
            self.dead.append(one.job_id)
            if script:
                self.scripts[one.job_id] = list(script)

    def queues(self, names: Sequence[str]) -> list[QueueState]:
        return [QueueState(name, 0, None, 0, 0, sum(self.letters[one].queue == name for one in self.dead)) for name in names]

    def dead_letters(self, queue: str, *, cursor: int = 0, limit: int = 100, since: datetime | None = None) -> list[DeadLetter]:
        found = [self.letters[one] for one in reversed(self.dead) if self.letters[one].queue == queue]
        page = found[cursor : cursor + limit]
        return [one for one in page if since is None or (one.died_at is not None and one.died_at >= since)]

    def quarantined(self, queue: str, *, cursor: int = 0, limit: int = 100) -> list[DeadLetter]:
        found = [self.letters[one] for one in reversed(self.apart) if self.letters[one].queue == queue]
        return found[cursor : cursor + limit]

    def count_quarantined(self, queues: Sequence[str]) -> int:
        return sum(self.letters[one].queue in queues for one in self.apart)

    def find_dead(self, job_ids: Sequence[str]) -> list[DeadLetter]:
        return [self.letters[one] for one in job_ids if one in self.dead or one in self.apart]

    def trace(self, job_id: str) -> str | None:
        return "Traceback" if job_id in self.letters else None

    def fates(self, job_ids: Sequence[str]) -> Mapping[str, Fate | None]:
        return {job_id: self._fate(job_id) for job_id in job_ids}

    def _fate(self, job_id: str) -> Fate:
        if job_id in self.dead or job_id in self.apart:
            return "dead"
        script = self.scripts.get(job_id, ["succeeded"])
        fate = script[min(self.letters[job_id].flushes, len(script)) - 1]
        if fate == "dead":
            self.dead.append(job_id)
        return fate

    def requeue_dead(self, queue: str, job_ids: Sequence[str], *, batch_id: str, allow_foreign: bool = False) -> Requeued:
        if self.down_after_moves is not None and len(self.moves) >= self.down_after_moves:
            raise EngineDown("the queue's broker does not answer")
        already = [one for one in job_ids if self.batches.get(one) == batch_id]
        moved = [one for one in job_ids if one in self.dead and one not in already and (allow_foreign or not self.letters[one].is_foreign)]
        for one in moved:
            self.dead.remove(one)
            self.batches[one] = batch_id
            self.letters[one] = replace(self.letters[one], flushes=self.letters[one].flushes + 1)
        self.moves.append(tuple(moved))
        return Requeued(len(moved), len(job_ids) - len(moved) - len(already), len(self.dead), len(already), 0, (*moved, *already))

    def quarantine(self, queue: str, job_ids: Sequence[str], why: str) -> int:
        chosen = [one for one in job_ids if one in self.dead]
        for one in chosen:
            self.dead.remove(one)
            self.apart.append(one)
            self.letters[one] = replace(self.letters[one], quarantined_at=AT, why=why)
        return len(chosen)

    def release_quarantined(self, queue: str, job_ids: Sequence[str]) -> int:
        chosen = [one for one in job_ids if one in self.apart]
        for one in chosen:
            self.apart.remove(one)
            self.dead.append(one)
            self.letters[one] = replace(self.letters[one], quarantined_at=None, why=None, flushes=0)
        return len(chosen)

    def drop_dead(self, queue: str, job_ids: Sequence[str]) -> int:
        chosen = [one for one in job_ids if one in self.dead or one in self.apart]
        for one in chosen:
            (self.dead if one in self.dead else self.apart).remove(one)
            del self.letters[one]
        return len(chosen)


class Patience(threading.Event):
    """A stop event on which waiting is a matter of the clock's hands; it may be set after so many waits."""

    def __init__(self, clock: ManualClock, set_after: int | None = None) -> None:
        super().__init__()
        self._clock, self._set_after = clock, set_after
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        self._clock.advance(timeout or 0.0)
        if self._set_after is not None and len(self.waits) >= self._set_after:
            self.set()
        return self.is_set()
