"""Features without their names, which lie once in a table of lists; a view shows both together.

Rows that are there stay as they are, objects by name without a list, as those of a worker whose code is older: the view
and the code read both.
"""

import sqlite3

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from flightline.adapters.prediction_log.feature_lists import FeatureLists, with_names
from flightline.core.errors import LogError

revision = "0009"
down_revision = "0008"

ROWS_AT_ONCE = 10_000
LEAST_SQLITE = (3, 38, 0)  # the first with `->`

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
    if dialect == "sqlite" and sqlite3.sqlite_version_info < LEAST_SQLITE:
        raise LogError(
            f"Python's SQLite is {sqlite3.sqlite_version}, the prediction log needs 3.38 or later: use a Python that "
            "brings its own, such as uv's, or PostgreSQL"
        )
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
    """Write each row's features by name again, as the code reads them: a list or a row that was altered ends it."""
    connection = op.get_bind()
    lists = FeatureLists(lambda statement: connection.execute(statement).all())
    json = "CAST(:features AS json)" if connection.dialect.name == "postgresql" else ":features"
    named = sa.text(
        f"UPDATE predictions SET features = {json}, feature_list = NULL "  # noqa: S608 constants
        "WHERE prediction_id = :prediction_id AND logged_at = :logged_at"
    )
    rest = sa.text(
        "SELECT prediction_id, logged_at, CAST(features AS text) AS features, feature_list FROM predictions "
        "WHERE feature_list IS NOT NULL LIMIT :rows_at_once"
    )
    while rows := connection.execute(rest, {"rows_at_once": ROWS_AT_ONCE}).all():
        names = lists.of(row.feature_list for row in rows)
        texts = [with_names(row.features, each) for row, each in zip(rows, names, strict=True)]
        changes = [
            {"prediction_id": row.prediction_id, "logged_at": row.logged_at, "features": text}
            for row, text in zip(rows, texts, strict=True)
        ]
        connection.execute(named, changes)
    op.execute("DROP VIEW named_predictions")
    op.drop_column("predictions", "feature_list")
    op.drop_table("feature_lists")
