"""What a person asks for about dead letters: look, requeue, drop, release. Acts are audited before and after."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from levqor.domain.dead_letters import DeadLetter, FlushOutcome, FlushPlan, Selection, grouped
from levqor.domain.errors import DependencyDown, GuardRefused, NotFound
from levqor.monitors.dead_letters import PAGE, SEEN_MAX, DeadLetterEngine, Flush, all_dead, by_queue
from levqor.ports import Clock
from levqor.store.audit import record_change
from levqor.store.database import Database

log = structlog.get_logger(__name__)

JOIN_S = 5.0
GROUPS_KEPT = 20
"""Groups that a line of the audit log names."""

Reader = Callable[..., list[DeadLetter]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How carefully dead letters are flushed."""

    canary: int = 3
    per_batch: int = 50
    pause_s: float = 1.0


@dataclass(frozen=True, slots=True)
class DeskParts:
    """What the desk works with; `bootstrap` hands it in."""

    engine: DeadLetterEngine
    flush: Flush
    database: Database
    clock: Clock
    queues: tuple[str, ...]
    allow: frozenset[str]
    pace: Pace


class DeadLetterDesk:
    """One per web process; safe to share between threads. One careful flush at a time."""

    def __init__(self, parts: DeskParts) -> None:
        self._parts = parts
        self._stop = threading.Event()
        self._at_it = threading.Lock()
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """A flush that is under way stops after its step; what it moved stays moved."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(JOIN_S)

    # Looking

    def dead(self, queue: str | None = None, limit: int = 100, cursor: int = 0) -> dict[str, Any]:
        """A page of dead letters, the last to die first within each queue."""
        names = self._names(queue)
        counts = [(state.name, state.dead) for state in self._parts.engine.queues(names)]
        return _page("dead", counts, self._parts.engine.dead_letters, limit, cursor)

    def groups(self, queue: str | None = None) -> dict[str, Any]:
        """By exception class and function: how many, since when, until when."""
        names = self._names(queue)
        total = sum(state.dead for state in self._parts.engine.queues(names))
        groups = grouped(all_dead(self._parts.engine, names))
        return {"groups": [group.as_dict() for group in groups], "total": total, "unseen": max(0, total - SEEN_MAX)}

    def show(self, job_id: str) -> dict[str, Any]:
        """One dead letter with its last traceback. Raises NotFound."""
        letters = self._parts.engine.find_dead([job_id])
        if not letters:
            raise NotFound("no dead letter has this id; it may have been requeued, or be kept no longer")
        return {**letters[0].as_dict(), "trace": self._parts.engine.trace(job_id)}

    def quarantined(self, queue: str | None = None, limit: int = 100, cursor: int = 0) -> dict[str, Any]:
        """A page of the quarantined, the last one first within each queue."""
        counts = [(name, self._parts.engine.count_quarantined([name])) for name in self._names(queue)]
        return _page("quarantined", counts, self._parts.engine.quarantined, limit, cursor)

    # Acting

    def requeue(
        self, selection: Selection, actor: str, batch_id: str, *, dry_run: bool = False, at_once: bool = False, wait_s: float = 10.0
    ) -> tuple[bool, dict[str, Any]]:
        """Flush what is selected. Careful unless `at_once`; a careful flush that lasts longer than `wait_s` goes on behind.

        Answers whether it is done, and the answer. Raises GuardRefused while this process is at another one.
        """
        plan = self._plan(selection)
        answer = {"batch_id": batch_id, "dry_run": dry_run, "plan": plan.as_dict()}
        if dry_run or plan.is_empty:
            return True, {**answer, "done": True, "outcome": FlushOutcome().as_dict()}
        if not self._at_it.acquire(blocking=False):
            raise GuardRefused("another flush of dead letters is under way; see `levqor dead list` and the audit log")
        try:
            self._record(actor, "dead letters: requeue begins", {"batch_id": batch_id, "selection": selection.as_dict(), **_summary(plan)})
            work = _Work(self, plan, actor, batch_id, at_once)
            self._thread = threading.Thread(target=work.run, name="flush", daemon=True)
            self._thread.start()
        except BaseException:
            self._at_it.release()
            raise
        is_done = work.ended.wait(wait_s)
        if work.error is not None:
            raise work.error
        outcome = work.outcome.as_dict() if is_done and work.outcome is not None else None
        return is_done, {**answer, "done": is_done, "outcome": outcome}

    def drop(self, selection: Selection, actor: str, *, dry_run: bool = False) -> dict[str, Any]:
        """Remove what is selected for good. A quarantined job is only dropped by its id."""
        letters, waiting = self._letters(selection)
        groups = [{"handler": handler, "error_class": kind, "count": count} for (handler, kind), count in _kinds(letters).most_common()]
        answer = {"dry_run": dry_run, "plan": {"groups": groups, "chosen": len(letters), "waiting": waiting}, "dropped": 0}
        if dry_run or not letters:
            return answer
        self._record(actor, "dead letters: drop begins", {"selection": selection.as_dict(), "chosen": len(letters)})
        dropped = sum(self._parts.engine.drop_dead(queue, ids) for queue, ids in by_queue(letters).items())
        self._try_record(actor, "dead letters: dropped", {"dropped": dropped})
        return {**answer, "dropped": dropped}

    def release(self, ids: Sequence[str] | None, actor: str, queue: str | None = None, *, dry_run: bool = False) -> dict[str, Any]:
        """Quarantined jobs (None: all of them) are dead letters like others again, as if never flushed."""
        chosen = self._quarantined_ids(ids, queue)
        count = sum(len(found) for found in chosen.values())
        answer = {"dry_run": dry_run, "chosen": count, "released": 0}
        if dry_run or not count:
            return answer
        self._record(actor, "dead letters: release begins", {"chosen": count})
        released = sum(self._parts.engine.release_quarantined(name, found) for name, found in chosen.items())
        self._try_record(actor, "dead letters: released", {"released": released})
        return {**answer, "released": released}

    def _quarantined_ids(self, ids: Sequence[str] | None, queue: str | None) -> dict[str, list[str]]:
        if ids is not None:
            found = [letter for letter in self._parts.engine.find_dead(ids) if letter.quarantined_at is not None]
            return by_queue([letter for letter in found if queue in (None, letter.queue)])
        chosen: dict[str, list[str]] = {}
        for name in self._names(queue):
            for cursor in range(0, min(SEEN_MAX, self._parts.engine.count_quarantined([name])), PAGE):
                page = self._parts.engine.quarantined(name, cursor=cursor, limit=PAGE)
                chosen.setdefault(name, []).extend(letter.job_id for letter in page)
        return chosen

    def _names(self, queue: str | None) -> tuple[str, ...]:
        return self._parts.queues if queue is None else (queue,)

    def _is_open(self, selection: Selection, letter: DeadLetter) -> bool:
        return selection.foreign or not letter.is_foreign or letter.is_allowed(self._parts.allow)

    def _plan(self, selection: Selection) -> FlushPlan:
        def is_chosen(letter: DeadLetter) -> bool:
            return selection.picks(letter) and self._is_open(selection, letter)

        if selection.is_empty:
            return FlushPlan()
        if selection.ids is not None:
            return self._parts.flush.select_ids(selection.ids, is_chosen)
        return self._parts.flush.select(is_chosen, self._names(selection.queue))

    def _letters(self, selection: Selection) -> tuple[list[DeadLetter], int]:
        """Those selected, and how many others there were."""
        if selection.is_empty:
            return [], 0
        names = self._names(selection.queue)
        seen = self._parts.engine.find_dead(selection.ids) if selection.ids else list(all_dead(self._parts.engine, names))
        chosen = [letter for letter in seen if selection.picks(letter) and self._is_open(selection, letter)]
        return chosen, len(seen) - len(chosen)

    def _record(self, actor: str, what: str, after: dict[str, Any]) -> None:
        with self._parts.database.write() as connection:
            record_change(connection, self._parts.clock.now(), actor, what, after=after)

    def _try_record(self, actor: str, what: str, after: dict[str, Any]) -> None:
        """It is done either way; a database that has gone meanwhile must not hide that."""
        try:
            self._record(actor, what, after)
        except DependencyDown as error:
            log.warning("not audited", what=what, after=after, error=str(error))

    def _flush(self, plan: FlushPlan, actor: str, batch_id: str, at_once: bool) -> FlushOutcome:
        pace = self._parts.pace
        try:
            if at_once:
                outcome = self._parts.flush.run_at_once(plan, batch_id)
            else:
                outcome = self._parts.flush.run(
                    plan, batch_id, self._stop, canary=pace.canary, per_batch=pace.per_batch, pause_s=pace.pause_s
                )
            self._try_record(actor, "dead letters: requeued", {"batch_id": batch_id, **outcome.as_dict()})
        finally:
            self._at_it.release()
        return outcome


class _Work:
    """A flush in a thread of its own."""

    def __init__(self, desk: DeadLetterDesk, plan: FlushPlan, actor: str, batch_id: str, at_once: bool) -> None:
        self._arguments = (plan, actor, batch_id, at_once)
        self._desk = desk
        self.ended = threading.Event()
        self.outcome: FlushOutcome | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.outcome = self._desk._flush(*self._arguments)
        except Exception as error:
            log.warning("a flush of dead letters broke off", exc_info=True)
            self.error = error
        finally:
            self.ended.set()


def _page(name: str, counts: Sequence[tuple[str, int]], read: Reader, limit: int, cursor: int) -> dict[str, Any]:
    """One page over several queues, as if they were one list."""
    found: list[DeadLetter] = []
    start, left = cursor, limit
    for queue, count in counts:
        if left > 0 and start < count:
            taken = min(left, count - start)
            found += read(queue, cursor=start, limit=taken)
            left -= taken
        start = max(0, start - count)
    total = sum(count for _, count in counts)
    after = cursor + limit
    return {name: [letter.as_dict() for letter in found], "total": total, "next": after if after < total else None}


def _kinds(letters: Sequence[DeadLetter]) -> Counter[tuple[str, str]]:
    return Counter((letter.handler, letter.error_class) for letter in letters)


def _summary(plan: FlushPlan) -> dict[str, Any]:
    whole = plan.as_dict()
    return {**whole, "groups": whole["groups"][:GROUPS_KEPT]}
