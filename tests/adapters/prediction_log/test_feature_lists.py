"""Features lie in the log without their names, and no row lies there without the list of them."""

import json
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from flightline.adapters.prediction_log.feature_lists import list_of
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.adapters.prediction_log.schema import current_revision, head_revision, log_url, make_engine, migrate
from flightline.core.errors import LogError
from tests.adapters.prediction_log.predictions import prediction, rows_by_name, settings_of
from tests.adapters.prediction_log.retention.days import exported, move
from tests.adapters.prediction_log.test_schema import insert, read_raw

pytestmark = pytest.mark.slow

BEFORE = "0008"
# What SQL's own functions would round, drop or write otherwise.
ODD = {
    "sum": 0.1 + 0.2,
    "least": 5e-324,
    "below": -0.0,
    "endless": float("inf"),
    "none": None,
    'a "name", größer': 'a "text"\n',
    "count": 3,
}
OTHER = {"b": 1.5, "a": 2.5}


def execute(settings, statement: str) -> list:
    engine = make_engine(settings, is_bounded=False)
    with engine.begin() as connection:
        found = connection.exec_driver_sql(statement)
        rows = [tuple(row) for row in found] if found.returns_rows else []
    engine.dispose()
    return rows


def features_in(log: PredictionLog, *made) -> list[dict]:
    read = log.read(ids=[one.prediction_id for one in made]).set_index("prediction_id")["features"]
    return [read[one.prediction_id] for one in made]


def test_names_lie_there_once(log, settings):
    log.write(
        [prediction(features=OTHER), prediction(features=OTHER), prediction(features=dict(reversed(OTHER.items())))]
    )
    log.write([prediction(features=OTHER)])
    rows = execute(settings, "SELECT feature_list, CAST(features AS TEXT) FROM predictions ORDER BY 2")
    lists = execute(settings, "SELECT digest, CAST(names AS TEXT) FROM feature_lists ORDER BY 2")
    there, back = list_of(("a", "b")), list_of(("b", "a"))
    assert lists == [there, back]
    assert rows == [(back[0], "[1.5,2.5]")] * 3 + [(there[0], "[2.5,1.5]")]


def test_the_view_has_the_names_and_every_digit(log, settings):
    log.write([prediction(features=ODD, request_id="1")])
    insert(settings, rows_by_name([prediction(features=ODD, request_id="2")], log_url(settings).get_backend_name()))
    shown = execute(settings, "SELECT CAST(features AS TEXT), request_id, prediction FROM named_predictions ORDER BY 2")
    assert [row[1:] for row in shown] == [("1", 0.1 + 0.2), ("2", 0.1 + 0.2)]
    for text, *_ in shown:
        read = json.loads(text)
        assert list(read.items()) == list((ODD | {"endless": {"float": "inf"}}).items())
        assert str(read["below"]) == "-0.0"


def test_the_view_shows_each_column_of_the_table(log, settings):
    made = prediction(caller="team")
    log.write([made])
    (row,), (shown,) = (read_raw(settings, name) for name in ("predictions", "named_predictions"))
    del row["feature_list"]
    assert list(shown) == list(row)
    assert {**shown, "features": None} == {**row, "features": None}


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_that_went_missing_is_written_again(log, settings, count):
    log.write([prediction()])
    execute(settings, "DELETE FROM feature_lists")
    log.write([prediction() for _ in range(count)])
    assert [row["features"] for _, row in log.read().iterrows()] == [prediction().features] * (count + 1)


@pytest.mark.parametrize("count", [1, 3])
def test_rows_of_a_known_and_a_new_list_are_written_together(log, count):
    log.write([prediction()])
    made = [prediction(), *(prediction(features=OTHER) for _ in range(count))]
    log.write(made)
    assert features_in(log, *made) == [prediction().features] + [OTHER] * count


def test_what_is_refused_leaves_no_list_behind(log, settings):
    made = prediction()
    log.write([made])
    with pytest.raises(LogError, match="holds one of these prediction ids already"):
        log.write([prediction(features=OTHER), made])
    assert execute(settings, "SELECT count(*) FROM feature_lists") == [(1,)]


def test_workers_that_begin_at_once_write_one_list(settings):
    logs = [PredictionLog.open(settings) for _ in range(6)]
    with ThreadPoolExecutor(len(logs)) as pool:
        list(pool.map(lambda log: [log.write([prediction()]) for _ in range(5)], logs))
    assert logs[0].count() == 30
    assert len(execute(settings, "SELECT digest FROM feature_lists")) == 1
    for log in logs:
        log.close()


