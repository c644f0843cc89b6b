"""An installation with a day and a week behind it, and a summary desk over it whose channels are in the test's hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import insert
from tests.clock import ManualClock
from tests.filled import decision

from levqor.alerts.letters.render import render
from levqor.client.buckets import index_of
from levqor.domain.backups import Backup
from levqor.domain.costs import CostRules
from levqor.domain.errors import DeliveryError
from levqor.domain.incidents import Cause
from levqor.domain.retention import Event
from levqor.domain.schedule import Ended, RunState
from levqor.domain.signals import Signal
from levqor.domain.spending import Category, Entry, EntryType, day_start
from levqor.domain.summary import Letter
from levqor.monitors.costs import CostDesk
from levqor.monitors.records import to_record
from levqor.monitors.retention import RetentionDesk
from levqor.monitors.rollups import merge
from levqor.monitors.slo_watchdog import Objectives
from levqor.monitors.summary import SummaryDesk, SummaryParts
from levqor.monitors.summary_reading import Sources
from levqor.policies.schedule import Due
from levqor.store.database import Database
from levqor.store.decisions import record_decision
from levqor.store.episodes import sync_episodes
from levqor.store.flags import write_flag
from levqor.store.incidents import begin_incident, close_incident, escalate_incident
from levqor.store.ledger import write_entries
from levqor.store.schedule import claim, know_jobs, settle
from levqor.store.schema import recoveries, rollups
from levqor.store.verifications import VerificationState, begin_verification, end_verification

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday; London has UTC then."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NASTY = "<script>alert(1)</script> \r\nBcc: eve@example.com \u202e 20 of 100 requests failed"


@dataclass
class Post:
    """A channel that does as it is told, and keeps what it was given."""

    name: str = "post"
    answers: list[DeliveryError | None] = field(default_factory=list)
    remark: str | None = None
    letters: list[Letter] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def send(self, letter: Letter) -> str | None:
        self.before()
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.letters.append(letter)
        return self.remark


@dataclass
class Office:
    """A database, a clock, and desks over them."""

    database: Database
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    rules: CostRules = field(default_factory=CostRules)
    backup: Backup | None = None
    activity_zone: str = "UTC"
    gone: set[str] = field(default_factory=set)

    def desk(self, *channels: Any, holder: str = "host/boot/1/1", zone: str = "Europe/London") -> SummaryDesk:
        sources = Sources(
            database=self.database,
            objectives=Objectives(),
            costs=CostDesk(self.rules, self.database, self.clock),
            retention=RetentionDesk(self.database, self.clock, ZoneInfo(self.activity_zone)),
            last_backup=lambda: self.backup,
            is_advice_only=False,
        )
        is_gone = self.gone.__contains__
        return SummaryDesk(SummaryParts(sources, channels, render, self.clock, ZoneInfo(zone), holder, is_gone, retry_waits_s=()))


def busy_office(database: Database) -> Office:
    """Everything that a summary tells of has happened."""
    office = Office(database, rules=CostRules(daily_limit=Decimal(20), constants={"redis": Decimal(9)}))
    _measure(database)
    _decide(database)
    _go_wrong(database)
    _spend(database)
    RetentionDesk(database, office.clock, ZoneInfo("UTC")).record(list(_events()))
    _schedule(database)
    office.backup = Backup("20260302T020000Z", NOW - 7 * HOUR, 1_234_567, verified=True)
    return office


def minute(requests: int, failed: int, ms: float, dead: float) -> dict[str, Any]:
    times = [ms * (1 + (n % 17) / 17) for n in range(requests)]
    buckets: dict[str, int] = {}
    for time_ms in times:
        buckets[str(index_of(time_ms))] = buckets.get(str(index_of(time_ms)), 0) + 1
    counts = {"total": requests, "failed": failed, "over": {"200.0": sum(time_ms >= 200 for time_ms in times)}, "buckets": buckets}
    empty = {"total": 0, "failed": 0, "over": {}, "buckets": {}}
    return {
        "http": counts,
        "waits": empty,
        "runs": empty,
        "jobs": {"succeeded": 5},
        "probes": {"total": 12, "failed": failed // 4},
        "gauges": {"queue_depth": 3.0, "dead": dead},
        "minutes": 1,
    }


def _measure(database: Database) -> None:
    """By the minute a day with two hours missing, by the hour a week, by the day nine; busier by day than at night."""
    rows: list[dict[str, Any]] = []
    hours: dict[datetime, dict[str, Any]] = {}
    for n in range(9 * 24, 0, -1):
        start = NOW - n * HOUR
        if 5 <= n <= 6:
            continue
        requests = 2 + 3 * (12 - abs(12 - start.hour))
        steady = minute(requests, failed=1 if n == 9 else 0, ms=40.0 + requests, dead=3.0 if n <= 9 else 0.0)
        data = [{**steady, "jobs": {"succeeded": 5, "dead": 1}} if n == 9 and at < 3 else steady for at in range(60)]
        hours[start] = merge(data)
        rows.append({"resolution": "hour", "start": start, "data": hours[start]})
        if n <= 24:
            rows += [{"resolution": "minute", "start": start + at * timedelta(minutes=1), "data": one} for at, one in enumerate(data)]
    for day in sorted({start.replace(hour=0) for start in hours}):
        parts = [data for start, data in hours.items() if start.replace(hour=0) == day]
        rows.append({"resolution": "day", "start": day, "data": merge(parts)})
    with database.write() as connection:
        connection.execute(insert(rollups), rows)


def _decide(database: Database) -> None:
    up, steady = decision(14, 2), decision(2, 2)
    told = [
        (NOW - 50 * HOUR, "scale_up", True),
        (NOW - 20 * HOUR, "scale_up", True),
        (NOW - 19 * HOUR, "hold", False),
        (NOW - 18 * HOUR, "scale_down", True),
        (NOW - 9 * HOUR, "scale_up", False),
        (NOW - 8 * HOUR, "freeze", False),
        (NOW - 7 * HOUR, "hold", False),
    ]
    with database.write() as connection:
        write_flag(connection, NOW, "AUTOSCALE_ENABLED", True, "ana")
        for at, action, applied in told:
            record = to_record(*(steady if action == "hold" else up), kind="tick", applied=applied)
            record["decision"]["action"] = action
            record_decision(connection, at=at, fleet="default", term=1, applied=applied, is_change=True, record=record)
        signals, context, decided = steady
        newest = to_record(replace(signals, dead=Signal.of(3)), context, decided, kind="tick", applied=False)
        record_decision(connection, at=NOW - timedelta(seconds=2), fleet="default", term=1, applied=False, is_change=False, record=newest)


def _go_wrong(database: Database) -> None:
    with database.write() as connection:
        began = NOW - 9 * HOUR
        healed = begin_incident(connection, began, Cause("slo:5m", "12 of 100 requests took 200 ms or more", began, {}))
        values = {"actor": "watchdog", "is_automatic": True, "state": "ended", "plan": {}, "verified": "helped"}
        connection.execute(insert(recoveries).values(incident_id=healed, started_at=began, **values))
        close_incident(connection, began + HOUR, healed)
        ongoing = begin_incident(connection, NOW - HOUR, Cause("slo:1m", NASTY, NOW - HOUR, {}))
        escalate_incident(connection, NOW - HOUR / 2, ongoing)
        sync_episodes(connection, NOW - HOUR, {"slo:1m": ("page", NASTY)})
        number = begin_verification(connection, NOW - 6 * HOUR, "integrity", "schedule")
        end_verification(connection, number, VerificationState.FAILED, {"failed": ["backup", "logs"]})


def _spend(database: Database) -> None:
    entries = []
    for days_ago in range(20):
        day = (NOW - days_ago * DAY).date()
        for item, category, amount in (("servers", Category.INFRA, "9.5"), ("tokens", Category.AI, f"{3 + days_ago % 4}.25")):
            entry = Entry(
                source="infra", key=f"{item}:{day}", at=day_start(day), day=day, line_item=item, category=category, type=EntryType.COST,
                currency="usd", amount=Decimal(amount),
            )  # fmt: skip
            entries.append(entry)
    with database.write() as connection:
        write_entries(connection, NOW, entries)


def _events() -> Sequence[Event]:
    """Users of 18 days: fewer at weekends, growing."""
    return [
        Event(id=f"{n}-{who}", user_id=f"user{who}", ts=NOW - n * DAY)
        for n in range(18)
        for who in range((10 if (NOW - n * DAY).weekday() > 4 else 30) - n)
        if who >= 0
    ]


def _schedule(database: Database) -> None:
    with database.write() as connection:
        know_jobs(connection, NOW - 3 * DAY, ["backup", "integrity", "retention"])
        for job, at, code in (("backup", NOW - 7 * HOUR, 0), ("integrity", NOW - 6 * HOUR, 1), ("retention", NOW - 8 * HOUR, 0)):
            run = claim(connection, at, job, Due(at, at.isoformat()), "host/boot/1/1")
            assert run is not None
            settle(connection, at, run, "host/boot/1/1", RunState.FAILED if code else RunState.DONE, Ended(code, "said"))
