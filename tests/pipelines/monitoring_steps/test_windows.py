"""What monitoring keeps of the log is the same, in whatever parts the log is read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.prediction_log.rows import decode, encode
from flightline.adapters.prediction_log.schema import COLUMNS
from flightline.core.windows import Interval
from pipelines.monitoring_steps.served import _LIGHT, ServedRows, _served, write_served
from tests.support.filled_log import logged_rows
from tests.toy_problem import PROBLEM

NOON = datetime(2020, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SPAN = Interval(NOON + DAY, NOON + 9 * DAY)


@pytest.fixture(scope="module")
def logged() -> pd.DataFrame:
    """Ten days of two shops; each is asked about twice, by two versions, and in shadow."""
    times = pd.Series(pd.date_range(NOON, periods=20, freq="12h"))
    examples = pd.DataFrame({"event_timestamp": times, "opens": times, "city": "Bergen"}).assign(
        shop=[f"S{number % 2:02d}" for number in range(20)]
    )
    features = pd.DataFrame({"count": 1.0}, index=examples.index)
    first = logged_rows(PROBLEM, examples, features, np.full(20, 0.25), "1")
    again = logged_rows(PROBLEM, examples, features, np.full(20, 0.75), "1", seed=1)
    rows = [*first, *(replace(row, clock=row.clock + (number % 3 - 1) * DAY) for number, row in enumerate(again))]
    rows += [replace(row, prediction_id=row.prediction_id[::-1], model_version="2") for row in first]
    rows += [replace(row, prediction_id=row.prediction_id[::-1], role="shadow") for row in again]
    read = decode([row[: len(COLUMNS)] for row in encode(rows, "sqlite")], names=[("count",)] * len(rows))
    return read[list(_LIGHT)].sort_values(["clock", "prediction_id"])


def served_rows(folder: Path, parts: list[pd.DataFrame]) -> pd.DataFrame:
    kept = (_served(part, PROBLEM, SPAN, "1") for part in parts)
    rows = write_served(folder / "served.parquet", kept, lambda given: given.assign(label=None))
    found = pd.read_parquet(folder / "served.parquet")
    assert rows == len(found)
    assert [file.name for file in folder.iterdir()] == ["served.parquet"]
    return found


@pytest.mark.parametrize("rows_at_once", [1, 7, 100])
def test_parts_of_any_size_keep_the_newest_answers(logged, tmp_path, rows_at_once):
    parts = [logged.iloc[first : first + rows_at_once] for first in range(0, len(logged), rows_at_once)]
    kept = served_rows(tmp_path, parts)
    newest = logged[(logged["model_version"] == "1") & (logged["role"] == "champion")].groupby("instance_key").last()
    newest = newest[newest["prediction_time"].between(SPAN.start, SPAN.end, inclusive="left")].sort_values(
        "prediction_time"
    )
    assert kept["prediction"].tolist() == newest["prediction"].tolist()
    assert set(kept["prediction"]) == {0.25, 0.75}
    assert kept["prediction_time"].tolist() == newest["prediction_time"].tolist()
    assert set(kept["city"]) == {"Bergen"}


def test_of_nothing_all_columns_are_kept(logged, tmp_path):
    (tmp_path / "none").mkdir()
    none = served_rows(tmp_path / "none", [logged[:0]])
    (tmp_path / "some").mkdir()
    assert list(none) == list(served_rows(tmp_path / "some", [logged]))
    assert none.empty


def test_no_more_than_a_day_is_in_memory_and_a_type_may_show_late(logged, tmp_path):
    held, seen = list[int](), iter([None, 1, 2.5, None])

    def outcomes(rows: pd.DataFrame) -> pd.DataFrame:
        held.append(len(rows))
        return rows.assign(number=next(seen, 4), text=None if len(held) < 3 else "x")

    kept = (_served(part, PROBLEM, SPAN, "1") for part in (logged[:50], logged[50:]))
    assert write_served(tmp_path / "served.parquet", kept, outcomes) == sum(held) == 16
    assert max(held) == 2
    rows = pd.read_parquet(tmp_path / "served.parquet")
    assert rows["number"].dropna().unique().tolist() == [1.0, 2.5, 4.0]
    assert rows["text"].isna().sum() == sum(held[:2])
    span = Interval(SPAN.start + DAY, SPAN.start + 2 * DAY)
    assert len(ServedRows(tmp_path / "served.parquet", 16).between(span, ["clock"])) == 2
