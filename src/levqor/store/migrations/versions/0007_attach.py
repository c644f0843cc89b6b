"""What the rules remember from tick to tick, marks of deploys, promises that are scored later, and the work of each minute."""

import sqlalchemy as sa
from alembic import op

SCHEMA = "levqor"  # translated away on SQLite
revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "memories",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        schema=SCHEMA,
    )
    op.create_table(
        "deploys",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sha", sa.String(length=100), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        schema=SCHEMA,
    )
    op.create_index("ix_deploys_at", "deploys", ["at"], schema=SCHEMA)
    op.create_table(
        "promises",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fleet", sa.String(length=100), nullable=False),
        sa.Column("decision_id", sa.Integer(), nullable=False),
        sa.Column("depth", sa.Float(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=False),
        sa.Column("clear_in_s", sa.Float(), nullable=False),
        sa.Column("waited_s", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id"),
        schema=SCHEMA,
    )
    op.create_index("ix_promises_at", "promises", ["at"], schema=SCHEMA)
    op.create_index("ix_promises_state", "promises", ["state"], schema=SCHEMA)
    op.create_index("ix_promises_decision_id", "promises", ["decision_id"], schema=SCHEMA)
    op.create_table(
        "work_minutes",
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fleet", sa.String(length=64), nullable=False),
        sa.Column("covered_s", sa.Float(), nullable=False),
        sa.Column("arrivals", sa.Float(), nullable=False),
        sa.Column("worker_s", sa.Float(), nullable=False),
        sa.Column("mean_service_s", sa.Float()),
        sa.Column("oldest_wait_s", sa.Float()),
        sa.PrimaryKeyConstraint("minute", "fleet"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("work_minutes", schema=SCHEMA)
    op.drop_table("promises", schema=SCHEMA)
    op.drop_table("deploys", schema=SCHEMA)
    op.drop_table("memories", schema=SCHEMA)
