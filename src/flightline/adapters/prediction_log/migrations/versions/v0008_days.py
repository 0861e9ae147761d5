"""In PostgreSQL a partition for each day of predictions, so that retention drops days and deletes no rows.

What is there stays where it is, as one partition of all days up to this one: it is read once, and no row is written.
SQLite stays as it is.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

INDEXES = ("logged_at", "clock", "instance_key")


def upgrade() -> None:
    """Put a partitioned table over the one that is there, or in its place if it is empty."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.rename_table("predictions", "predictions_before")
    op.execute("ALTER INDEX pk_predictions RENAME TO pk_predictions_before")
    for column in INDEXES:
        op.execute(f"ALTER INDEX ix_predictions_{column} RENAME TO ix_predictions_before_{column}")
    op.execute("CREATE TABLE predictions (LIKE predictions_before INCLUDING DEFAULTS) PARTITION BY RANGE (logged_at)")
    # A key of a partitioned table holds what it is partitioned by.
    op.create_primary_key("pk_predictions", "predictions", ["prediction_id", "logged_at"])
    for column in INDEXES:
        op.create_index(f"ix_predictions_{column}", "predictions", [column])
    op.execute("CREATE TABLE predictions_default PARTITION OF predictions DEFAULT")
    newest = "SELECT max(logged_at) FROM predictions_before"
    if op.get_bind().exec_driver_sql(newest).scalar_one() is None:
        op.drop_table("predictions_before")
        return
    op.drop_constraint("pk_predictions_before", "predictions_before")
    op.create_primary_key("pk_predictions_before", "predictions_before", ["prediction_id", "logged_at"])
    midnight = "date_trunc('day', greatest(now(), ({})) AT TIME ZONE 'UTC') + interval '1 day'"
    end = op.get_bind().exec_driver_sql(f"SELECT {midnight.format(newest)}").scalar_one()
    op.get_bind().exec_driver_sql(
        "ALTER TABLE predictions ATTACH PARTITION predictions_before "
        f"FOR VALUES FROM (MINVALUE) TO ('{end:%Y-%m-%d} 00:00+00')"
    )


def downgrade() -> None:
    """Copy all rows back into one table."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("CREATE TABLE predictions_whole (LIKE predictions INCLUDING DEFAULTS)")
    op.execute("INSERT INTO predictions_whole SELECT * FROM predictions")
    op.drop_table("predictions")
    op.rename_table("predictions_whole", "predictions")
    op.create_primary_key("pk_predictions", "predictions", ["prediction_id"])
    for column in INDEXES:
        op.create_index(f"ix_predictions_{column}", "predictions", [column])
