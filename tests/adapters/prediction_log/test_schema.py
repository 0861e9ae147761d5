"""The migrations make the tables the code declares, keep rows, and no schema but theirs is written to."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from flightline.adapters.prediction_log.log import PredictionLog
from flightline.adapters.prediction_log.schema import (
    DOCUMENTS,
    METADATA,
    MIGRATION_LOCK,
    current_revision,
    head_revision,
    log_url,
    make_engine,
    migrate,
    place_of,
)
from flightline.core.errors import LogError
from tests.adapters.prediction_log.predictions import prediction, rows_by_name, settings_of

pytestmark = pytest.mark.slow

FIRST, BEFORE_FIELD_NAMES, BEFORE_CALLERS, BEFORE_CLASSES = "0001", "0004", "0005", "0006"
ADDED = ("caller", "probabilities")  # columns since migration 0005


def differences(settings, metadata: sa.MetaData) -> list:
    engine = make_engine(settings, is_bounded=False)
    with engine.connect() as connection:
        # PostgreSQL's partitions follow from their table.
        options = {"include_name": lambda name, kind, _: kind != "table" or not str(name).startswith("predictions_")}
        options |= {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, metadata)


def test_the_migrations_make_what_is_declared(unmigrated):
    assert current_revision(unmigrated) is None
    assert migrate(unmigrated) == head_revision()
    assert differences(unmigrated, METADATA) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.append_column(sa.Column("new", sa.Text)),
        lambda table: sa.Index("ix_new", table.c.role),
        lambda table: setattr(table.c.prediction, "type", sa.Text()),
        lambda table: setattr(table.c.request_id, "nullable", True),
    ],
    ids=["column", "index", "type", "nullable"],
)
def test_the_comparison_bites(settings, change):
    declared = sa.MetaData()
    for table in METADATA.tables.values():
        table.to_metadata(declared)
    change(declared.tables["predictions"])
    assert differences(settings, declared)


def test_a_step_down_and_up_keeps_the_rows(log, settings):
    log.write([prediction(), prediction()])
    before = log.read()
    assert migrate(settings, FIRST) == FIRST
    with pytest.raises(LogError, match=rf"at schema {FIRST}, expected {head_revision()}; run `make db-migrate`"):
        PredictionLog.open(settings)
    assert migrate(settings) == head_revision()
    assert log.read().equals(before)
    log.check()


def read_raw(settings, table: str) -> list[dict]:
    engine = make_engine(settings, is_bounded=False)
    with engine.connect() as connection:
        rows = connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY 1")).mappings().all()
    engine.dispose()
    return [dict(row) for row in rows]


def without(names, rows: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def insert(settings, rows: list[dict]) -> None:
    """Write predictions under the names they are given by, as code of then did."""
    engine = make_engine(settings, is_bounded=False)
    as_json = set(DOCUMENTS) if "postgresql" in engine.name else set()
    names = list(rows[0])
    values = ", ".join(f"CAST(:{name} AS JSON)" if name in as_json else f":{name}" for name in names)
    with engine.begin() as connection:
        connection.execute(sa.text(f"INSERT INTO predictions ({', '.join(names)}) VALUES ({values})"), rows)
    engine.dispose()


def fill_old_schema(settings, rows: list[dict]) -> None:
    """Write predictions and a write check under the names of before."""
    insert(settings, rows)
    engine = make_engine(settings, is_bounded=False)
    with engine.begin() as connection:
        checked = {"at": rows[0]["logged_at"]}
        connection.execute(
            sa.text("INSERT INTO log_probes (probe_id, written_at, filler) VALUES (1, :at, 'x')"), checked
        )
    engine.dispose()


def test_a_log_filled_under_the_old_names_keeps_every_row(unmigrated):
    settings = unmigrated
    made = [prediction(endpoint=endpoint) for endpoint in ("predict", "score", "predict")]
    dialect = log_url(settings).get_backend_name()
    renamed = {"event_time": "moment", "endpoint": "door"}
    migrate(settings, BEFORE_FIELD_NAMES)
    rows = without(ADDED, rows_by_name(made, dialect))
    fill_old_schema(settings, [{renamed.get(name, name): value for name, value in row.items()} for row in rows])
    before = read_raw(settings, "predictions")
    assert {row["door"] for row in before} == {"predict", "score"}
    migrate(settings)
    log = PredictionLog.open(settings)
    try:
        read = log.read().set_index("prediction_id")
        assert {row.prediction_id: (row.event_time, row.endpoint) for row in made} == {
            key: (row["event_time"], row["endpoint"]) for key, row in read.iterrows()
        }
        log.write([prediction()])
        assert log.count() == 4
    finally:
        log.close()
    assert [row["check_id"] for row in read_raw(settings, "write_checks")] == [1]
    migrate(settings, BEFORE_FIELD_NAMES)
    kept = {row["prediction_id"]: row for row in read_raw(settings, "predictions")}
    assert [kept[row["prediction_id"]] for row in before] == before


def test_a_log_filled_before_callers_keeps_every_row(unmigrated):
    settings, made = unmigrated, [prediction(), prediction()]
    migrate(settings, BEFORE_CALLERS)
    insert(settings, without(ADDED, rows_by_name(made, log_url(settings).get_backend_name())))
    before = read_raw(settings, "predictions")
    migrate(settings)
    new = {"caller": "-", "probabilities": None, "feature_list": None}
    assert read_raw(settings, "predictions") == [row | new for row in before]
    log = PredictionLog.open(settings)
    try:
        mine = prediction(caller="team")
        log.write([mine])
        assert log.read(columns=("caller",), ids=[mine.prediction_id])["caller"].tolist() == ["team"]
        assert sorted(log.read()["caller"]) == ["-", "-", "team"]
    finally:
        log.close()
    migrate(settings, BEFORE_CALLERS)
    kept = {row["prediction_id"]: row for row in read_raw(settings, "predictions")}
    assert [kept[row["prediction_id"]] for row in before] == before


def test_a_log_filled_before_classes_keeps_every_row(unmigrated):
    settings, made = unmigrated, [prediction(caller="team"), prediction()]
    migrate(settings, BEFORE_CLASSES)
    insert(settings, without(ADDED[1:], rows_by_name(made, log_url(settings).get_backend_name())))
    before = read_raw(settings, "predictions")
    migrate(settings)
    assert read_raw(settings, "predictions") == [row | {"probabilities": None, "feature_list": None} for row in before]
    migrate(settings, BEFORE_CLASSES)
    assert read_raw(settings, "predictions") == before
    migrate(settings)
    log = PredictionLog.open(settings)
    try:
        mine = prediction(probabilities={"rain": 0.7, "snow": 0.1, "fog": 0.2}, prediction=0.7)
        log.write([mine])
        assert log.read(ids=[mine.prediction_id])["probabilities"].tolist() == [mine.probabilities]
        assert log.read(ids=[row.prediction_id for row in made])["probabilities"].tolist() == [None, None]
    finally:
        log.close()
    with pytest.raises(LogError, match="holds the probabilities of 1 multiclass predictions, expected none: export"):
        migrate(settings, BEFORE_CLASSES)
    assert current_revision(settings) == head_revision()


def test_a_step_down_that_would_lose_predictions_is_refused(log, settings):
    log.write([prediction()])
    with pytest.raises(LogError, match="holds 1 rows, expected none: export them first"):
        migrate(settings, "base")
    # All steps down were one transaction, so none was taken.
    assert current_revision(settings) == head_revision()
    log.check()
    assert log.count() == 1


def test_an_empty_log_may_go_all_the_way_down(settings):
    assert migrate(settings, "base") is None
    assert migrate(settings) == head_revision()


def test_migrating_twice_changes_nothing(settings):
    assert migrate(settings) == head_revision()


def test_a_database_without_a_schema_is_refused(unmigrated):
    with pytest.raises(LogError, match=r"(make it with|at schema none, expected .* run) `make db-migrate`"):
        PredictionLog.open(unmigrated)


def test_the_default_file_makes_itself(tmp_path):
    settings = settings_of(tmp_path)
    PredictionLog.open(settings).close()
    assert current_revision(settings) == head_revision()
    assert settings.prediction_log_file.is_file()


def test_a_default_file_of_an_older_schema_waits_for_a_person(tmp_path):
    settings = settings_of(tmp_path)
    migrate(settings, FIRST)
    with pytest.raises(LogError, match="run `make db-migrate`"):
        PredictionLog.open(settings)


def test_a_schema_of_newer_code_is_refused(settings):
    engine = make_engine(settings)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(LogError, match=r"at schema 9999, expected .*deploy the code"):
        PredictionLog.open(settings)


def test_a_table_that_went_missing_is_named_in_words(log, settings):
    engine = make_engine(settings)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP VIEW named_predictions"))
        connection.execute(sa.text("DROP TABLE predictions"))
    engine.dispose()
    with pytest.raises(LogError, match=r"lacks a table or column .* run `make db-migrate`"):
        log.write([prediction()])


def test_a_migration_of_a_locked_file_gives_up(tmp_path):
    settings = settings_of(tmp_path, busy_timeout_seconds=0.2)
    migrate(settings)
    with sqlite3.connect(settings.prediction_log_file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogError, match="locked by another process"):
            migrate(settings)


def test_the_schema_of_a_locked_database_is_looked_at_without_waiting(settings, log):
    engine = make_engine(settings, is_bounded=False)
    waiter = ThreadPoolExecutor()
    with waiter, engine.connect().execution_options(is_writer=True) as other, other.begin():
        if engine.dialect.name == "postgresql":
            other.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        other.execute(sa.text("UPDATE write_checks SET filler = ''"))
        with pytest.raises(LogError, match="locked by another process"):
            log.check()  # it is locked
        assert waiter.submit(current_revision, settings).result(timeout=120) == head_revision()
    engine.dispose()


BEGIN_AND_LOOK = """
import sys
from pathlib import Path
import sqlalchemy as sa
from flightline.adapters.prediction_log.schema import {what}
from flightline.core.settings import Settings

