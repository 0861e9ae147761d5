"""Users and databases on a real PostgreSQL: each its own, made once, set right on every run."""

import psycopg
import pytest
from pydantic import SecretStr

from flightline.adapters.databases.postgres_databases import ensure_databases
from flightline.core.errors import LogError
from flightline.core.settings import DatabasesSettings, Settings
from pipelines.commands.databases import set_up
from tests.support.servers.postgres import PASSWORD, PostgresServer


@pytest.fixture
def server(postgres_server: PostgresServer):
    """The server, cleared of what a test has made."""
    yield postgres_server
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        for name in ("mlflow", "predictions"):
            connection.execute(f"DROP DATABASE IF EXISTS {name}")
            connection.execute(f"DROP ROLE IF EXISTS {name}_reader")
            connection.execute(f"DROP ROLE IF EXISTS {name}")


def wanted(server: PostgresServer, **passwords: str) -> DatabasesSettings:
    url = f"postgresql://tester@127.0.0.1:{server.port}/postgres"
    return DatabasesSettings(admin_url=url, admin_password=PASSWORD, passwords=passwords)


def log_in(server: PostgresServer, user: str, password: str, database: str) -> None:
    url = f"postgresql://{user}:{password}@127.0.0.1:{server.port}/{database}"
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS mine (number integer)")


def test_each_user_enters_its_own_database_and_no_other(server):
    lines = list(ensure_databases(wanted(server, mlflow="one", predictions="two")))
    assert lines == ["mlflow: made, with its own user", "predictions: made, with its own user"]
    log_in(server, "mlflow", "one", "mlflow")
    log_in(server, "predictions", "two", "predictions")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        log_in(server, "mlflow", "one", "predictions")


def test_a_second_run_keeps_the_data_and_sets_the_new_password(server):
    list(ensure_databases(wanted(server, mlflow="one")))
    log_in(server, "mlflow", "one", "mlflow")
    assert list(ensure_databases(wanted(server, mlflow="another"))) == ["mlflow: is there, with its own user"]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        log_in(server, "mlflow", "one", "mlflow")
    with psycopg.connect(server.url("mlflow")) as connection:
        assert connection.execute("SELECT count(*) FROM mine").fetchone() == (0,)


def test_no_password_reaches_the_servers_log(server):
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_statement = 'ddl'")
        connection.execute("SELECT pg_reload_conf()")
    list(ensure_databases(wanted(server, mlflow="very-secret-word")))
    log = (server.folder / "log").read_text()
    assert "ROLE" in log
    assert "very-secret-word" not in log


def test_an_administrator_who_is_no_superuser_can_do_it(server):
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE chief LOGIN CREATEROLE CREATEDB PASSWORD 'boss'")
    try:
        url = f"postgresql://chief@127.0.0.1:{server.port}/postgres"
        passwords = {"mlflow": "one"}
        given = DatabasesSettings(admin_url=url, admin_password="boss", passwords=passwords, readers=passwords)
        list(ensure_databases(given))
        list(ensure_databases(given))
        log_in(server, "mlflow", "one", "mlflow")
    finally:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS mlflow")
            connection.execute("DROP OWNED BY chief")
            connection.execute("DROP ROLE chief")


def test_the_log_opens_by_a_url_without_a_password(server, monkeypatch, tmp_path):
    monkeypatch.setenv("PGPASSWORD", "two")
    url = f"postgresql://predictions@127.0.0.1:{server.port}/predictions"
    set_up(Settings(root=tmp_path, databases=wanted(server, predictions="two"), prediction_log={"url": url}))
    with psycopg.connect(server.url("predictions")) as connection:
        assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (0,)


def test_a_wrong_password_is_told_and_not_shown(server):
    given = wanted(server, mlflow="one").model_copy(update={"admin_password": Settings().databases.admin_password})
    with pytest.raises(LogError, match="cannot be set up") as caught:
        list(ensure_databases(given))
    assert PASSWORD not in str(caught.value)


def test_nothing_wanted_is_refused():
    with pytest.raises(LogError, match="no database is named"):
        list(ensure_databases(DatabasesSettings()))


def test_a_reader_reads_what_its_owner_makes_and_writes_nothing(server):
    given = wanted(server, mlflow="one").model_copy(update={"readers": {"mlflow": SecretStr("read")}})
    assert list(ensure_databases(given))[-1] == "mlflow: mlflow_reader may read it"
    log_in(server, "mlflow", "one", "mlflow")
    list(ensure_databases(given))
    url = f"postgresql://mlflow_reader:read@127.0.0.1:{server.port}/"
    with psycopg.connect(url + "mlflow", autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM mine").fetchone() == (0,)
        for statement in ("INSERT INTO mine VALUES (1)", "DELETE FROM mine", "DROP TABLE mine", "CREATE TABLE t ()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_a_reader_without_a_database_is_refused(server):
    given = wanted(server, mlflow="one").model_copy(update={"readers": {"feast": SecretStr("read")}})
    with pytest.raises(LogError, match=r"no database is named for the reader\(s\) of feast"):
        list(ensure_databases(given))
