"""Every table (spec P6: each of these facts has its home here)."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

SCHEMA = "levqor"
"""Levqor's own schema on PostgreSQL; SQLite has none and the name is translated away."""


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in and out, also where the database stores no zone. Naive time is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive time")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class DecimalText(TypeDecorator[Decimal]):
    """Money as its exact digits, on either database; a float is refused."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite():
            raise ValueError("money is a finite Decimal")
        return f"{value:f}"

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


metadata = MetaData(schema=SCHEMA)


def _table(name: str, *columns: Any, **options: Any) -> Table:
    return Table(name, metadata, *columns, **options)


leases = _table(
    "leases",
    Column("name", String(64), primary_key=True),
    Column("holder", String(200)),
    Column("term", Integer, nullable=False),
    # Moves with every renewal; a contender watches it on its own monotonic clock, so no stored time is ever trusted.
    Column("beat", Integer, nullable=False),
)

timers = _table(
    "timers",
    Column("name", String(100), primary_key=True),
    Column("accrued_s", Float, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

flags = _table(
    "flags",
    Column("name", String(100), primary_key=True),
    Column("value", JSON, nullable=False),
    # What the file held at the last sync: tells which side changed since.
    Column("synced", JSON),
    Column("version", Integer, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("updated_by", String(200), nullable=False),
)

holds = _table(
    "holds",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("why", String(500), nullable=False),
    # Time left, counted down on the leader's monotonic clock (spec P1); null: until released.
    Column("remaining_s", Float),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_by", String(200)),
)

paused_queues = _table(
    "paused_queues",
    Column("queue", String(100), primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("why", String(500), nullable=False),
    Column("paused_at", UtcDateTime, nullable=False),
)

decisions = _table(
    "decisions",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("fleet", String(64), nullable=False),
    Column("term", Integer, nullable=False),
    Column("action", String(16), nullable=False),
    Column("applied", Boolean, nullable=False),
    # A change of action or an act: kept for 90 days. The other ticks are kept for one.
    Column("is_change", Boolean, nullable=False),
    Column("record", JSON, nullable=False),
    Index("ix_decisions_at", "at"),
    Index("ix_decisions_change_at", "is_change", "at"),
    Index("ix_decisions_change", "is_change", "id"),
)

action_totals = _table(
    "action_totals",
    Column("action", String(16), primary_key=True),
    Column("total", Integer, nullable=False),
)

orders = _table(
    "orders",
    Column("id", String(36), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("body", JSON, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("status", String(16), nullable=False),
    Column("answer", JSON),
    Index("ix_orders_status", "status"),
)

episodes = _table(
    "episodes",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(200), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("summary", String(500), nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Index("ix_episodes_key", "key", "closed_at"),
)

worker_usage = _table(
    "worker_usage",
    Column("minute", UtcDateTime, primary_key=True),
    Column("fleet", String(64), primary_key=True),
    Column("worker_s", Float, nullable=False),
    Column("hourly_cost", String(32), nullable=False),
)

rollups = _table(
    "rollups",
    Column("resolution", String(8), primary_key=True),
    Column("start", UtcDateTime, primary_key=True),
    Column("data", JSON, nullable=False),
)

idempotency = _table(
    "idempotency",
    Column("scope", String(64), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("body_hash", String(64), nullable=False),
    Column("token", String(36), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("status", Integer),
    Column("answer", JSON),
    Index("ix_idempotency_created", "created_at"),
)

audit = _table(
    "audit",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("what", String(100), nullable=False),
    Column("before", JSON),
    Column("after", JSON),
    Column("note", Text),
    Index("ix_audit_at", "at"),
)

slo_checks = _table(
    "slo_checks",
    Column("series", String(8), primary_key=True),
    Column("window_start", UtcDateTime, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("judgements", JSON, nullable=False),
    Column("judged_at", UtcDateTime, nullable=False),
)

slo_streaks = _table(
    "slo_streaks",
    Column("series", String(8), primary_key=True),
    # The last window judged, and the ages of the breaches in a row: a successor goes on from both (spec P1).
    Column("judged_until", UtcDateTime),
    Column("ages_s", JSON, nullable=False),
)

incidents = _table(
    "incidents",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(200), nullable=False),
    Column("cause", String(500), nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("attempts", Integer, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("escalated_at", UtcDateTime),
    Index("ix_incidents_state", "state"),
    Index("ix_incidents_opened", "opened_at"),
)

recoveries = _table(
    "recoveries",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", Integer, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("is_automatic", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("plan", JSON, nullable=False),
    Column("answer", JSON),
    Column("verified", String(16)),
    Index("ix_recoveries_incident", "incident_id"),
    Index("ix_recoveries_state", "state"),
)

recovery_steps = _table(
    "recovery_steps",
    Column("recovery_id", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    # Intent is written before the act, the outcome after it: a crash in between shows which.
    Column("intent_at", UtcDateTime),
    Column("outcome_at", UtcDateTime),
    Column("before", JSON),
    Column("after", JSON),
    Column("detail", Text),
)

dead_letter_notes = _table(
    "dead_letter_notes",
    Column("queue", String(100), primary_key=True),
    Column("job_id", String(200), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("handler", String(200)),
    Column("error", Text),
    Column("flushes", Integer, nullable=False),
    Column("noted_at", UtcDateTime, nullable=False),
    Column("why", String(500)),
)

alerts = _table(
    "alerts",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("title", String(200), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("episode_id", Integer),
    Column("incident_id", Integer),
    Index("ix_alerts_key", "key"),
)

alert_deliveries = _table(
    "alert_deliveries",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("alert_id", Integer, nullable=False),
    Column("channel", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    # Seconds until the next attempt or reminder, counted down on the leader's monotonic clock.
    Column("due_in_s", Float, nullable=False),
    Column("last_at", UtcDateTime),
    Column("error", String(500)),
    Index("ix_alert_deliveries_state", "state"),
    Index("ix_alert_deliveries_alert", "alert_id"),
)

installation = _table(
    "installation",
    # What was settled once for the whole installation, such as the zone that activity's days are counted in.
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

users = _table(
    "users",
    # Dense numbers: they are the bits of the days' bitmaps. A number is never given out twice.
    Column("id", Integer, primary_key=True, autoincrement=True),
    # Null once the person was forgotten: the number stays in the counts and leads to nobody.
    Column("external_id", String(200), unique=True),
    Column("first_day", Date),
    Column("created_day", Date),
    Column("referral_source", String(100)),
    Column("is_service", Boolean, nullable=False),
    Index("ix_users_first_day", "first_day"),
    Index("ix_users_created_day", "created_day"),
    sqlite_autoincrement=True,
)

activity = _table(
    "activity",
    # The truth of who was active when; a person who was forgotten is still a number in it.
    Column("day", Date, primary_key=True),
    Column("user_id", Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

activity_days = _table(
    "activity_days",
    # The same as roaring bitmaps, written in the transaction that writes `activity`. A block is 65,536 users' numbers, so
    # that one more active user rewrites 8 kB at most, however many there are.
    Column("day", Date, primary_key=True),
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("active", LargeBinary),
    # Whose first active day it is; they are its cohort.
    Column("newcomers", LargeBinary),
)

event_generations = _table(
    "event_generations",
    # Trees of bounded size for the ids of events; the one without a filter takes new ones.
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("events", Integer, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    # A roaring bitmap of the hashes' first 28 bits: what is not in it was not seen in this generation.
    Column("filter", LargeBinary),
)

event_ids = _table(
    "event_ids",
    Column("generation", Integer, primary_key=True, autoincrement=False),
    # A hash of the event's id: enough to take it once, and nothing that a person could be read from.
    Column("hash", LargeBinary(16), primary_key=True),
    sqlite_with_rowid=False,
)

analytics_aggregates = _table(
    "analytics_aggregates",
    Column("day", Date, primary_key=True),
    Column("dau", Integer, nullable=False),
    Column("wau", Integer, nullable=False),
    Column("mau", Integer, nullable=False),
    # False until 30 days of history exist: the figure is then of fewer days.
    Column("mau_complete", Boolean, nullable=False),
    Column("zone", String(64), nullable=False),
    Column("computed_at", UtcDateTime, nullable=False),
)

imports = _table(
    "imports",
    # How far a file or a pull has come, so that it goes on from there.
    Column("key", String(200), primary_key=True),
    Column("position", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

ledger = _table(
    "ledger",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("source", String(32), nullable=False),
    # Unique in its source: the same entry written again is the same entry.
    Column("key", String(200), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    # Set where the amount is a whole UTC day's: it is spread over that day.
    Column("day", Date),
    Column("line_item", String(200), nullable=False),
    Column("category", String(16), nullable=False),
    Column("type", String(16), nullable=False),
    Column("currency", String(8), nullable=False),
    Column("amount", DecimalText(48), nullable=False),
    Column("status", String(16), nullable=False),
    Column("note", String(500)),
    Column("written_at", UtcDateTime, nullable=False),
    Index("ix_ledger_key", "source", "key", unique=True),
    Index("ix_ledger_at", "at"),
    # The brake sums few categories each tick, however many charges there are beside them.
    Index("ix_ledger_category", "category", "at"),
    Index("ix_ledger_source", "source", "at"),
)

spend_sources = _table(
    "spend_sources",
    Column("source", String(32), primary_key=True),
    Column("cursor", JSON),
    Column("synced_at", UtcDateTime),
    Column("failed_at", UtcDateTime),
    Column("failures", Integer, nullable=False),
    Column("error", String(500)),
)

forecasts = _table(
    "forecasts",
    # One a day is kept, so that what was promised can be held against what came.
    Column("day", Date, primary_key=True),
    Column("computed_at", UtcDateTime, nullable=False),
    # The ledger's revision that it was made from; another one drops it from being the current forecast.
    Column("revision", Integer, nullable=False),
    Column("method", String(32), nullable=False),
    Column("data", JSON, nullable=False),
)

budget_alerts = _table(
    "budget_alerts",
    Column("period", String(16), primary_key=True),
    Column("percent", Integer, primary_key=True),
    Column("told_at", UtcDateTime, nullable=False),
)

schedule_runs = _table(
    "schedule_runs",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job", String(64), nullable=False),
    # The due time, or the local date where the job is once per local date: two processes cannot both claim it.
    Column("due_key", String(64), nullable=False),
    # The second is of a run that was cut off, and there is no third.
    Column("attempt", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("asked_by", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    # Which control plane began it, and which process ends it in time.
    Column("holder", String(200)),
    Column("keeper", String(200)),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("exit_code", Integer),
    Column("output", Text),
    Index("ix_schedule_runs_claim", "job", "due_key", "attempt", unique=True),
    Index("ix_schedule_runs_due", "due_at"),
    Index("ix_schedule_runs_job", "job", "id"),
    Index("ix_schedule_runs_state", "state"),
)

schedule_jobs = _table(
    "schedule_jobs",
    Column("job", String(64), primary_key=True),
    # When the schedule first knew the job: nothing was due before.
    Column("since", UtcDateTime, nullable=False),
    # From here on due times are looked for.
    Column("looked_until", UtcDateTime, nullable=False),
)

summaries = _table(
    "summaries",
    Column("kind", String(16), primary_key=True),
    Column("period", String(32), primary_key=True),
    Column("state", String(16), nullable=False),
    # Names the letter to mail programs; stays the same while a period's sending is tried again.
    Column("token", String(36), nullable=False),
    Column("holder", String(200), nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    # Channels that have it: they are left out when it is tried again.
    Column("delivered", JSON, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("error", String(500)),
)

verifications = _table(
    "verifications",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("suite", String(16), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("report", JSON),
    Index("ix_verifications_at", "at"),
)

sessions = _table(
    "sessions",
    # A hash: who reads the database, or a backup of it, cannot sign in with what it holds.
    Column("id_hash", String(64), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

memories = _table(
    "memories",
    # What a rule carries from one tick to the next, so that a successor goes on from it: `wait:FLEET`, `p95_step:FLEET`, ...
    Column("name", String(200), primary_key=True),
    Column("data", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

deploys = _table(
    "deploys",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("sha", String(100), nullable=False),
    Column("note", String(500), nullable=False),
    Column("actor", String(200), nullable=False),
    Index("ix_deploys_at", "at"),
)

promises = _table(
    "promises",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("fleet", String(100), nullable=False),
    # The decision that made it; no key, since a decision may be dropped before its promise.
    Column("decision_id", Integer, nullable=False),
    Column("depth", Float, nullable=False),
    Column("target", Integer, nullable=False),
    # Within how many seconds the queue was said to be clear, and how many of them a leader has seen pass.
    Column("clear_in_s", Float, nullable=False),
    Column("waited_s", Float, nullable=False),
    # open, kept, missed or void (nobody could tell: signals were unknown, or a person changed the fleet)
    Column("state", String(16), nullable=False),
    Column("ended_at", UtcDateTime),
    Index("ix_promises_at", "at"),
    Index("ix_promises_state", "state"),
    Index("ix_promises_decision_id", "decision_id"),
)

work_minutes = _table(
    "work_minutes",
    Column("minute", UtcDateTime, primary_key=True),
    Column("fleet", String(64), primary_key=True),
    # How many seconds of the minute are covered by what follows: the others are unknown, not idle.
    Column("covered_s", Float, nullable=False),
    Column("arrivals", Float, nullable=False),
    Column("worker_s", Float, nullable=False),
    Column("mean_service_s", Float),
    Column("oldest_wait_s", Float),
)
