"""What SQLite and PostgreSQL need besides SQLAlchemy."""
