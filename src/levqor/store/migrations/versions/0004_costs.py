"""The ledger, its sources, forecasts and budget alerts."""

import sqlalchemy as sa
from alembic import op

SCHEMA = "levqor"  # translated away on SQLite
revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("line_item", sa.String(length=200), nullable=False),
        sa.Column("category", sa.String(length=16), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("amount", sa.String(length=48), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        schema=SCHEMA,
    )
    op.create_index("ix_ledger_at", "ledger", ["at"], unique=False, schema=SCHEMA)
    op.create_index("ix_ledger_category", "ledger", ["category", "at"], unique=False, schema=SCHEMA)
    op.create_index("ix_ledger_source", "ledger", ["source", "at"], unique=False, schema=SCHEMA)
    op.create_index("ix_ledger_key", "ledger", ["source", "key"], unique=True, schema=SCHEMA)
    op.create_table(
        "spend_sources",
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("cursor", sa.JSON(), nullable=True),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("source"),
        schema=SCHEMA,
    )
    op.create_table(
        "forecasts",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("day"),
        schema=SCHEMA,
    )
    op.create_table(
        "budget_alerts",
        sa.Column("period", sa.String(length=16), nullable=False),
        sa.Column("percent", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("period", "percent"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("budget_alerts", schema=SCHEMA)
    op.drop_table("forecasts", schema=SCHEMA)
    op.drop_table("spend_sources", schema=SCHEMA)
    op.drop_table("ledger", schema=SCHEMA)
