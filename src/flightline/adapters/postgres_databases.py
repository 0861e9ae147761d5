"""PostgreSQL's users and databases: made where a server is new, set right where it is not.

Tables are their owners' business: MLflow and Prefect make their own, the prediction log's come
by its migrations.
"""

from collections.abc import Iterator, Mapping

import psycopg
from psycopg import sql
from pydantic import SecretStr

from flightline.core.errors import LogError
from flightline.core.settings import DatabasesSettings


def ensure_databases(wanted: DatabasesSettings) -> Iterator[str]:
    """Give each name a user who may log in with its password, and a database that it alone enters.

    Parameters
    ----------
    wanted
        The server, its administrator, and the names with their passwords.

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
    try:
        with psycopg.connect(
            wanted.admin_url.get_secret_value(), password=wanted.admin_password.get_secret_value(), autocommit=True
        ) as connection:
            yield from _ensure(connection, wanted.passwords)
    except psycopg.Error as err:
        reason = "" if err.diag.message_primary is None else f": {err.diag.message_primary}"
        raise LogError(
            f"PostgreSQL cannot be set up ({type(err).__name__}{reason}); check that the administrator's URL and "
            "password are right and that the server can be reached from here, then run this again"
        ) from err


def _ensure(connection: psycopg.Connection, passwords: Mapping[str, SecretStr]) -> Iterator[str]:
    # CREATE DATABASE knows no IF NOT EXISTS.
    users = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    databases = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
    for name, password in sorted(passwords.items()):
        user = sql.Identifier(name)
        verb = sql.SQL("ALTER" if name in users else "CREATE")
        # Only its digest travels: the server logs such statements.
        digest = connection.pgconn.encrypt_password(
            password.get_secret_value().encode(), name.encode(), b"scram-sha-256"
        ).decode()
        connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, user, sql.Literal(digest)))
        if name not in databases:
            # An administrator who is no superuser, as on RDS, gives away only to roles that it is in.
            connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(user))
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(user, user))
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(user))
        yield f"{name}: {'is there' if name in databases else 'made'}, with its own user"
