"""Old predictions move to parquet: all of them, once, and none is deleted that is not in a file."""

import hashlib
import math
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flightline.adapters.prediction_log import retention
from flightline.adapters.prediction_log.exports import day_file
from flightline.adapters.prediction_log.exports.day_file import read_export
from flightline.adapters.prediction_log.retention import archive
from flightline.core.errors import LogError
from tests.adapters.prediction_log.predictions import LOGGED, prediction
from tests.adapters.prediction_log.retention.days import DAY, MIDNIGHT, NOW, exported, fill, kill_at, move


def test_whole_days_move_and_the_rest_stays(log, settings):
    edges = [MIDNIGHT - timedelta(microseconds=1), MIDNIGHT, MIDNIGHT + DAY, MIDNIGHT + 2 * DAY]
    log.write([prediction(logged_at=moment) for moment in edges])
    before = log.read()
    days = move(settings)
    assert [(day.file.name, day.rows, day.exported, day.deleted) for day in days] == [
        ("2026-02-28.parquet", 1, 1, 1),
        ("2026-03-01.parquet", 1, 1, 1),
        ("2026-03-02.parquet", 1, 1, 1),
    ]
    assert exported(settings).equals(before[:3])
    assert log.read()["prediction_id"].tolist() == before["prediction_id"].tolist()[3:]


def test_every_field_comes_back_from_the_file(log, settings):
    log.write([prediction(features={"a": float("nan"), "b": float("inf"), "c": "größer"})])
    before = log.read()
    move(settings)
    assert exported(settings).to_dict("records") == before.to_dict("records")


def test_a_second_run_does_nothing(log, settings):
    fill(log, 3)
    move(settings)
    file = settings.prediction_exports_dir / "2026-03-01.parquet"
    content = file.read_bytes()
    assert move(settings) == []
    assert file.read_bytes() == content
    assert [path.name for path in file.parent.iterdir() if path.suffix] == [file.name]


def test_a_late_row_joins_a_file_with_the_column_names_of_before(log, settings):
    fill(log, 3)
    before = log.read()
    move(settings)
    file = settings.prediction_exports_dir / "2026-03-01.parquet"
    old = {"event_time": "moment", "endpoint": "door"}
    table = pq.read_table(file).drop_columns(["caller", "probabilities"])
    pq.write_table(table.rename_columns([old.get(name, name) for name in table.column_names]), file)
    assert read_export(file).equals(before)
    late = prediction(logged_at=MIDNIGHT + timedelta(hours=5))
    log.write([late])
    move(settings)
    assert log.count() == 0
    assert exported(settings)["prediction_id"].tolist() == [*before["prediction_id"], late.prediction_id]
    assert pq.read_schema(file).equals(day_file.SCHEMA)


def test_days_exported_before_classes_are_read_and_added_to(log, settings):
    before = fill(log, 3)
    move(settings)
    file = settings.prediction_exports_dir / "2026-03-01.parquet"
    pq.write_table(pq.read_table(file).drop_columns("probabilities"), file)
    assert read_export(file).equals(before)
    late = prediction(logged_at=MIDNIGHT + timedelta(hours=5), probabilities={"rain": 0.75, "sun": 0.25})
    log.write([late])
    move(settings)
    assert log.count() == 0
    assert exported(settings)["probabilities"].tolist() == [None, None, None, late.probabilities]
    assert pq.read_schema(file).equals(day_file.SCHEMA)


def test_on_aws_no_row_leaves_for_the_disk_of_a_task(log, settings):
    fill(log, 1)
    with pytest.raises(LogError, match="expected one such as s3://bucket/predictions"):
        move(settings.model_copy(update={"profile": "aws"}))
    assert log.count() == 1


def test_a_late_row_joins_the_file_of_its_day(log, settings):
    fill(log, 3)
    before = log.read()
    move(settings)
    fill(log, 1, MIDNIGHT + timedelta(hours=5))
    late = log.read()
    (day,) = move(settings)
    assert (day.rows, day.exported, day.deleted) == (4, 1, 1)
    assert exported(settings).equals(pd.concat([before, late], ignore_index=True))
    assert log.count() == 0


def test_today_is_refused(log, settings):
    fill(log, 1, NOW - timedelta(hours=1))
    with pytest.raises(LogError, match="today's predictions are still being written"):
        move(settings, before=NOW)
    assert log.count() == 1


def test_more_rows_than_are_held_at_once(log, settings, monkeypatch):
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(retention, "_ROWS_IN_DELETE", 3)
    # Ties: many rows of one moment lie across the edges of what is read at once.
    log.write([prediction(logged_at=MIDNIGHT, prediction=n) for n in range(20)])
    before = fill(log, 20)
    (day,) = move(settings)
    assert (day.rows, day.exported, day.deleted) == (40, 40, 40)
    assert exported(settings).equals(before)


def test_a_stop_between_export_and_deletion_loses_nothing(log, settings):
    before = fill(log, 5)
    running = retention.make_engine(settings, is_bounded=False)
    file = settings.prediction_exports_dir / "2026-03-01.parquet"
    file.parent.mkdir(parents=True)
    assert retention._export(running, MIDNIGHT.date(), file) == 5  # and here it ends
    assert log.count() == 5
    (day,) = move(settings)
    assert (day.rows, day.exported, day.deleted) == (5, 0, 5)
    assert exported(settings).equals(before)
    assert log.count() == 0


