"""PostgreSQL's users and databases: made where a server is new, set right where it is not.

Tables are their owners' business: MLflow and Prefect make their own, the prediction log's come
by its migrations.
"""

from collections.abc import Iterator, Mapping
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from flightline.core.errors import LogError
from flightline.core.settings import DatabasesSettings


def ensure_databases(wanted: DatabasesSettings) -> Iterator[str]:
    """Give each name a user who may log in with its password, and a database that it alone enters, but for readers.

    Parameters
    ----------
    wanted
        The server, its administrator, the names with their passwords, and those of readers.

    Yields
    ------
    str
        A line for each database, once it is right. No line holds a password.

    Raises
    ------
    LogError
        If nothing is wanted, or the server cannot be reached or refuses.
    """
    if not wanted.passwords or not wanted.admin_url.get_secret_value():
        raise LogError(
            "no database is named: set FLIGHTLINE_DATABASES__ADMIN_URL, FLIGHTLINE_DATABASES__ADMIN_PASSWORD and a "
            "FLIGHTLINE_DATABASES__PASSWORDS__NAME for each database; on AWS the task `setup` has them"
        )
    if strangers := sorted(set(wanted.readers) - set(wanted.passwords)):
        raise LogError(
            f"no database is named for the reader(s) of {', '.join(strangers)}; name its owner's password too"
        )
    try:
        with _connect(wanted) as connection:
            yield from _ensure(connection, wanted.passwords)
            for database, password in sorted(wanted.readers.items()):
                _ensure_user(connection, reader := f"{database}_reader", password)
                connection.execute(_named("GRANT CONNECT ON DATABASE {} TO {}", database, reader))
                _let_read(wanted, database, reader)
                yield f"{database}: {reader} may read it"
    except psycopg.Error as err:
        reason = "" if err.diag.message_primary is None else f": {err.diag.message_primary}"
        raise LogError(
            f"PostgreSQL cannot be set up ({type(err).__name__}{reason}); check that the administrator's URL and "
            "password are right and that the server can be reached from here, then run this again"
        ) from err


def _connect(wanted: DatabasesSettings, database: str = "") -> psycopg.Connection:
    address = make_conninfo(
        wanted.admin_url.get_secret_value(),
        password=wanted.admin_password.get_secret_value(),
        dbname=database or None,
    )
    return psycopg.connect(address, autocommit=True)


def _let_read(wanted: DatabasesSettings, database: str, reader: str) -> None:
    """Let a user read what the owner of a database has in it, and will make there."""
    with _connect(wanted, database) as connection:
        connection.execute(_named("SET ROLE {}", database))
        connection.execute(_named("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}", reader))
        connection.execute(_named("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {}", reader))


def _named(statement: LiteralString, *names: str) -> sql.Composed:
    return sql.SQL(statement).format(*map(sql.Identifier, names))


def _ensure_user(connection: psycopg.Connection, name: str, password: SecretStr) -> None:
    is_there = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None
    # Only its digest travels: the server logs such statements.
    digest = connection.pgconn.encrypt_password(password.get_secret_value().encode(), name.encode(), b"scram-sha-256")
    statement = sql.SQL("{} ROLE {} LOGIN PASSWORD {}")
    verb = sql.SQL("ALTER" if is_there else "CREATE")
    connection.execute(statement.format(verb, sql.Identifier(name), sql.Literal(digest.decode())))


def _ensure(connection: psycopg.Connection, passwords: Mapping[str, SecretStr]) -> Iterator[str]:
    # CREATE DATABASE knows no IF NOT EXISTS.
    databases = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
    for name, password in sorted(passwords.items()):
        _ensure_user(connection, name, password)
        if name not in databases:
            # An administrator who is no superuser, as on RDS, gives away only to roles that it is in.
            connection.execute(_named("GRANT {} TO CURRENT_USER", name))
            connection.execute(_named("CREATE DATABASE {} OWNER {}", name, name))
        connection.execute(_named("REVOKE ALL ON DATABASE {} FROM PUBLIC", name))
        yield f"{name}: {'is there' if name in databases else 'made'}, with its own user"
