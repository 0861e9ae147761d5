"""PostgreSQL that is stopped, killed, wrong or slow: refused within a bound, and met again when it is back."""

import signal
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import psycopg
import pytest

from flightline.adapters.prediction_log.log import PredictionLog
from flightline.adapters.prediction_log.schema import migrate
from flightline.core.errors import LogError
from flightline.core.settings import Settings
from tests.adapters.prediction_log.predictions import prediction, settings_of
from tests.support.servers.postgres import PASSWORD, PostgresServer, find_postgres, run_postgres

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A server of this file's own, since it is stopped; the other one says whether it can be had."""
    assert find_postgres()
    yield from run_postgres()


@pytest.fixture
def settings(server: PostgresServer, tmp_path) -> Settings:
    settings = settings_of(tmp_path, url=server.new_database(), busy_timeout_seconds=2)
    migrate(settings)
    return settings


@pytest.fixture
def log(settings: Settings) -> Iterator[PredictionLog]:
    opened = PredictionLog.open(settings)
    yield opened
    opened.close()


def admin(server: PostgresServer, settings: Settings) -> psycopg.Connection:
    return psycopg.connect(settings.prediction_log.url.get_secret_value(), autocommit=True)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "killed"])
def test_a_server_that_went_away_and_came_back(log, server, how):
    log.write([prediction()])
    server.stop(how)
    for refused in (log.check, lambda: log.write([prediction()]), lambda: log.write([prediction()] * 2), log.count):
        with pytest.raises(LogError, match="cannot be reached; check that it is up"):
            refused()
    server.start()
    log.check()
    log.write([prediction()])
    assert log.count() == 2


@pytest.mark.parametrize("rows", [1, 3])
def test_a_server_restarted_between_two_writes_is_not_noticed(log, server, rows):
    log.write([prediction()])
    server.stop(signal.SIGQUIT)
    server.start()
    log.write([prediction() for _ in range(rows)])
    assert log.count() == 1 + rows


def test_a_retry_after_a_lost_answer_writes_nothing_twice(log):
    # The second statement is what is sent when the first one's fate is unknown.
    from flightline.adapters.prediction_log import writers
    from flightline.adapters.prediction_log.rows import encode

    rows = encode([prediction(), prediction()], "postgresql")
    log._writer.write(rows[:1])
    log._writer._execute(writers._work(rows, writers.UNLESS_THERE))
    log._writer._execute(writers._work(rows[:1], writers.UNLESS_THERE))
    assert log.count() == 2


def test_a_connection_that_was_ended_is_made_again(log, server, settings):
    log.write([prediction()])
    with admin(server, settings) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )
    log.write([prediction()])
    assert log.count() == 2


def test_a_locked_table_is_waited_for_no_longer_than_the_bound(log, server, settings):
    log.write([prediction()])
    with admin(server, settings) as connection, connection.transaction():
        connection.execute("LOCK TABLE predictions IN EXCLUSIVE MODE")
        # The lock stays, so without a bound this would never end.
        with pytest.raises(LogError, match="locked by another process for longer than busy_timeout_seconds"):
            log.write([prediction()])
    log.write([prediction()])
    assert log.count() == 2


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    """Stop the server and all that work for it, as a machine does that has no memory left: sockets stay open."""
    main = psutil.Process(server._process.pid)
    stopped = [main, *main.children(recursive=True)]
    for process in stopped:
        process.suspend()
    try:
        yield
    finally:
        for process in stopped:
            process.resume()


def test_a_frozen_server_is_given_up_by_a_new_connection(log, server, settings):
    other = PredictionLog(settings)
    with frozen(server), pytest.raises(LogError, match="cannot be reached"):
        other.check()
    other.close()


@pytest.mark.parametrize("rows", [1, 3])
def test_a_frozen_server_is_given_up_by_an_open_connection(log, server, rows):
    acknowledged = prediction()
    log.write([acknowledged])
    # A deadline of the test's own, since without one in the code this would never end.
    with ThreadPoolExecutor() as pool, frozen(server):
        writing = pool.submit(log.write, [prediction() for _ in range(rows)])
        with pytest.raises(LogError, match="gave no answer within busy_timeout_seconds"):
            writing.result(timeout=120)
    log.write([prediction()])
    assert acknowledged.prediction_id in set(log.read()["prediction_id"])


def test_a_database_that_takes_no_writes(log, server, settings):
    name = settings.prediction_log.url.get_secret_value().rsplit("/", 1)[-1]
    with admin(server, settings) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        fresh = PredictionLog(settings)
        with pytest.raises(LogError, match="takes no writes"):
            fresh.check()
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    fresh.check()
    fresh.close()


def test_a_server_that_forgets_is_made_to_remember(log, server, settings):
    name = settings.prediction_log.url.get_secret_value().rsplit("/", 1)[-1]
    with admin(server, settings) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    fresh = PredictionLog(settings)
    with fresh._writer._engine.connect() as writer:
        assert writer.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    fresh.close()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda url: url.replace(PASSWORD, "not-" + PASSWORD), "cannot be reached|refuses the user or the password"),
        (lambda url: url.rsplit("/", 1)[0] + "/absent", "cannot be reached|does not exist"),
        (lambda url: url.replace("127.0.0.1:", "127.0.0.1:1"), "cannot be reached|not one this project can use"),
    ],
    ids=["password", "database", "port"],
)
def test_no_error_shows_the_password(settings, tmp_path, wrong, words):
    url = wrong(settings.prediction_log.url.get_secret_value())
    with pytest.raises(LogError, match=words) as caught:
        PredictionLog.open(settings_of(tmp_path, url=url))
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_a_row_shows_in_no_error(log):
    row = prediction(request_id="a-secret-of-somebody")
    log.write([row])
    with pytest.raises(LogError) as caught:
        log.write([row])
    assert "holds one of these prediction ids already" in str(caught.value)
    assert "a-secret-of-somebody" not in str(caught.value)
