"""Flushing dead letters: a canary of each kind first, then paced batches; what dies again and again is quarantined."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

import structlog

from levqor.domain.dead_letters import DeadLetter, FlushOutcome, FlushPlan, Requeued, Scope
from levqor.domain.errors import EngineDown
from levqor.domain.fleet import QueueState
from levqor.ports import Clock

PAGE = 500
SEEN_MAX = 100_000
"""Dead letters that one plan looks at, over all queues: the last to die first. More are counted, and left as they are."""

FATE_WAIT_S = 30.0
"""A flush stops when nothing that it moved has ended for this long: whoever runs the jobs is away, or the jobs are longer than that."""

LOOK_AGAIN_S = 0.25
STOPPED = "told to stop"
WHY_QUARANTINED = "died again after {flushes} flushes"

log = structlog.get_logger(__name__)

Fate = Literal["queued", "running", "succeeded", "failed", "dead"]


class DeadLetterEngine(Protocol):
    """What is asked of the queue library. Every method raises EngineDown when the broker does not answer."""

    def queues(self, names: Sequence[str]) -> list[QueueState]: ...
    def dead_letters(self, queue: str, *, cursor: int = 0, limit: int = 100, since: datetime | None = None) -> list[DeadLetter]: ...
    def quarantined(self, queue: str, *, cursor: int = 0, limit: int = 100) -> list[DeadLetter]: ...
    def count_quarantined(self, queues: Sequence[str]) -> int: ...
    def find_dead(self, job_ids: Sequence[str]) -> list[DeadLetter]: ...
    def trace(self, job_id: str) -> str | None: ...
    def fates(self, job_ids: Sequence[str]) -> Mapping[str, Fate | None]: ...
    def requeue_dead(self, queue: str, job_ids: Sequence[str], *, batch_id: str, allow_foreign: bool = False) -> Requeued: ...
    def quarantine(self, queue: str, job_ids: Sequence[str], why: str) -> int: ...
    def release_quarantined(self, queue: str, job_ids: Sequence[str]) -> int: ...
    def drop_dead(self, queue: str, job_ids: Sequence[str]) -> int: ...


def all_dead(engine: DeadLetterEngine, queues: Sequence[str], since: datetime | None = None) -> Iterator[DeadLetter]:
    """The dead letters of the queues, in order of queue and the last to die first, read page by page. Raises EngineDown.

    No more than the first SEEN_MAX are looked at; with `since`, those of them that died at or after it.
    """
    left = SEEN_MAX
    for state in engine.queues(queues):
        count = min(left, state.dead)
        left -= count
        for cursor in range(0, count, PAGE):
            yield from engine.dead_letters(state.name, cursor=cursor, limit=min(PAGE, count - cursor), since=since)


def by_queue(letters: Sequence[DeadLetter]) -> dict[str, list[str]]:
    """Their ids by queue, in order."""
    found: dict[str, list[str]] = {}
    for letter in letters:
        found.setdefault(letter.queue, []).append(letter.job_id)
    return found


class Flush:
    """Moves dead letters back to their queues, carefully. Holds nothing between calls; safe to share between threads."""

    def __init__(
        self, engine: DeadLetterEngine, queues: Sequence[str], clock: Clock, *, flushes_max: int = 3, fate_wait_s: float = FATE_WAIT_S
    ) -> None:
        self._engine, self._queues, self._clock = engine, tuple(queues), clock
        self._flushes_max, self._fate_wait_s = flushes_max, fate_wait_s

    def plan(self, scope: Scope, since: datetime | None, allow: frozenset[str]) -> FlushPlan:
        """What would be moved. `incident` takes only what died at or after `since`; without it, nothing. Raises EngineDown."""

        def is_chosen(letter: DeadLetter) -> bool:
            if not letter.is_allowed(allow):
                return False
            return scope == "all" or (since is not None and letter.died_at is not None and letter.died_at >= since)

        if scope == "all":
            return self.select(is_chosen)
        return self.select(is_chosen, since=since)

    def select(
        self, is_chosen: Callable[[DeadLetter], bool], queues: Sequence[str] | None = None, since: datetime | None = None
    ) -> FlushPlan:
        """The plan for those that the question picks, of those that died since; the others wait. Raises EngineDown."""
        names = self._queues if queues is None else tuple(queues)
        total = sum(state.dead for state in self._engine.queues(names))
        chosen = [letter for letter in all_dead(self._engine, names, since) if is_chosen(letter)]
        unseen = max(0, total - SEEN_MAX)
        return self._planned(chosen, max(0, total - unseen - len(chosen)), unseen)

    def select_ids(self, job_ids: Sequence[str], is_chosen: Callable[[DeadLetter], bool]) -> FlushPlan:
        """The plan for these jobs, as far as they are dead letters. Raises EngineDown."""
        found = [letter for letter in self._engine.find_dead(job_ids) if letter.quarantined_at is None]
        chosen = [letter for letter in found if is_chosen(letter)]
        return self._planned(chosen, len(found) - len(chosen), 0)

    def _planned(self, letters: Sequence[DeadLetter], waiting: int, unseen: int) -> FlushPlan:
        """Those flushed least come first: they make the canary, so that poison does not hold back what it died beside."""
        fit = sorted((letter for letter in letters if letter.flushes < self._flushes_max), key=lambda letter: letter.flushes)
        poison = tuple(letter for letter in letters if letter.flushes >= self._flushes_max)
        return FlushPlan(tuple(fit), poison, waiting, unseen)

    def run(
        self, plan: FlushPlan, batch_id: str, stop: threading.Event, *, canary: int = 3, per_batch: int = 50, pause_s: float = 1.0
    ) -> FlushOutcome:
        """Do it, and watch what becomes of it. The same batch id moves no job twice, so a run that was cut may be run again."""
        work = _Run(self._engine, self._clock, batch_id, stop, self._flushes_max, self._fate_wait_s)
        try:
            work.quarantine(plan.poison)
            work.flush(plan.chosen_letters, canary, per_batch, pause_s)
        except EngineDown as error:
            work.stopped.append(str(error))
        return work.outcome()

    def run_at_once(self, plan: FlushPlan, batch_id: str) -> FlushOutcome:
        """Everything now: no canary, no pause, nobody watches. A person's word; raises EngineDown."""
        work = _Run(self._engine, self._clock, batch_id, threading.Event(), self._flushes_max, self._fate_wait_s)
        work.quarantine(plan.poison)
        work.send(plan.chosen_letters)
        return work.outcome()


