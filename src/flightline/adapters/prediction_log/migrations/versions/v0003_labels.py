"""The table of labels: append-only, a correction is a row of the next revision."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from flightline.core.errors import LogError

revision = "0003"
down_revision = "0002"

TABLE = "labels"


def upgrade() -> None:
    """Make the table and its index."""
    moment = sa.String(32).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
    op.create_table(
        TABLE,
        sa.Column("instance_key", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("label", sa.Double(), nullable=True),
        sa.Column("known_at", moment, nullable=False),
        sa.Column("recorded_at", moment, nullable=False),
        sa.Column("clock", moment, nullable=False),
        sa.Column("data_md5", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("instance_key", "revision", name="pk_labels"),
    )
    op.create_index("ix_labels_known_at", TABLE, ["known_at"])


def downgrade() -> None:
    """Remove the table, if that loses no label."""
    rows = op.get_bind().execute(sa.text(f"SELECT count(*) FROM {TABLE}")).scalar_one()  # noqa: S608 a constant
    if rows:
        raise LogError(
            f"the labels' table holds {rows:,} rows, expected none: their history cannot be made again; copy the "
            "database, then delete them"
        )
    op.drop_table(TABLE)
