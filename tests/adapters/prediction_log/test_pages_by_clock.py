"""Rows in the order of the clock are read page after page, as fast where the clock stands still."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from flightline.adapters.prediction_log.log import PredictionLog
from flightline.adapters.prediction_log.schema import log_url, make_engine, migrate
from tests.adapters.prediction_log.predictions import CLOCK, LOGGED, prediction, rows_by_name
from tests.adapters.prediction_log.test_schema import insert, read_raw

pytestmark = pytest.mark.slow

BEFORE = "0009"


def index_of(settings) -> list[str | None]:
    engine = make_engine(settings, is_bounded=False)
    found = {index["name"]: index["column_names"] for index in sa.inspect(engine).get_indexes("predictions")}
    engine.dispose()
    return found["ix_predictions_clock"]


def indexed_partitions(settings) -> tuple[int, int]:
    """Count the partitions of PostgreSQL, and those of them that have the index of both columns."""
    engine = make_engine(settings, is_bounded=False)
    with engine.connect() as connection:
        leaves = "SELECT relid::regclass::text FROM pg_partition_tree('predictions') WHERE isleaf"
        names = connection.exec_driver_sql(leaves).scalars().all()
        indexes = connection.exec_driver_sql("SELECT tablename, indexdef FROM pg_indexes").all()
    engine.dispose()
    return len(names), len(set(names) & {table for table, text in indexes if text.endswith("(clock, prediction_id)")})


def test_a_log_filled_before_the_index_keeps_every_row(unmigrated):
    settings, dialect = unmigrated, log_url(unmigrated).get_backend_name()
    migrate(settings, BEFORE)
    made = [prediction(caller="team", logged_at=LOGGED + timedelta(days=n % 2)) for n in range(5)]
    insert(settings, rows_by_name(made, dialect))
    before = read_raw(settings, "predictions")
    assert index_of(settings) == ["clock"]
    migrate(settings)
    assert read_raw(settings, "predictions") == before
    assert index_of(settings) == ["clock", "prediction_id"]
    if dialect == "postgresql":
        partitions, indexed = indexed_partitions(settings)
        assert partitions == indexed > 1
    log = PredictionLog.open(settings)
    try:
        log.write([prediction(logged_at=LOGGED)])
        assert sum(map(len, log.parts(by="clock", rows_at_once=2))) == len(made) + 1
    finally:
        log.close()
    migrate(settings, BEFORE)
    assert index_of(settings) == ["clock"]
    kept = {row["prediction_id"]: row for row in read_raw(settings, "predictions")}
    assert [kept[row["prediction_id"]] for row in before] == before


@pytest.mark.parametrize("by", ["clock", "logged_at"])
def test_a_later_page_begins_where_the_one_before_it_ended(log, settings, by):
    made = [prediction(clock=CLOCK, logged_at=LOGGED) for _ in range(7)]
    log.write(made)
    statements: list[tuple[str, object]] = []
    sa.event.listen(log._engine, "before_cursor_execute", lambda *given: statements.append(given[2:4]))
    parts = list(log.parts(by=by, columns=("prediction_id",), rows_at_once=3))
    assert [key for part in parts for key in part["prediction_id"]] == sorted(row.prediction_id for row in made)
    if log_url(settings).get_backend_name() == "postgresql" or by == "logged_at":
        return  # of so few rows PostgreSQL uses no index
    _, (later, parameters), *_ = (given for given in statements if "LIMIT" in given[0])
    with log._engine.connect() as connection:
        plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {later}", parameters).all())
    assert "(clock=? AND prediction_id>?)" in plan
    assert "TEMP B-TREE" not in plan
