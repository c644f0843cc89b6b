"""Users, their activity by day, and what is counted from it."""

import sqlalchemy as sa
from alembic import op

SCHEMA = "levqor"  # translated away on SQLite
revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        schema=SCHEMA,
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=True),
        sa.Column("first_day", sa.Date(), nullable=True),
        sa.Column("created_day", sa.Date(), nullable=True),
        sa.Column("referral_source", sa.String(length=100), nullable=True),
        sa.Column("is_service", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("external_id"),
        schema=SCHEMA,
        sqlite_autoincrement=True,
    )
    op.create_index("ix_users_created_day", "users", ["created_day"], unique=False, schema=SCHEMA)
    op.create_index("ix_users_first_day", "users", ["first_day"], unique=False, schema=SCHEMA)
    op.create_table(
        "activity",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("day", "user_id"),
        schema=SCHEMA,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "activity_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("block", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("active", sa.LargeBinary(), nullable=True),
        sa.Column("newcomers", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("day", "block"),
        schema=SCHEMA,
    )
    op.create_table(
        "event_generations",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("filter", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("generation"),
        schema=SCHEMA,
    )
    op.create_table(
        "event_ids",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("generation", "hash"),
        schema=SCHEMA,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "analytics_aggregates",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("dau", sa.Integer(), nullable=False),
        sa.Column("wau", sa.Integer(), nullable=False),
        sa.Column("mau", sa.Integer(), nullable=False),
        sa.Column("mau_complete", sa.Boolean(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("day"),
        schema=SCHEMA,
    )
    op.create_table(
        "imports",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("position", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("imports", schema=SCHEMA)
    op.drop_table("analytics_aggregates", schema=SCHEMA)
    op.drop_table("event_ids", schema=SCHEMA)
    op.drop_table("event_generations", schema=SCHEMA)
    op.drop_table("activity_days", schema=SCHEMA)
    op.drop_table("activity", schema=SCHEMA)
    op.drop_table("users", schema=SCHEMA)
    op.drop_table("installation", schema=SCHEMA)