@sa.event.listens_for(sa.Engine, "begin")
def look(_):
    print("alembic.runtime.migration" in sys.modules)

assert not [name for name in sys.modules if name.startswith("alembic")]
{what}(Settings(root=Path({root!r})))
"""


@pytest.mark.parametrize("what", ["current_revision", "migrate"])
def test_alembic_is_imported_before_the_log_is_locked(tmp_path, what):
    script = BEGIN_AND_LOOK.format(what=what, root=str(tmp_path))
    seen = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert seen.stdout.split() == ["True"]


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:hunter2@db/x",
        "postgresql://me:hunter2@db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///x.db?password=hunter2",
        "://me:hunter2@db/x",
        "postgresql://me:hunter2@db:port/x",
    ],
)
def test_a_url_that_will_not_do_is_refused_and_not_shown(tmp_path, url):
    with pytest.raises(LogError, match="expected sqlite:///file or postgresql://") as caught:
        PredictionLog.open(settings_of(tmp_path, url=url))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("", "SQLite file predictions.db"),
        ("sqlite:///folder/mine.db", "SQLite file mine.db"),
        ("postgresql://me:hunter2@db.inside:5432/log?password=hunter2", "PostgreSQL database log"),
        ("postgres://me:hunter2@db.inside/log", "PostgreSQL database log"),
    ],
)
def test_a_place_is_named_without_path_host_and_password(tmp_path, url, place):
    assert place_of(log_url(settings_of(tmp_path, url=url))) == place