@pytest.mark.system
def test_kill_9_at_any_step_loses_and_doubles_nothing(log, settings):
    before, some = fill(log, 4000), retention._ROWS_IN_DELETE
    file, left = settings.prediction_exports_dir / "2026-03-01.parquet", 4000
    for step, number, deleted in (("file", 1, 0), ("delete", 3, 3 * some), ("commit", 2, some), ("delete", 1, some)):
        kill_at(settings, step, number)
        left -= deleted
        rows = log.read()
        assert len(rows) == left
        assert set(rows["prediction_id"]) | set(read_export(file)["prediction_id"]) == set(before["prediction_id"])
    move(settings, before=MIDNIGHT + DAY)
    assert log.count() == 0
    assert exported(settings).equals(before)


def alter(file: Path, column: str, value: object) -> None:
    table = pq.read_table(file)
    values = [value, *table.column(column).to_pylist()[1:]]
    index = table.schema.get_field_index(column)
    pq.write_table(
        table.set_column(index, table.schema.field(column), pa.array(values, table.schema[index].type)), file
    )


@pytest.mark.parametrize(("column", "value"), [("prediction", 0.5), ("features", "{}"), ("logged_at", LOGGED)])
def test_rows_that_differ_from_the_file_are_not_deleted(log, settings, column, value):
    fill(log, 3)
    file = settings.prediction_exports_dir / "2026-03-01.parquet"
    file.parent.mkdir(parents=True)
    retention._export(retention.make_engine(settings, is_bounded=False), MIDNIGHT.date(), file)
    alter(file, column, value)
    with pytest.raises(LogError, match="hold 1 predictions that differ"):
        move(settings)
    assert log.count() == 3


def test_a_file_that_reads_back_otherwise_is_not_put_in_place(log, settings, tmp_path):
    fill(log, 3)
    (day,) = move(settings)
    digest = "0" * 64
    for rows, wanted in ((3, digest), (4, digest)):
        with pytest.raises(LogError, match=f"reads back as 3 rows .* expected {rows}"):
            day_file._demand_equal(day.file, rows, wanted)


def test_an_export_that_drops_a_row_deletes_nothing(log, settings, monkeypatch):
    # The fault is planted: rows are counted and hashed as they should be, but one is not written.
    add = day_file._add

    def add_too_little(writer, rows, digest):
        digest.update(day_file.canonical(rows))
        return add(writer, rows[1:], hashlib.sha256()) + 1

    monkeypatch.setattr(day_file, "_add", add_too_little)
    fill(log, 3)
    with pytest.raises(LogError, match=r"reads back as 2 rows .* expected 3 .* nothing was deleted"):
        move(settings)
    assert log.count() == 3
    assert not list(settings.prediction_exports_dir.glob("*.parquet"))


def test_a_file_of_something_else_is_not_added_to(log, settings):
    fill(log, 1)
    settings.prediction_exports_dir.mkdir(parents=True)
    pd.DataFrame({"a": [1]}).to_parquet(settings.prediction_exports_dir / "2026-03-01.parquet")
    with pytest.raises(LogError, match="is no export of this schema; move it away"):
        move(settings)
    assert log.count() == 1


def test_a_file_that_is_cut_short_is_refused(log, settings):
    fill(log, 1)
    settings.prediction_exports_dir.mkdir(parents=True)
    (settings.prediction_exports_dir / "2026-03-01.parquet").write_bytes(b"PAR1")
    with pytest.raises(LogError, match="is not readable as parquet"):
        move(settings)
    assert log.count() == 1


def test_a_folder_that_cannot_be_made_deletes_nothing(log, settings):
    fill(log, 1)
    settings.prediction_exports_dir.parent.mkdir(parents=True, exist_ok=True)
    settings.prediction_exports_dir.write_text("in the way")
    with pytest.raises(LogError, match=r"cannot be written .* nothing was deleted"):
        move(settings)
    assert log.count() == 1


def test_two_runs_at_once_are_refused(log, settings):
    fill(log, 1)
    fill(log, 1, MIDNIGHT + DAY)
    first = archive(settings, MIDNIGHT + 2 * DAY, NOW)
    next(first)
    with pytest.raises(LogError, match="another export of the prediction log is under way"):
        move(settings)
    assert len(list(first)) == 1


def test_writers_get_through_between_any_two_steps(log, settings, monkeypatch):
    fill(log, 6000)
    written = []

    def write(*_: object) -> None:
        log.write([prediction(logged_at=NOW)])  # raises if the log is locked
        written.append(1)

    add = day_file._add
    monkeypatch.setattr(day_file, "_add", lambda *given: (write(), add(*given))[1])
    monkeypatch.setattr(retention, "time", SimpleNamespace(sleep=write))
    (day,) = move(settings)
    assert day.deleted == 6000
    assert len(written) == math.ceil(6000 / retention.ROWS_AT_ONCE) + math.ceil(6000 / retention._ROWS_IN_DELETE)
    assert retention._ROWS_IN_DELETE <= 250
