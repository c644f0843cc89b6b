"""The past as a chart draws it: one point for each roll-up, a gap where there is none."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from levqor.monitors.rollups import quantile_ms
from levqor.store.deploys import deploys_between
from levqor.store.rollups import RESOLUTIONS, floor_to, list_rollups, list_starts

SPANS: dict[str, tuple[str, timedelta]] = {
    "1h": ("minute", timedelta(hours=1)),
    "24h": ("minute", timedelta(hours=24)),
    "30d": ("hour", timedelta(days=30)),
}
"""Each span that can be drawn, with the roll-ups that it is drawn from."""

MOST_KEPT = 4_000
"""Points kept in memory: a day of minutes, a month of hours, and room."""

Point = dict[str, float | None]


def _ratio(bad: int, total: int) -> float | None:
    return bad / total if total else None


def _slow_rate(http: dict[str, Any], over: str) -> float | None:
    return http["over"][over] / http["total"] if http["total"] and over in http["over"] else None


Line = Callable[[dict[str, Any]], float | None]

LINES: dict[str, Line] = {
    "p95_ms": lambda data: quantile_ms(data["http"], 0.95),
    "p99_ms": lambda data: quantile_ms(data["http"], 0.99),
    "requests": lambda data: data["http"]["total"],
    "error_rate": lambda data: _ratio(data["http"]["failed"], data["http"]["total"]),
    "availability": lambda data: _ratio(data["probes"]["total"] - data["probes"]["failed"], data["probes"]["total"]),
    "queue_depth": lambda data: data["gauges"].get("queue_depth"),
    "oldest_wait_s": lambda data: data["gauges"].get("oldest_wait_s"),
    "dead": lambda data: data["gauges"].get("dead"),
    "target": lambda data: data["gauges"].get("target"),
    "workers": lambda data: data["gauges"].get("workers"),
}
"""What can be drawn, out of a roll-up. Gauges are the highest of the span; None where nothing was measured."""


def deploy_marks(connection: Connection, now: datetime, span: str) -> list[dict[str, Any]]:
    """The last deploys within a span, as points on its time axis (epoch seconds); the oldest first."""
    marks = deploys_between(connection, now - SPANS[span][1], now)
    return [{"at": int(datetime.fromisoformat(mark["at"]).timestamp()), "sha": mark["sha"], "note": mark["note"]} for mark in marks]


class History:
    """Reads roll-ups once: a span that has ended does not change any more. Threads share it."""

    def __init__(self, slo_p99_ms: float) -> None:
        over = repr(slo_p99_ms)
        # Counted only since the objective is what it is now: before that nobody knows.
        self._lines: dict[str, Line] = {**LINES, "slow_rate": lambda data: _slow_rate(data["http"], over)}
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, datetime], Point] = OrderedDict()

    def chart(self, connection: Connection, now: datetime, span: str) -> dict[str, Any]:
        """`at` (epoch seconds of each point's start) and each line's values beside it; a missing point is a row of nulls."""
        resolution, width = SPANS[span]
        step = RESOLUTIONS[resolution][0]
        first, last = floor_to(resolution, now - width) + step, floor_to(resolution, now)
        with self._lock:
            points = self._points(connection, resolution, first, last)
        starts = [first + n * step for n in range(int((last - first) / step) + 1)]
        # The newest span is still open: it is drawn once it has been rolled up, and is no gap before.
        while starts and starts[-1] not in points and starts[-1] >= last - 2 * step:
            starts.pop()
        rows = [points.get(start) for start in starts]
        lines = {name: [None if row is None else row[name] for row in rows] for name in self._lines}
        return {"span": span, "step_s": step.total_seconds(), "at": [int(start.timestamp()) for start in starts], "lines": lines}

    def _points(self, connection: Connection, resolution: str, first: datetime, last: datetime) -> dict[datetime, Point]:
        starts = list_starts(connection, resolution, first, last + RESOLUTIONS[resolution][0])
        # The last two may still grow: the newest hour and, for a moment, the one before it.
        wanting = [start for start in starts if (resolution, start) not in self._kept or start in starts[-2:]]
        if wanting:
            for start, data in list_rollups(connection, resolution, wanting[0], wanting[-1] + RESOLUTIONS[resolution][0]):
                self._keep(resolution, start, {name: read(data) for name, read in self._lines.items()})
        return {start: self._kept[resolution, start] for start in starts if (resolution, start) in self._kept}

    def _keep(self, resolution: str, start: datetime, point: Point) -> None:
        self._kept[resolution, start] = point
        self._kept.move_to_end((resolution, start))
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
