"""The one row that is written to see whether the log can be written."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "log_probes",
        sa.Column("probe_id", sa.Integer(), nullable=False),
        sa.Column(
            "written_at",
            sa.String(32).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql"),
            nullable=False,
        ),
        sa.Column("filler", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("probe_id", name="pk_log_probes"),
    )


def downgrade() -> None:
    """Remove the table."""
    op.drop_table("log_probes")
