"""The prediction log: tables, writers, labels, retention, migrations."""
