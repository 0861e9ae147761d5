"""The table of predictions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from flightline.core.errors import LogError

revision = "0001"
down_revision = None

TABLE = "predictions"


def upgrade() -> None:
    """Make the table and its indexes."""
    moment = sa.String(32).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
    document = sa.Text().with_variant(postgresql.JSON(), "postgresql")
    op.create_table(
        TABLE,
        sa.Column("prediction_id", sa.String(32), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("logged_at", moment, nullable=False),
        sa.Column("clock", moment, nullable=False),
        sa.Column("prediction_time", moment, nullable=False),
        sa.Column("moment", moment, nullable=False),
        sa.Column("instance_key", sa.String(64), nullable=False),
        sa.Column("keys", document, nullable=False),
        sa.Column("features", document, nullable=False),
        sa.Column("event_timestamps", document, nullable=False),
        sa.Column("watermarks", document, nullable=False),
        sa.Column("missing", document, nullable=False),
        sa.Column("prediction", sa.Double(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("feature_service", sa.Text(), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("door", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("prediction_id", name="pk_predictions"),
    )
    for column in ("logged_at", "clock", "instance_key"):
        op.create_index(f"ix_predictions_{column}", TABLE, [column])


def downgrade() -> None:
    """Remove the table, if that loses no prediction."""
    rows = op.get_bind().execute(sa.text(f"SELECT count(*) FROM {TABLE}")).scalar_one()  # noqa: S608 a constant
    if rows:
        raise LogError(f"the prediction log holds {rows:,} rows, expected none: export them first (`make retention`)")
    op.drop_table(TABLE)
