"""The table of predictions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from flightline.errors import LogError

revision = "0001"
down_revision = None

TABLE = "predictions"


def upgrade() -> None:
    """Make the table and its indexes."""
    text, number = sa.Text(), sa.Double()
    moment = sa.String(32).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
    document = sa.Text().with_variant(postgresql.JSON(), "postgresql")
    columns = [("request_id", text), ("logged_at", moment), ("clock", moment), ("prediction_time", moment)]
    columns += [("moment", moment), ("instance_key", sa.String(64)), ("keys", document), ("features", document)]
    columns += [("event_timestamps", document), ("watermarks", document), ("missing", document), ("prediction", number)]
    columns += [("model_name", text), ("model_version", text), ("feature_service", text), ("role", sa.String(16))]
    columns += [("door", sa.String(16))]
    op.create_table(
        TABLE,
        sa.Column("prediction_id", sa.String(32), nullable=False),
        *[sa.Column(name, kind, nullable=False) for name, kind in columns],
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
