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