def test_a_file_brought_back_from_a_copy_gets_its_list_again(tmp_path):
    """Over the connection that has written the list: SQLite's own restore keeps the file's place."""
    settings = settings_of(tmp_path)
    log = PredictionLog.open(settings)
    with closing(sqlite3.connect(settings.prediction_log_file)) as file, closing(sqlite3.connect(":memory:")) as copy:
        file.backup(copy)
        log.write([prediction()])
        copy.backup(file)
    log.write([prediction(features=OTHER)])
    assert [row["features"] for _, row in log.read().iterrows()] == [OTHER]
    # And one that was moved away, for a new one in its place.
    shutil.move(settings.prediction_log_file, tmp_path / "away.db")
    log.write([prediction(features=OTHER)])
    assert [row["features"] for _, row in log.read().iterrows()] == [OTHER]
    log.close()


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM feature_lists",
        """UPDATE feature_lists SET names = '["mean","share","count","kind"]'""",
        "UPDATE feature_lists SET names = '5'",
        "UPDATE feature_lists SET names = '[[1],[2]]'",
    ],
    ids=["lost", "altered", "no list", "no names"],
)
def test_rows_are_not_read_under_names_that_are_not_theirs(settings, log, change):
    log.write([prediction()])
    execute(settings, change)
    digest, _ = list_of(tuple(prediction().features))
    reader = PredictionLog.open(settings)
    for read in (reader.read, lambda: list(reader.parts()), lambda: move(settings)):
        with pytest.raises(LogError, match=rf"list of feature names, {digest}, is not in its table"):
            read()
    assert reader.read(columns=["prediction"])["prediction"].tolist() == [prediction().prediction]
    assert reader.count() == 1
    reader.close()


def test_a_row_of_another_length_than_its_list_is_refused(settings, log):
    log.write([prediction()])
    execute(settings, "UPDATE predictions SET features = '[1.5]'")
    with pytest.raises(LogError, match=r"got the features|holds the features '\[1.5\]', expected a list of 4 values"):
        log.read()


def test_a_log_filled_before_lists_is_read_beside_new_rows(unmigrated):
    settings, old = unmigrated, [prediction(features=ODD), prediction()]
    dialect = log_url(settings).get_backend_name()
    migrate(settings, BEFORE)
    insert(settings, rows_by_name(old, dialect))
    before = read_raw(settings, "predictions")
    migrate(settings)
    assert read_raw(settings, "predictions") == [row | {"feature_list": None} for row in before]
    log, new = PredictionLog.open(settings), [prediction(features=ODD), prediction(features=OTHER)]
    log.write(new)
    late = prediction(features=OTHER)  # of a worker that started before the migration
    insert(settings, rows_by_name([late], dialect))
    made = [*old, *new, late]
    assert features_in(log, *made) == [one.features for one in made]
    assert pd_features(log.parts(rows_at_once=2)) == pd_features([log.read()])
    log.close()
    moved = move(settings)
    assert sum(day.deleted for day in moved) == 5
    read = exported(settings).set_index("prediction_id")["features"]
    assert [read[one.prediction_id] for one in made] == [one.features for one in made]


def pd_features(parts) -> list[dict]:
    return [features for part in parts for features in part["features"]]


def test_a_step_down_writes_names_into_rows_again(settings, log):
    made = [prediction(features=ODD), prediction(), prediction(features={"said": "a\x00b", "count": 1.0})]
    log.write(made)
    insert(settings, rows_by_name([prediction()], log_url(settings).get_backend_name()))
    migrate(settings, BEFORE)
    texts = {row["prediction_id"]: row["features"] for row in read_raw(settings, "predictions")}
    assert len(texts) == 4
    for one in made:
        text = texts[one.prediction_id]
        read = json.loads(text) if isinstance(text, str) else text
        assert list(read) == list(one.features)
    migrate(settings)
    assert features_in(log, *made) == [one.features for one in made]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM feature_lists",
        """UPDATE feature_lists SET names = '["mean","share","count","kind"]'""",
        "UPDATE predictions SET features = '[1.5]'",
    ],
    ids=["lost", "altered", "short row"],
)
def test_a_step_down_of_what_was_altered_is_refused_and_loses_nothing(settings, log, change):
    log.write([prediction()])
    execute(settings, change)
    with pytest.raises(LogError, match=r"is not in its table|expected a list of 4 values"):
        migrate(settings, BEFORE)
    assert current_revision(settings) == head_revision()
    assert log.count() == 1


def test_an_sqlite_that_cannot_make_the_view_is_named_before_anything_is_made(tmp_path, monkeypatch):
    settings = settings_of(tmp_path)
    migrate(settings, BEFORE)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
    with pytest.raises(LogError, match=r"needs 3\.38 or later"):
        migrate(settings)
    assert current_revision(settings) == BEFORE
