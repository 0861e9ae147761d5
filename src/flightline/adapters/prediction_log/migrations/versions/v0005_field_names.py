"""Names of the field: moment is event_time, door is endpoint, and what checks that the log can be written says so."""

from alembic import op

revision = "0005"
down_revision = "0004"

# By table, its columns of before and what they are called from here on.
COLUMNS = {
    "predictions": {"moment": "event_time", "door": "endpoint"},
    "log_probes": {"probe_id": "check_id"},
}
TABLES = {"log_probes": "write_checks"}


def upgrade() -> None:
    """Rename in place: neither database copies a row for it."""
    for table, renamed in COLUMNS.items():
        for old, new in renamed.items():
            op.alter_column(table, old, new_column_name=new)
    for old, new in TABLES.items():
        op.rename_table(old, new)


def downgrade() -> None:
    """Give all of them their old names back."""
    for old, new in TABLES.items():
        op.rename_table(new, old)
    for table, renamed in COLUMNS.items():
        for old, new in renamed.items():
            op.alter_column(table, new, new_column_name=old)
