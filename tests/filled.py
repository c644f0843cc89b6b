"""A database with a past: roll-ups, decisions and checks as a long-running installation has them."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert

from levqor.client.buckets import index_of
from levqor.domain.decisions import Decision
from levqor.domain.fleet import FleetKind, FleetState
from levqor.domain.signals import Signal, Signals
from levqor.monitors.records import to_record
from levqor.monitors.rollups import merge
from levqor.policies.scaling import Context, ScalingRules, decide
from levqor.store.database import Database
from levqor.store.rollups import floor_to
from levqor.store.schema import decisions, rollups

THRESHOLDS_MS = (40.0, 150.0, 200.0)
PER_MINUTE = 600
PAGE = 2_000


def fill(database: Database, now: datetime, *, days: int = 90, changes: int = 10_000, ticks: int = 0) -> None:
    """Roll-ups of `days` (as far back as each kind is kept), `changes` decisions over them, and `ticks` that changed nothing."""
    dice = random.Random(7)
    with database.write() as connection:
        _fill_rollups(connection, now, days, dice)
        _insert(connection, decisions, _decisions(now, days, changes, ticks))


def _insert(connection: Connection, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    page: list[dict[str, Any]] = []
    for row in rows:
        page.append(row)
        if len(page) == PAGE:
            connection.execute(insert(table), page)
            page = []
    if page:
        connection.execute(insert(table), page)


def _fill_rollups(connection: Connection, now: datetime, days: int, dice: random.Random) -> None:
    # Sixty minutes, drawn once and handed round: what is read is as large as the real thing, and quickly made.
    minutes = [_minute(dice) for _ in range(60)]
    hour = merge(minutes)
    day = merge([hour] * 24)
    last_minute, last_hour, last_day = (floor_to(name, now) for name in ("minute", "hour", "day"))
    kinds = (
        ("minute", last_minute, timedelta(minutes=1), min(days, 2) * 1_440, minutes),
        ("hour", last_hour, timedelta(hours=1), min(days, 31) * 24, [hour]),
        ("day", last_day, timedelta(days=1), days, [day]),
    )
    for name, last, step, count, contents in kinds:
        rows = ({"resolution": name, "start": last - (n + 1) * step, "data": contents[n % len(contents)]} for n in range(count))
        _insert(connection, rollups, rows)


def _minute(dice: random.Random) -> dict[str, Any]:
    times = [dice.lognormvariate(3.2, 0.7) for _ in range(PER_MINUTE)]
    http = _counts(times, failed=dice.randint(0, 2))
    depth = float(dice.randint(0, 9))
    return {
        "http": http,
        "waits": _counts([dice.lognormvariate(4, 1) for _ in range(60)]),
        "runs": _counts([dice.lognormvariate(6, 1) for _ in range(60)]),
        "jobs": {"succeeded": 60},
        "probes": {"total": 12, "failed": 0},
        "gauges": {"queue_depth": depth, "oldest_wait_s": depth / 2, "running": 1.0, "dead": 0.0, "target": 2.0, "workers": 2.0},
        "minutes": 1,
    }


def _counts(times_ms: list[float], failed: int = 0) -> dict[str, Any]:
    buckets: dict[str, int] = {}
    for time_ms in times_ms:
        name = str(index_of(time_ms))
        buckets[name] = buckets.get(name, 0) + 1
    over = {repr(threshold): sum(time_ms >= threshold for time_ms in times_ms) for threshold in THRESHOLDS_MS}
    return {"total": len(times_ms), "failed": failed, "over": over, "buckets": buckets}


def decision(depth: float, target: int) -> tuple[Signals, Context, Decision]:
    """What is decided at that depth and target, everything else calm."""
    signals = Signals(
        p50_ms=Signal.of(12), p95_ms=Signal.of(60), p99_ms=Signal.of(90), request_rate=Signal.of(10), requests=Signal.of(600),
        slow_requests=Signal.of(30), error_rate=Signal.of(0), availability=Signal.of(1), queue_depth=Signal.of(depth),
        oldest_wait_s=Signal.of(depth / 2), running=Signal.of(1), dead=Signal.of(0), failures_5m=Signal.of(0), spend_last_24h=Signal.of(0),
    )  # fmt: skip
    fleet = FleetState("default", FleetKind.AGENT, ("default",), target, target)
    context = Context(fleet=fleet, rules=ScalingRules(), calm_s=0.0)
    return signals, context, decide(signals, context)


def _decisions(now: datetime, days: int, changes: int, ticks: int) -> Iterator[dict[str, Any]]:
    up, steady = decision(14, 2), decision(2, 2)
    facts: dict[str, Any] = {"kind": "tick", "actor": None, "applied": True, "why_not": None, "mode": "act"}
    records = [to_record(*up, **facts), to_record(*steady, **{**facts, "applied": False})]
    actions = [up[2].action.value, steady[2].action.value]
    step = timedelta(days=days) / max(1, changes)
    fixed = {"fleet": "default", "term": 1}
    for n in range(changes, 0, -1):
        kind = n % 2
        yield {**fixed, "at": now - n * step, "action": actions[kind], "applied": not kind, "is_change": True, "record": records[kind]}
    for n in range(ticks, 0, -1):
        at = now - n * timedelta(seconds=2)
        yield {**fixed, "at": at, "action": actions[1], "applied": False, "is_change": False, "record": records[1]}
