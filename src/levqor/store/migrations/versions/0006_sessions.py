"""Who is signed in to the dashboard, and the last changes without a walk through a day of ticks."""

import sqlalchemy as sa
from alembic import op

SCHEMA = "levqor"  # translated away on SQLite
revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id_hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id_hash"),
        schema=SCHEMA,
    )
    op.create_index("ix_decisions_change", "decisions", ["is_change", "id"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_index("ix_decisions_change", table_name="decisions", schema=SCHEMA)
    op.drop_table("sessions", schema=SCHEMA)
