"""The courier: takes alerts out of the outbox and through the channels, from a thread of the leader, so that no tick waits for it."""

import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection

from levqor.domain.alerts import Delivery, Kind, State
from levqor.domain.errors import DatabaseDown, DeliveryError, NotTheLeader
from levqor.monitors.last_word import LastWord
from levqor.monitors.loop import Loop
from levqor.policies.alerting import DAY_S, AlertRules, Bucket, choose, is_settled, reminder_wait_s, verdict
from levqor.ports import Alerts, Clock
from levqor.store import outbox
from levqor.store.database import Database
from levqor.store.leases import Lease

PERIOD_S = 1.0
STOPS_WITHIN_S = 3.0
"""Attempts under way get this long to be written down."""

CHECKPOINT_S = 15.0
"""Timers are written down this often; a successor repeats at most this much of a wait."""
CARE_S = 3_600.0

KEY_LENGTH = 200
"""An episode's key is kept up to this."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CourierParts:
    """What the courier works with; `bootstrap` hands it in. `jitter` gives a number in 0..1."""

    database: Database
    lease: Lease
    channels: Sequence[Alerts]
    clock: Clock
    jitter: Callable[[], float]
    rules: AlertRules = field(default_factory=AlertRules)


@dataclass(frozen=True, slots=True)
class _Ended:
    """An attempt that has ended; no failure: it was delivered."""

    delivery: Delivery
    failure: DeliveryError | None


class Courier(Loop):
    """Delivers while its process leads. One message at a time through each channel; a silent channel holds up no other."""

    def __init__(self, parts: CourierParts) -> None:
        super().__init__("courier", STOPS_WITHIN_S)
        self._parts = parts
        self._channels = {channel.name: channel for channel in parts.channels}
        self._ended: queue.SimpleQueue[_Ended] = queue.SimpleQueue()
        self._unwritten: list[_Ended] = []
        self._in_flight: dict[str, Delivery] = {}
        now = parts.clock.monotonic()
        # One token at the start: a leader that restarts again and again does not flood a channel.
        self._buckets = {name: Bucket(1.0, now) for name in self._channels}
        self._silent_until: dict[str, float] = {}
        self._term: int | None = None
        self._counted_at = self._cared_at = now
        self._has_met_channels = self._waits = False
        self._last_word = LastWord(parts.channels, parts.clock)

    def run(self) -> None:
        """The loop. It outlives any error of a turn."""
        while not self.is_stopping:
            self._guarded_turn()
            self.rest(PERIOD_S)
        # What is under way is written down; what is cut off is told once more by the next leader.
        while self._in_flight and self._parts.lease.is_trusted:
            self.rest(0.1)
            self._guarded_turn()

    def _guarded_turn(self) -> None:
        try:
            self.turn()
            self._waits = False
            self._last_word.database_is_back()
        except (NotTheLeader, DatabaseDown) as error:
            if not self._waits:
                log.warning("alerts wait", reason=str(error))
            self._waits = True
            if isinstance(error, DatabaseDown):
                self._last_word.database_is_gone(str(error))
        except Exception:
            log.exception("turn of the courier failed")

    def turn(self) -> None:
        """Write what has ended, let timers go on, and send what is due."""
        self._collect()
        term, now = self._parts.lease.term, self._parts.clock.monotonic()
        if term is None and self._term is None:
            return
        with self._parts.database.read() as connection:
            waiting = outbox.unfinished(connection)
        if term != self._term:
            self._term, self._counted_at = term, now  # nothing is credited for the gap
        if term is None:
            return  # the database answers, so whoever leads now tells
        elapsed = now - self._counted_at
        if not self._has_work(waiting, elapsed, now):
            return
        with self._parts.lease.fenced() as connection:
            chosen = self._write(connection, elapsed, now)
        self._unwritten.clear()
        self._counted_at, self._has_met_channels = now, True
        for delivery in chosen:
            self._dispatch(delivery)

    def _collect(self) -> None:
        while True:
            try:
                ended = self._ended.get_nowait()
            except queue.Empty:
                return
            self._in_flight.pop(ended.delivery.channel, None)
            self._unwritten.append(ended)

    def _has_work(self, waiting: Sequence[Delivery], elapsed: float, now: float) -> bool:
        held = {delivery.id for delivery in self._held()}
        return (
            bool(self._unwritten)
            or not self._has_met_channels
            or any(delivery.channel == outbox.UNROUTED for delivery in waiting)
            or any(delivery.state is State.SENDING and delivery.id not in held for delivery in waiting)
            or (elapsed >= CHECKPOINT_S and any(delivery.due_in_s > 0 for delivery in waiting))
            or bool(not self.is_stopping and choose(waiting, self._open_buckets(now), elapsed))
            or now - self._cared_at >= CARE_S
        )

    def _held(self) -> list[Delivery]:
        """What this process is at, or has yet to write down."""
        return [*self._in_flight.values(), *(ended.delivery for ended in self._unwritten)]

    def _open_buckets(self, now: float) -> dict[str, Bucket]:
        """Of the channels that are free."""
        per_minute = self._parts.rules.per_minute
        self._buckets = {name: bucket.refilled(now, per_minute) for name, bucket in self._buckets.items()}
        free = self._buckets.keys() - self._in_flight.keys()
        return {name: self._buckets[name] for name in free if self._silent_until.get(name, now) <= now}

    def _write(self, connection: Connection, elapsed: float, now: float) -> list[Delivery]:
        at = self._parts.clock.now()
        outbox.count_down(connection, elapsed)
        for ended in self._unwritten:
            self._settle(connection, ended, at, now)
        outbox.adopt(connection, [delivery.id for delivery in self._in_flight.values()])
        if not self._has_met_channels:
            outbox.meet_channels(connection, list(self._channels))
        outbox.route(connection, list(self._channels))
        if now - self._cared_at >= CARE_S:
            outbox.purge_alerts(connection, at)
            self._cared_at = now
        if self.is_stopping:
            return []
        chosen = choose(outbox.unfinished(connection), self._open_buckets(now), 0.0)
        return [delivery for delivery in chosen if self._claim(connection, delivery, at)]

    def _claim(self, connection: Connection, delivery: Delivery, at: datetime) -> bool:
        if delivery.alert.kind == Kind.RESOLVED and delivery.episode_id is not None:
            outbox.drop_reminders(connection, delivery.episode_id, delivery.channel)
        return outbox.claim(connection, delivery, at)

    def _settle(self, connection: Connection, ended: _Ended, at: datetime, now: float) -> None:
        delivery, failure = ended.delivery, ended.failure
        judged = verdict(delivery, failure, self._parts.rules, self._parts.jitter())
        if failure is not None and failure.retry_after_s is not None:
            self._silent_until[delivery.channel] = now + min(failure.retry_after_s, DAY_S)
        is_written = outbox.settle(connection, delivery, judged, at)
        facts = {"alert": delivery.alert.id, "kind": delivery.alert.kind, "channel": delivery.channel, "state": judged.state.value}
        if failure is None:
            log.info("alert told", **facts)
        else:
            log.warning("alert not told", **facts, error=judged.error, again_in_s=judged.due_in_s if judged.due_in_s >= 0 else None)
        if is_written and is_settled(judged) and delivery.is_episode_open and delivery.alert.kind in (Kind.OPENED, Kind.REMINDER):
            self._plan_reminder(connection, delivery, at)

    def _plan_reminder(self, connection: Connection, delivery: Delivery, at: datetime) -> None:
        assert delivery.episode_id is not None  # noqa: S101 (an open episode has a number)
        told, is_one_to_come = outbox.count_reminders(connection, delivery.episode_id, delivery.channel)
        if not is_one_to_come:
            outbox.add_reminder(connection, at, delivery, told + 1, reminder_wait_s(self._parts.rules, told))

    def _dispatch(self, delivery: Delivery) -> None:
        self._in_flight[delivery.channel] = delivery
        self._buckets[delivery.channel] = self._buckets[delivery.channel].spent()
        threading.Thread(target=self._send, args=(delivery,), name=f"courier {delivery.channel}", daemon=True).start()

    def _send(self, delivery: Delivery) -> None:
        try:
            self._channels[delivery.channel].send(delivery.alert)
        except DeliveryError as error:
            self._ended.put(_Ended(delivery, error))
        except Exception as error:  # noqa: BLE001 (the outer edge of a thread; a traceback is held back on purpose)
            # Only its kind: what a library says may hold an address that is a secret.
            log.error("channel failed", channel=delivery.channel, kind=type(error).__name__)
            self._ended.put(_Ended(delivery, DeliveryError(f"the channel failed ({type(error).__name__})", unknown=True)))
        else:
            self._ended.put(_Ended(delivery, None))
        self.wake()


Rows = Mapping[str, Mapping[str, Any]]
"""Rows of episodes by key."""


def tell_episodes(connection: Connection, now: datetime, opened: Iterable[str], closed: Iterable[str], before: Rows, after: Rows) -> None:
    """One alert for each episode that has opened and one for each that has closed, in the transaction in which it did."""
    for key in opened:
        row = after[key[:KEY_LENGTH]]
        _tell(connection, now, Kind.OPENED, f"Open: {key}", str(row["summary"]), row)
    for key in closed:
        row = before[key]
        _tell(connection, now, Kind.RESOLVED, f"Resolved: {key}", f"It was open for {_span(now, row['opened_at'])}: {row['summary']}", row)


def _tell(connection: Connection, now: datetime, kind: str, title: str, text: str, row: Mapping[str, Any]) -> None:
    outbox.enqueue(connection, now, key=row["key"], kind=kind, severity=row["severity"], title=title, text=text, episode_id=row["id"])


def _span(now: datetime, since: datetime) -> str:
    """By the wall clock, for people alone."""
    minutes = max(0, round((now - since).total_seconds() / 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
