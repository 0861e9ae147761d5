"""The table of what workers counted of a challenger: a row of each worker every few seconds, summed when read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"

TABLE = "canary_counts"


def upgrade() -> None:
    """Make the table and its index."""
    op.create_table(
        TABLE,
        sa.Column("count_id", sa.String(32), nullable=False),
        sa.Column(
            "recorded_at",
            sa.String(32).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql"),
            nullable=False,
        ),
        sa.Column("canary", sa.Text(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("slow", sa.Integer(), nullable=False),
        sa.Column("dropped", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("count_id", name="pk_canary_counts"),
    )
    op.create_index("ix_canary_counts_canary", TABLE, ["canary"])


def downgrade() -> None:
    """Remove the table: a running canary is counted anew."""
    op.drop_table(TABLE)
