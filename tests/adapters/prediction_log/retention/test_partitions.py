"""In PostgreSQL a day of the log is a partition: made ahead, dropped whole, and never with a row that is in no file."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pandas as pd
import psycopg
import pytest
import sqlalchemy as sa

from flightline.adapters.prediction_log import partitions, retention
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.adapters.prediction_log.partitions import DAYS_AHEAD, add_days, days_of, drop_day, name_of
from flightline.adapters.prediction_log.schema import head_revision, make_engine, migrate
from flightline.core.settings import Settings
from tests.adapters.prediction_log.predictions import prediction, rows_by_name, settings_of
from tests.adapters.prediction_log.retention.days import DAY, MIDNIGHT, NOW, exported, fill, kill_at, move
from tests.adapters.prediction_log.test_schema import insert, read_raw
from tests.support.servers.postgres import PostgresServer

pytestmark = pytest.mark.slow


@pytest.fixture
def unmigrated(tmp_path, postgres_server: PostgresServer) -> Settings:
    return settings_of(tmp_path, url=postgres_server.new_database())


@pytest.fixture
def settings(unmigrated: Settings) -> Settings:
    migrate(unmigrated)
    return unmigrated


@pytest.fixture
def engine(settings: Settings) -> Iterator[sa.Engine]:
    engine = make_engine(settings, is_bounded=False)
    yield engine
    engine.dispose()


@pytest.fixture
def log(settings: Settings, engine: sa.Engine) -> Iterator[PredictionLog]:
    """A log that has partitions of the days of the tests."""
    with engine.begin() as connection:
        add_days(connection, MIDNIGHT.date(), 2)
    opened = PredictionLog.open(settings)
    yield opened
    opened.close()


def days(engine: sa.Engine) -> list:
    with engine.connect() as connection:
        return days_of(connection)


def rows_in(settings: Settings, table: str) -> int:
    return len(read_raw(settings, table))


def past(engine: sa.Engine) -> list:
    return [day for day in days(engine) if day < NOW.date()]


def test_days_are_made_ahead_by_the_migration_and_by_retention(settings, engine):
    today = datetime.now(UTC).date()
    made = days(engine)
    assert len(made) == DAYS_AHEAD
    assert today in made or today - timedelta(days=1) in made  # midnight may pass
    move(settings)
    assert [day for day in days(engine) if day not in made] == [NOW.date() + n * DAY for n in range(DAYS_AHEAD)]
    migrate(settings)  # again: nothing is made twice
    move(settings)


def test_a_day_is_dropped_whole(log, settings, engine):
    before = fill(log, 3, MIDNIGHT)
    fill(log, 2, MIDNIGHT + DAY)
    assert (rows_in(settings, name_of(MIDNIGHT.date())), rows_in(settings, "predictions_default")) == (3, 0)
    assert [(day.rows, day.exported, day.deleted) for day in move(settings, MIDNIGHT + DAY)] == [(3, 3, 3)]
    assert past(engine) == [MIDNIGHT.date() + DAY]
    assert exported(settings).equals(before)
    assert log.count() == 2


def test_days_on_which_nobody_asked_are_dropped_too(log, settings, engine):
    fill(log, 1, MIDNIGHT + DAY)
    assert move(settings, MIDNIGHT + DAY) == []
    assert past(engine) == [MIDNIGHT.date() + DAY]
    assert log.count() == 1


def test_a_late_row_is_not_dropped_with_its_day(log, settings, engine, monkeypatch):
    before, late = fill(log, 3), prediction(logged_at=MIDNIGHT + DAY - timedelta(seconds=1))

    def write_and_drop(*given: object) -> bool:
        monkeypatch.undo()
        log.write([late])
        return drop_day(*given)

    monkeypatch.setattr(retention, "drop_day", write_and_drop)
    assert [(day.rows, day.deleted) for day in move(settings)] == [(3, 3)]
    assert log.read()["prediction_id"].tolist() == [late.prediction_id]
    assert [(day.rows, day.deleted) for day in move(settings)] == [(4, 1)]
    assert past(engine) == []
    moved = exported(settings)["prediction_id"].tolist()
    assert moved == [*before["prediction_id"], late.prediction_id]


def test_a_read_by_ids_looks_into_their_days_alone(log, engine):
    log.write([prediction(logged_at=MIDNIGHT), prediction(logged_at=MIDNIGHT + DAY)])
    first, second = log.read()["prediction_id"]
    statements: list[tuple[str, dict]] = []
    sa.event.listen(log._engine, "before_cursor_execute", lambda *given: statements.append(given[2:4]))
    assert log.read(ids=[second])["prediction_id"].tolist() == [second]
    ((statement, parameters),) = statements
    with engine.connect() as connection:
        plan = str(connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).all())
    assert name_of((MIDNIGHT + DAY).date()) in plan
    assert name_of(MIDNIGHT.date()) not in plan
    old = prediction(prediction_id=uuid.uuid4().hex, logged_at=MIDNIGHT)  # an earlier version's
    log.write([old])
    asked = [first, second, old.prediction_id]
    assert set(log.read(ids=asked)["prediction_id"]) == set(asked)


def test_who_reads_for_long_holds_up_neither_retention_nor_writers(log, settings, engine, monkeypatch):
    monkeypatch.setattr(partitions, "TRIES", 1)
    before = fill(log, 3)
    with psycopg.connect(settings.prediction_log.url.get_secret_value()) as reader:
        reader.execute("SELECT count(*) FROM predictions")  # and its transaction stays open
        assert [(day.rows, day.deleted) for day in move(settings)] == [(3, 3)]
        log.write([prediction(logged_at=NOW)])
    assert exported(settings).equals(before)
    assert MIDNIGHT.date() in past(engine)  # its rows were deleted one by one
    move(settings)
    assert past(engine) == []
    assert log.count() == 1


@pytest.mark.system
def test_kill_9_while_a_day_is_dropped_loses_and_doubles_nothing(log, settings, engine):
    before = fill(log, 3)
    kill_at(settings, "commit", 1)
    assert log.count() == 3
    assert [(day.rows, day.exported, day.deleted) for day in move(settings)] == [(3, 0, 3)]
    assert past(engine) == []
    assert exported(settings).equals(before)


def test_a_log_filled_before_there_were_days_keeps_every_row_and_is_thinned_out(unmigrated):
    settings, now = unmigrated, datetime.now(UTC)
    made = [prediction(logged_at=moment) for moment in (MIDNIGHT, MIDNIGHT + DAY, now)]
    migrate(settings, "0007")
    insert(settings, rows_by_name(made, "postgresql"))
    old = [row | {"feature_list": None} for row in read_raw(settings, "predictions")]
    assert migrate(settings) == head_revision()
    assert read_raw(settings, "predictions") == read_raw(settings, "predictions_before") == old
    log = PredictionLog.open(settings)
    try:
        log.write(
            [prediction(logged_at=now), prediction(logged_at=now + 2 * DAY), prediction(logged_at=now + 99 * DAY)]
        )
        assert rows_in(settings, "predictions_before") == 4
        assert rows_in(settings, name_of((now + 2 * DAY).date())) == 1
        assert rows_in(settings, "predictions_default") == 1
        assert [(day.rows, day.deleted) for day in move(settings)] == [(1, 1), (1, 1)]
        assert log.count() == 4
        migrate(settings, "0007")
        assert len(read_raw(settings, "predictions")) == 4
        migrate(settings)
        assert log.count() == 4
    finally:
        log.close()


def test_a_day_whose_rows_are_elsewhere_is_left_out_and_others_are_made(settings, engine):
    log = PredictionLog.open(settings)
    log.write([prediction(logged_at=MIDNIGHT + DAY)])
    log.close()
    with engine.begin() as connection:
        add_days(connection, MIDNIGHT.date(), 3)
    assert past(engine) == [MIDNIGHT.date(), MIDNIGHT.date() + 2 * DAY]
    assert rows_in(settings, "predictions") == 1


def test_an_order_by_the_log_reads_days_as_one(log, settings):
    for n in (2, 0, 1):
        fill(log, 2, MIDNIGHT + n * DAY)
    read = log.read()
    assert read["logged_at"].is_monotonic_increasing
    assert log.read(start=MIDNIGHT + DAY, end=MIDNIGHT + 2 * DAY).equals(read[2:4].reset_index(drop=True))
    assert isinstance(read, pd.DataFrame)
    assert log.read(ids=[read["prediction_id"][5]])["prediction_id"].tolist() == [read["prediction_id"][5]]
