"""Features without their names, which lie once in a table of lists; a view shows both together.

Rows that are there stay as they are, objects by name without a list, as those of a worker whose code is older: the view
and the code read both.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"

BEFORE = ("prediction_id", "request_id", "logged_at", "clock", "prediction_time", "event_time", "instance_key", "keys")
AFTER = (
    "event_timestamps",
    "watermarks",
    "missing",
    "prediction",
    "model_name",
    "model_version",
    "feature_service",
    "role",
    "endpoint",
    "caller",
    "probabilities",
)
# Both take a value as the text that was written, so that a number keeps its digits.
NAMED = {
    "sqlite": "(SELECT json_group_object(n.value, p.features -> n.key) FROM json_each(l.names) AS n)",
    "postgresql": "(SELECT json_object_agg(n.name, p.features -> (n.place - 1)::int ORDER BY n.place) "
    "FROM json_array_elements_text(l.names) WITH ORDINALITY AS n (name, place))",
}


def upgrade() -> None:
    """Add the column, empty, which writes no row of either database; make the table and the view."""
    dialect = op.get_bind().dialect.name
    op.add_column("predictions", sa.Column("feature_list", sa.String(16), nullable=True))
    op.create_table(
        "feature_lists",
        sa.Column("digest", sa.String(16), nullable=False),
        sa.Column("names", sa.Text().with_variant(postgresql.JSON(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_feature_lists"),
    )
    before, after = (", ".join(f"p.{name}" for name in names) for names in (BEFORE, AFTER))
    op.execute(
        f"CREATE VIEW named_predictions AS SELECT {before}, "  # noqa: S608 constants
        f"CASE WHEN p.feature_list IS NULL THEN p.features WHEN l.digest IS NOT NULL THEN {NAMED[dialect]} END "
        f"AS features, {after} "
        "FROM predictions AS p LEFT JOIN feature_lists AS l ON l.digest = p.feature_list"
    )


def downgrade() -> None:
    """Write each row's features by name again."""
    op.execute(
        "UPDATE predictions SET features = (SELECT v.features FROM named_predictions AS v "
        "WHERE v.prediction_id = predictions.prediction_id AND v.logged_at = predictions.logged_at) "
        "WHERE feature_list IS NOT NULL"
    )
    op.execute("DROP VIEW named_predictions")
    op.drop_column("predictions", "feature_list")
    op.drop_table("feature_lists")
