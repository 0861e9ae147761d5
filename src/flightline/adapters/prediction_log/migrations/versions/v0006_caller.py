"""Whose request it was: the name of the API key, a dash where none was needed or it was not kept."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column with a constant default: neither database writes a row for it."""
    op.add_column("predictions", sa.Column("caller", sa.Text(), nullable=False, server_default="-"))


def downgrade() -> None:
    """Forget the callers; the predictions stay."""
    op.drop_column("predictions", "caller")
