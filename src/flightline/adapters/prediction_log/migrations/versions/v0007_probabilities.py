"""The probability of each class beside the prediction, by name; nothing where a problem has no classes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from flightline.core.errors import LogError

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column, empty: neither database writes a row for it."""
    kind = sa.Text().with_variant(postgresql.JSON(), "postgresql")
    op.add_column("predictions", sa.Column("probabilities", kind, nullable=True))


def downgrade() -> None:
    """Remove the column, if that loses no probability."""
    count = sa.text("SELECT count(*) FROM predictions WHERE probabilities IS NOT NULL")
    if rows := op.get_bind().execute(count).scalar_one():
        raise LogError(
            f"the prediction log holds the probabilities of {rows:,} multiclass predictions, expected none: export "
            "them first with `make retention`"
        )
    op.drop_column("predictions", "probabilities")
