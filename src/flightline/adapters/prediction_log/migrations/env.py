"""What alembic runs: it is given an open connection in a transaction, so a step is taken whole or not at all."""

from alembic import context

from flightline.adapters.prediction_log.schema import METADATA


def _run() -> None:
    # SQLite takes back DDL as well, since schema.py begins its transactions itself.
    context.configure(
        connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True
    )
    with context.begin_transaction():
        context.run_migrations()


# The name under which alembic loads this file; imported by anything else it does nothing.
if __name__ == "env_py":
    _run()
