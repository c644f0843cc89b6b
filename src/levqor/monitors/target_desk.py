"""The target as others read it, KEDA and HireFire among them: a number that is known, or an error, and never a made-up 0."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from levqor.domain.decisions import Code
from levqor.domain.errors import DependencyDown, NotFound
from levqor.domain.flags import AUTOSCALE_ENABLED, WORKER_COUNT
from levqor.domain.fleet import FleetKind
from levqor.monitors.reading import Reading
from levqor.ports import Clock
from levqor.store.database import Database
from levqor.store.decisions import list_decisions
from levqor.store.flags import FlagsFile, read_flags
from levqor.store.holds import longest_hold, open_holds
from levqor.store.leases import LeaseWatch

STALE_TICKS = 3
STALE_AT_LEAST_S = 10.0
"""A decision older than three ticks, and than this, is none."""

NEEDED = {"database": "the database", "http": "the store", "queues": "the broker", "workers": "the broker"}
"""Parts of a reading without which no number is told, and what they come from."""


@dataclass(frozen=True, slots=True)
class TargetParts:
    """What the desk works with; `bootstrap` hands it in."""

    fleet: str
    kind: FleetKind
    reading: Callable[[], Reading]
    database: Database
    flags_file: FlagsFile
    lease_watch: LeaseWatch
    clock: Clock
    tick_s: float


class TargetDesk:
    """One per web process; thread-safe. It follows the last decision on the monotonic clock, so that a jump of the wall's says nothing."""

    def __init__(self, parts: TargetParts) -> None:
        self._parts, self._age = parts, _DecisionAge(parts.clock)
        self._stale_s = max(STALE_TICKS * parts.tick_s, STALE_AT_LEAST_S)

    def metrics(self, fleet: str) -> dict[str, Any]:
        """The target in force with what it rests on. Raises NotFound; DependencyDown where anything of it is unknown."""
        self._check_fleet(fleet)
        reading = self._known_reading()
        with self._parts.database.read() as connection:
            decision = self._last_decision(connection)
            flags, hold = read_flags(connection), longest_hold(open_holds(connection))
        self._check_decision(decision)
        depth, running = _known(reading, "queue_depth"), _known(reading, "running")
        return {
            "desired_workers": int(flags[WORKER_COUNT]),
            "queue_depth": int(depth),
            "oldest_age_s": _oldest_age_s(reading),
            "backlog": int(depth + running),
            "as_of": decision["at"],
            "decision_id": decision["id"],
            "reason": _held(hold.owner, hold.why) if hold else _reason(decision["decision"], is_acting=bool(flags[AUTOSCALE_ENABLED])),
        }

    def dynos(self) -> list[dict[str, Any]]:
        """The same target as HireFire reads it. Raises as `metrics` does."""
        return [{"name": "worker", "value": self.metrics(self._parts.fleet)["desired_workers"]}]

    def _check_fleet(self, fleet: str) -> None:
        parts = self._parts
        if fleet != parts.fleet:
            raise NotFound(f"there is no such fleet; there is {parts.fleet}")
        if parts.kind is not FleetKind.EXTERNAL:
            raise NotFound(f"the fleet is of kind {parts.kind.value}: only one of kind external (FLEET_KIND) is scaled by others")

    def _known_reading(self) -> Reading:
        reading = self._parts.reading()
        for part, server in NEEDED.items():
            if part in reading.problems:
                raise DependencyDown(f"the target is unknown: {server}: {reading.problems[part]}")
        state = self._parts.flags_file.look()
        if state.is_broken:
            raise DependencyDown(f"the target is unknown: the flags file is broken: {state.error}")
        return reading

    def _last_decision(self, connection: Connection) -> dict[str, Any]:
        rows = list_decisions(connection, limit=1, changes=False)
        if not rows:
            raise DependencyDown("the target is unknown: nothing has been decided yet")
        return rows[0]

    def _check_decision(self, decision: Mapping[str, Any]) -> None:
        """Raises DependencyDown unless a leader decided it lately, on signals that it knew."""
        age_s = self._age.of(decision["id"], datetime.fromisoformat(decision["at"]))
        if age_s > self._stale_s or not self._parts.lease_watch.leader()["leads"]:
            raise DependencyDown(f"the target is unknown: the last decision is {age_s:.0f} s old and no autopilot renews it")
        for reason in decision["decision"]["reasons"]:
            if reason["code"] == Code.UNKNOWN and reason["votes"]:
                raise DependencyDown(f"the target is unknown: {reason['text']}")


class _DecisionAge:
    """An upper bound of the last decision's age, at first from the wall clock, then from when its number was first seen."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._number: int | None = None
        self._made_after = self._looked = float("-inf")

    def of(self, number: int, at: datetime) -> float:
        """Seconds since it was made, at most."""
        with self._lock:
            now = self._clock.monotonic()
            if number != self._number:
                by_wall = now - abs((self._clock.now() - at).total_seconds())
                self._number, self._made_after = number, max(self._looked, by_wall)
            self._looked = now
            return now - self._made_after


def _known(reading: Reading, name: str) -> float:
    signal = getattr(reading.signals, name)
    if signal.value is None:
        raise DependencyDown(f"the target is unknown: {name}: {signal.detail}")
    return float(signal.value)


def _oldest_age_s(reading: Reading) -> float | None:
    """Nothing waits in empty queues, which is known; an unread age in full ones is not."""
    return 0.0 if reading.signals.queue_depth.value == 0 else reading.signals.oldest_wait_s.value


def _held(owner: str, why: str) -> str:
    return f"held by {owner}: {why}"


def _reason(decision: Mapping[str, Any], *, is_acting: bool) -> str:
    words = "; ".join(reason["text"] for reason in decision["reasons"] if reason["votes"])
    if is_acting:
        return words
    advice = f"advice: {decision['target']} workers, {words}" if decision["target"] != decision["current"] else words
    return f"observing (AUTOSCALE_ENABLED is false), the target in force stays; {advice}"
