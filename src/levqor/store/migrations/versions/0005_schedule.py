"""The schedule's runs, summaries and verifications."""

import sqlalchemy as sa
from alembic import op

SCHEMA = "levqor"  # translated away on SQLite
revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schedule_runs",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("due_key", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=True),
        sa.Column("keeper", sa.String(length=200), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        schema=SCHEMA,
    )
    op.create_index("ix_schedule_runs_claim", "schedule_runs", ["job", "due_key", "attempt"], unique=True, schema=SCHEMA)
    op.create_index("ix_schedule_runs_due", "schedule_runs", ["due_at"], unique=False, schema=SCHEMA)
    op.create_index("ix_schedule_runs_job", "schedule_runs", ["job", "id"], unique=False, schema=SCHEMA)
    op.create_index("ix_schedule_runs_state", "schedule_runs", ["state"], unique=False, schema=SCHEMA)
    op.create_table(
        "schedule_jobs",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("looked_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job"),
        schema=SCHEMA,
    )
    op.create_table(
        "summaries",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("period", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("token", sa.String(length=36), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered", sa.JSON(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("kind", "period"),
        schema=SCHEMA,
    )
    op.create_table(
        "verifications",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("suite", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        schema=SCHEMA,
    )
    op.create_index("ix_verifications_at", "verifications", ["at"], unique=False, schema=SCHEMA)


def downgrade() -> None:
    op.drop_table("verifications", schema=SCHEMA)
    op.drop_table("summaries", schema=SCHEMA)
    op.drop_table("schedule_jobs", schema=SCHEMA)
    op.drop_table("schedule_runs", schema=SCHEMA)
