"""Every table (spec P6: each of these facts has its home here)."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Column, DateTime, Dialect, Float, Index, Integer, MetaData, String, Table, Text, TypeDecorator

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


metadata = MetaData(schema=SCHEMA)


def _table(name: str, *columns: Any) -> Table:
    return Table(name, metadata, *columns)


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
