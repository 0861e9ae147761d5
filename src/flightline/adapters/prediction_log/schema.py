"""The prediction log's database: its tables, where it is, how to connect, and its migrations.

Rows go in and out by `log.py`. No message here shows a path, a host or a password.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from flightline.adapters.databases.sqlite_wal import enter_wal
from flightline.adapters.prediction_log.database_errors import fault_of
from flightline.adapters.prediction_log.partitions import add_days
from flightline.core.errors import LogError
from flightline.core.settings import Settings

METADATA = sa.MetaData()
_MOMENT = sa.String(32).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
# Not JSONB: it refuses some text, forgets the order of the features, and takes longer to write.
_DOCUMENT = sa.Text().with_variant(postgresql.JSON(), "postgresql")

PREDICTIONS = sa.Table(
    "predictions",
    METADATA,
    sa.Column("prediction_id", sa.String(32), nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("logged_at", _MOMENT, nullable=False),
    sa.Column("clock", _MOMENT, nullable=False),
    sa.Column("prediction_time", _MOMENT, nullable=False),
    sa.Column("event_time", _MOMENT, nullable=False),
    sa.Column("instance_key", sa.String(64), nullable=False),
    sa.Column("keys", _DOCUMENT, nullable=False),
    sa.Column("features", _DOCUMENT, nullable=False),
    sa.Column("event_timestamps", _DOCUMENT, nullable=False),
    sa.Column("watermarks", _DOCUMENT, nullable=False),
    sa.Column("missing", _DOCUMENT, nullable=False),
    sa.Column("prediction", sa.Double, nullable=False),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("feature_service", sa.Text, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("endpoint", sa.String(16), nullable=False),
    sa.Column("caller", sa.Text, nullable=False, server_default="-"),
    sa.Column("probabilities", _DOCUMENT, nullable=True),
    sa.Column("feature_list", sa.String(16), nullable=True),
    sa.PrimaryKeyConstraint("prediction_id", name="pk_predictions"),
    sa.Index("ix_predictions_logged_at", "logged_at"),
    sa.Index("ix_predictions_clock", "clock", "prediction_id"),
    sa.Index("ix_predictions_instance_key", "instance_key"),
)
FEATURE_LISTS = sa.Table(
    "feature_lists",
    METADATA,
    sa.Column("digest", sa.String(16), nullable=False),
    sa.Column("names", _DOCUMENT, nullable=False),
    sa.PrimaryKeyConstraint("digest", name="pk_feature_lists"),
)
WRITE_CHECKS = sa.Table(
    "write_checks",
    METADATA,
    sa.Column("check_id", sa.Integer, nullable=False),
    sa.Column("written_at", _MOMENT, nullable=False),
    sa.Column("filler", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("check_id", name="pk_log_probes"),
)
LABELS = sa.Table(
    "labels",
    METADATA,
    sa.Column("instance_key", sa.String(64), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("label", sa.Double, nullable=True),
    sa.Column("known_at", _MOMENT, nullable=False),
    sa.Column("recorded_at", _MOMENT, nullable=False),
    sa.Column("clock", _MOMENT, nullable=False),
    sa.Column("data_md5", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("instance_key", "revision", name="pk_labels"),
    sa.Index("ix_labels_known_at", "known_at"),
)
CANARY_COUNTS = sa.Table(
    "canary_counts",
    METADATA,
    sa.Column("count_id", sa.String(32), nullable=False),
    sa.Column("recorded_at", _MOMENT, nullable=False),
    sa.Column("canary", sa.Text, nullable=False),
    sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("slow", sa.Integer, nullable=False),
    sa.Column("dropped", sa.Integer, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.PrimaryKeyConstraint("count_id", name="pk_canary_counts"),
    sa.Index("ix_canary_counts_canary", "canary"),
)
COLUMNS = tuple(column.name for column in PREDICTIONS.columns if column.name != "feature_list")
MOMENTS = tuple(column.name for column in PREDICTIONS.columns if column.type is _MOMENT)
DOCUMENTS = tuple(column.name for column in PREDICTIONS.columns if column.type is _DOCUMENT)

_POSTGRES = {"postgres", "postgresql", "postgresql+psycopg"}
_SQLITE = {"sqlite", "sqlite+pysqlite"}
# Pages of 4 KiB after which a commit makes the checkpoint itself: far beyond what a thread lets the journal grow to, as
# `SideCheckpoints` has it.
_CHECKPOINT_PAGES = 32_000
# The server ends a statement itself, unless it stands still; its word of that has so long to arrive.
_ANSWER_SECONDS = 0.5
MIGRATION_LOCK = 0x666C_6967  # any constant: which advisory lock of PostgreSQL is held while migrating


def log_url(settings: Settings) -> sa.URL:
    """Say which database the settings name, with a driver this project has.

    Raises
    ------
    LogError
        If it is neither a SQLite file nor PostgreSQL; the message does not repeat it.
    """
    given = settings.prediction_log.url.get_secret_value()
    if not given:
        return sa.URL.create("sqlite", database=str(settings.prediction_log_file))
    try:
        url = sa.make_url(given)
    except (sa.exc.ArgumentError, ValueError):
        raise LogError(_BAD_URL) from None  # its own message holds the password
    if url.drivername in _SQLITE and url.database not in (None, "", ":memory:") and not url.query:
        return sa.URL.create("sqlite", database=str(settings.root / str(url.database)))
    if url.drivername in _POSTGRES and url.database:
        return url.set(drivername="postgresql+psycopg")
    raise LogError(_BAD_URL)


_BAD_URL = (
    "prediction_log.url is not one this project can use (it is not shown, for it may hold a password); expected "
    "sqlite:///file or postgresql://user:password@host/database, or nothing for a SQLite file under .state"
)


def place_of(url: sa.URL) -> str:
    """Name the database for a person, without path, host and password."""
    name = Path(str(url.database)).name
    return f"SQLite file {name}" if url.drivername == "sqlite" else f"PostgreSQL database {name}"


def connect_sqlite(settings: Settings, file: Path) -> sqlite3.Connection:
    """Connect to a SQLite file in WAL mode, making it if it is not there; transactions are begun by hand."""
    wanted = settings.prediction_log
    connection = sqlite3.connect(
        file, timeout=wanted.busy_timeout_seconds, isolation_level=None, check_same_thread=False
    )
    try:
        enter_wal(connection, wanted.busy_timeout_seconds)
        connection.execute(f"PRAGMA synchronous={wanted.synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    except BaseException:
        connection.close()
        raise
    return connection


def make_engine(settings: Settings, is_bounded: bool = True) -> sa.Engine:
    """Make an engine; it connects when first used.

    Parameters
    ----------
    is_bounded
        Whether PostgreSQL ends a statement after `busy_timeout_seconds`, and connections are kept for the next:
        for writing predictions, not for what is rare and may take its time.
    """
    url = log_url(settings)
    if url.drivername == "sqlite":
        return _sqlite_engine(settings, Path(str(url.database)))
    return _postgres_engine(settings, url, is_bounded)


def _sqlite_engine(settings: Settings, file: Path) -> sa.Engine:
    engine = sa.create_engine(
        "sqlite://", creator=lambda: connect_sqlite(settings, file), poolclass=sa.NullPool, hide_parameters=True
    )

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        is_writer = connection.get_execution_options().get("is_writer")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")

    return engine


def _postgres_engine(settings: Settings, url: sa.URL, is_bounded: bool) -> sa.Engine:
    patience = settings.prediction_log.busy_timeout_seconds
    milliseconds = int(patience * 1000)
    # A machine that went away without a word is given up too; of a process that stands still TCP knows nothing.
    wait = {"connect_timeout": max(2, round(patience)), "tcp_user_timeout": milliseconds, "keepalives_idle": 30}
    pool = {"pool_size": 2, "max_overflow": 8, "pool_timeout": patience} if is_bounded else {"poolclass": sa.NullPool}
    engine = sa.create_engine(url, connect_args=wait, hide_parameters=True, **pool)
    if is_bounded:
        from flightline.adapters.prediction_log.bounded_connection import bounded_connection

        @sa.event.listens_for(engine, "do_connect")
        def _make(_: object, __: object, arguments: list[Any], options: dict[str, Any]) -> Any:
            return bounded_connection(patience + _ANSWER_SECONDS).connect(*arguments, **options)

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(milliseconds * is_bounded)])
            # Who set it to remote_apply keeps that; who set it off does not get a log that forgets.
            cursor.execute(
                "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit')='off'"
            )
        connection.commit()

    return engine


def migrate(settings: Settings, revision: str = "head") -> str | None:
    """Bring the schema to a revision, up or down, in one transaction; several may try at once.

    Returns
    -------
    str or None
        The revision it is at now; None if it has none.

    Raises
    ------
    LogError
        If the database cannot be reached, or a step down would lose predictions.
    """
    from alembic import command

    with _migration(settings) as (connection, config):
        current = _revision_of(connection)
        # alembic cannot go up to what lies below.
        is_down = current is not None and revision != "head" and (revision == "base" or revision < current)
        (command.downgrade if is_down else command.upgrade)(config, revision)
        reached = _revision_of(connection)
        if reached == head_revision():
            add_days(connection, datetime.now(UTC).date())
        return reached


def current_revision(settings: Settings) -> str | None:
    """Tell the revision of the schema, None if the database has none yet; waits for no lock and takes none."""
    with connected(settings) as connection:
        return _revision_of(connection)


def head_revision() -> str:
    """Tell the revision this code is written for."""
    from alembic.script import ScriptDirectory

    return str(ScriptDirectory.from_config(_config()).get_current_head())


def ensure_schema(settings: Settings) -> None:
    """Demand the schema this code is written for; the default SQLite file gets it if it is new.

    Raises
    ------
    LogError
        If the database cannot be opened or its schema is another.
    """
    url = log_url(settings)
    is_default = not settings.prediction_log.url.get_secret_value()
    if not is_default and url.drivername == "sqlite" and not Path(str(url.database)).is_file():
        raise LogError(f"the {place_of(url)} of the prediction log is not there; make it with `make db-migrate`")
    current, head = current_revision(settings), head_revision()
    if current is None and is_default:
        current = migrate(settings)
    if current != head:
        raise LogError(
            f"the {place_of(url)} of the prediction log is at schema {current or 'none'}, expected {head}; "
            "run `make db-migrate`, or deploy the code that its schema was made by"
        )


def make_folder(settings: Settings) -> None:
    """Make the folder a SQLite file lies in."""
    url = log_url(settings)
    if url.drivername != "sqlite":
        return
    try:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise LogError(fault_of(err, place_of(url))) from err


def _config() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def connected(settings: Settings, is_writer: bool = False) -> Iterator[sa.Connection]:
    """Give a connection in a transaction, for what is rare and may take its time.

    Parameters
    ----------
    is_writer
        Whether a SQLite file is locked for other writers from the start.

    Raises
    ------
    LogError
        If the database cannot be reached, or refuses what is done in the block.
    """
    # Before the transaction: a worker that starts takes long over it, and the others could not write meanwhile.
    import alembic.runtime.migration  # noqa: F401

    make_folder(settings)
    engine = make_engine(settings, is_bounded=False)
    try:
        with engine.connect().execution_options(is_writer=is_writer) as connection, connection.begin():
            yield connection
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as err:
        raise LogError(fault_of(err, place_of(log_url(settings)))) from err
    finally:
        engine.dispose()


@contextmanager
def _migration(settings: Settings) -> Iterator[tuple[sa.Connection, Any]]:
    config = _config()
    with connected(settings, is_writer=True) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        yield connection, config


def _revision_of(connection: sa.Connection) -> str | None:
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()
