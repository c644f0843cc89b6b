"""Roll-ups: what telemetry held, kept by the minute, the hour and the day after the store has forgotten it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from levqor.client.buckets import Sketch
from levqor.domain.errors import StoreDown
from levqor.monitors.reading import Reading
from levqor.store.rollups import RESOLUTIONS, floor_to, last_rollup, list_rollups, purge_rollups, put_rollup
from levqor.store.telemetry import Counts, Span, Telemetry

MINUTE = timedelta(minutes=1)
LATE = timedelta(seconds=15)
"""A minute is closed this long after its end, so that flushes on their way are in it."""

CATCH_UP = timedelta(minutes=12)
"""The store keeps telemetry for 15 minutes: so far back a minute that no leader rolled up can still be."""

GAUGES = ("queue_depth", "oldest_wait_s", "running", "dead")


@dataclass(slots=True)
class RollUps:
    """Accumulates gauges over the minute, and closes minutes, hours and days as they end."""

    telemetry: Telemetry
    _minute: datetime | None = None
    _gauges: dict[str, float] = field(default_factory=dict)
    _closed: dict[datetime, dict[str, float]] = field(default_factory=dict)

    def observe(self, reading: Reading) -> None:
        """Remember the highest depth, wait and so on of this minute, with target and workers as they were last."""
        minute = floor_to("minute", reading.measured_at)
        if minute != self._minute:
            if self._minute is not None:
                self._closed[self._minute] = self._gauges
            self._closed = {start: gauges for start, gauges in self._closed.items() if start > minute - CATCH_UP}
            self._minute, self._gauges = minute, {}
        for name in GAUGES:
            value = getattr(reading.signals, name).value
            if value is not None:
                self._gauges[name] = max(value, self._gauges.get(name, value))
        self._gauges["target"] = float(reading.fleet.target)
        if reading.fleet.running is not None:
            self._gauges["workers"] = float(reading.fleet.running)

    def spans(self, connection: Connection, now: datetime) -> list[tuple[datetime, datetime]]:
        """The minutes that have ended and are not rolled up yet, the oldest first."""
        end = floor_to("minute", now - LATE)
        last = last_rollup(connection, "minute", end)
        start = end - CATCH_UP if last is None else max(last + MINUTE, end - CATCH_UP)
        return [(start + n * MINUTE, start + (n + 1) * MINUTE) for n in range(int((end - start) / MINUTE))]

    def read(self, spans: list[tuple[datetime, datetime]]) -> list[tuple[datetime, Span]]:
        """What the store holds of those minutes; a minute that the store cannot tell is left out: a gap is a gap."""
        found = []
        for start, end in spans:
            try:
                span = self.telemetry.between(start.timestamp(), end.timestamp())
            except StoreDown:
                break
            if span is not None:
                found.append((start, span))
        return found

    def write(self, connection: Connection, minutes: list[tuple[datetime, Span]]) -> None:
        """Write the minutes, and the hours and days that they complete or go on."""
        for start, span in minutes:
            put_rollup(connection, "minute", start, to_data(span, self._closed.get(start, {})))
        for resolution, finer in (("hour", "minute"), ("day", "hour")):
            for start in sorted({floor_to(resolution, minute) for minute, _span in minutes}):
                parts = list_rollups(connection, finer, start, start + RESOLUTIONS[resolution][0])
                put_rollup(connection, resolution, start, merge([data for _start, data in parts]))

    def purge(self, connection: Connection, now: datetime) -> None:
        purge_rollups(connection, now)


def to_data(span: Span, gauges: dict[str, float]) -> dict[str, Any]:
    """A roll-up's JSON: counts and sketches that merge exactly, and the highest gauges."""
    return {
        "http": _pack(span.http),
        "waits": _pack(span.waits),
        "runs": _pack(span.runs),
        "jobs": span.outcomes,
        "probes": {"total": span.probes.total, "failed": span.probes.failed},
        "gauges": gauges,
        "minutes": 1,
    }


def merge(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Several roll-ups as one: sums of counts, merged sketches, the highest of each gauge, the minutes it covers."""
    gauges: dict[str, float] = {}
    for part in parts:
        for name, value in part["gauges"].items():
            gauges[name] = max(value, gauges.get(name, value))
    return {
        **{kind: _merge_counts([part[kind] for part in parts]) for kind in ("http", "waits", "runs")},
        "jobs": _sum([part["jobs"] for part in parts]),
        "probes": _sum([part["probes"] for part in parts]),
        "gauges": gauges,
        "minutes": sum(part["minutes"] for part in parts),
    }


def quantile_ms(packed: dict[str, Any], q: float) -> float | None:
    """A quantile out of a roll-up's counts, in ms; None without an observation."""
    return Sketch({int(bucket): n for bucket, n in packed["buckets"].items()}).quantile(q)


def utc(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)


def _pack(counts: Counts) -> dict[str, Any]:
    return {
        "total": counts.total,
        "failed": counts.failed,
        "over": {repr(threshold): n for threshold, n in counts.over.items()},
        "buckets": {str(bucket): n for bucket, n in counts.buckets.items()},
    }


def _merge_counts(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "total": sum(part["total"] for part in parts),
        "failed": sum(part["failed"] for part in parts),
        "over": _sum([part["over"] for part in parts]),
        "buckets": _sum([part["buckets"] for part in parts]),
    }


def _sum(parts: list[dict[str, int]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for part in parts:
        for name, n in part.items():
            totals[name] = totals.get(name, 0) + n
    return totals
