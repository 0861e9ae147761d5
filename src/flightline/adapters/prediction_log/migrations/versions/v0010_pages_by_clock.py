"""The index on the clock holds the prediction's id too: where the clock stands still, a page is found by both."""

from alembic import op

revision = "0010"
down_revision = "0009"

INDEX = "ix_predictions_clock"


def upgrade() -> None:
    """Build the index anew with the id; in PostgreSQL on each partition. No row is written."""
    op.drop_index(INDEX, "predictions")
    op.create_index(INDEX, "predictions", ["clock", "prediction_id"])


def downgrade() -> None:
    """Build it anew on the clock alone."""
    op.drop_index(INDEX, "predictions")
    op.create_index(INDEX, "predictions", ["clock"])