Kind = tuple[str, str]
"""Handler and exception class: dead letters alike enough to speak for each other."""


@dataclass(slots=True)
class _Tally:
    """What became of one kind so far."""

    finished: int = 0
    died: int = 0


@dataclass(slots=True)
class _Run:
    """One flush while it goes on."""

    engine: DeadLetterEngine
    clock: Clock
    batch_id: str
    stop: threading.Event
    flushes_max: int
    fate_wait_s: float
    moved: int = 0
    quarantined: int = 0
    tallies: dict[Kind, _Tally] = field(default_factory=dict)
    in_flight: dict[str, DeadLetter] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    stirred: float = 0.0
    """When something was sent or ended last."""

    def outcome(self) -> FlushOutcome:
        return FlushOutcome(
            moved=self.moved,
            finished=sum(tally.finished for tally in self.tallies.values()),
            died_again=sum(tally.died for tally in self.tallies.values()),
            quarantined=self.quarantined,
            stopped_why="; ".join(self.stopped),
        )

    def quarantine(self, letters: Sequence[DeadLetter]) -> None:
        for queue, job_ids in by_queue(letters).items():
            self.quarantined += self.engine.quarantine(queue, job_ids, WHY_QUARANTINED.format(flushes=self.flushes_max))

    def flush(self, letters: Sequence[DeadLetter], canary: int, per_batch: int, pause_s: float) -> None:
        """A canary of each kind and its fate; then the kinds whose canary lived, batch by batch."""
        kinds: dict[Kind, list[DeadLetter]] = {}
        for letter in letters:
            kinds.setdefault((letter.handler, letter.error_class), []).append(letter)
        if not letters or self._is_stopped():
            return
        well = self._try_canaries(kinds, canary, per_batch)
        self._send_paced([letter for kind in well for letter in kinds[kind][canary:]], per_batch, pause_s)
        self._await(lambda: not self.in_flight)

    def _try_canaries(self, kinds: Mapping[Kind, Sequence[DeadLetter]], canary: int, per_batch: int) -> list[Kind]:
        """The kinds whose canary lived. All canaries under way at one time are no more than a batch."""
        names, together, well = list(kinds), max(1, per_batch // canary), []
        for start in range(0, len(names), together):
            round_ = names[start : start + together]
            if self._is_stopped():
                break
            self.send([letter for kind in round_ for letter in kinds[kind][:canary]])
            self._await(lambda: not self.in_flight)
            well += [kind for kind in round_ if self._canary_lived(kind)]
        return well

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """Requeues them; what this very batch has moved before counts as moved, so that its fate is followed as well."""
        self.stirred = self.clock.monotonic()
        known = {letter.job_id: letter for letter in letters}
        for queue, job_ids in by_queue(letters).items():
            done = self.engine.requeue_dead(queue, job_ids, batch_id=self.batch_id, allow_foreign=True)
            self.moved += len(done.job_ids)
            self.in_flight |= {job_id: known[job_id] for job_id in done.job_ids}

    def _send_paced(self, rest: Sequence[DeadLetter], per_batch: int, pause_s: float) -> None:
        """Never more than one batch under way: the workers set the pace where they are slower than it."""
        waiting = list(rest)
        while waiting and not self._is_stopped():
            if not self._await(lambda: len(self.in_flight) < per_batch):
                return
            waiting = self._without_sick(waiting)
            size = per_batch - len(self.in_flight)
            self.send(waiting[:size])
            waiting = waiting[size:]
            if waiting:
                self.stop.wait(pause_s)

    def _without_sick(self, letters: list[DeadLetter]) -> list[DeadLetter]:
        """Leaves out the kinds of which more died than ended well, batches after a canary that lived."""
        kinds = {(letter.handler, letter.error_class) for letter in letters}
        sick = {kind for kind in kinds if self._tally(kind).died > self._tally(kind).finished}
        for kind in sorted(sick):
            self.stopped.append(f"{kind[0]} ({kind[1]}): {self._tally(kind).died} died again")
        return [letter for letter in letters if (letter.handler, letter.error_class) not in sick]

    def _canary_lived(self, kind: Kind) -> bool:
        """All of it ended well, and is known to have."""
        tally = self._tally(kind)
        is_open = any((letter.handler, letter.error_class) == kind for letter in self.in_flight.values())
        if tally.finished and not tally.died and not is_open:
            return True
        if not self._is_stopped() or tally.died:
            why = (
                "died again" if tally.died else f"is still at it after {self.fate_wait_s:g} s" if is_open else "was moved by somebody else"
            )
            self.stopped.append(f"{kind[0]} ({kind[1]}): the canary {why}")
        return False

    def _await(self, is_enough: Callable[[], bool]) -> bool:
        """Follows fates until it is enough; False once stopped, or when nothing has ended for `fate_wait_s`."""
        while True:
            if self._follow():
                self.stirred = self.clock.monotonic()
            if is_enough():
                return not self._is_stopped()
            if self._is_stopped():
                return False
            if self.clock.monotonic() - self.stirred >= self.fate_wait_s:
                return False
            self.stop.wait(LOOK_AGAIN_S)

    def _follow(self) -> int:
        """Takes note of every fate that is known by now; answers how many. Those that died once too often are put apart."""
        fates = self.engine.fates(list(self.in_flight)) if self.in_flight else {}
        ended = {job_id: fate for job_id, fate in fates.items() if fate in ("succeeded", "dead", None)}
        for job_id, fate in ended.items():
            letter = self.in_flight.pop(job_id)
            tally = self._tally((letter.handler, letter.error_class))
            if fate == "dead":
                tally.died += 1
            else:
                tally.finished += 1
        dead_again = self.engine.find_dead([job_id for job_id, fate in ended.items() if fate == "dead"])
        self.quarantine([letter for letter in dead_again if letter.flushes >= self.flushes_max and letter.quarantined_at is None])
        return len(ended)

    def _tally(self, kind: Kind) -> _Tally:
        return self.tallies.setdefault(kind, _Tally())

    def _is_stopped(self) -> bool:
        if self.stop.is_set() and STOPPED not in self.stopped:
            self.stopped.append(STOPPED)
        return self.stop.is_set()
