"""Rows of a parquet file are read and written in parts: what pandas gives of the whole, and no more is held."""

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.files import parquet_rows
from flightline.adapters.files.parquet_rows import FrameOfFile, read_parts, read_rows, write_parts


@pytest.fixture
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    numbers = np.where(random.random(50) < 0.2, np.nan, random.normal(size=50))
    text = pd.Series(random.choice(["a", "b"], 50), dtype=object).where(random.random(50) < 0.8, None)
    return pd.DataFrame({"number": numbers, "text": text, "moment": pd.date_range("2020", periods=50, tz="UTC")})


@pytest.mark.parametrize("rows_at_a_time", [1, 7, 50, 100])
def test_rows_are_those_of_the_whole(frame, tmp_path, monkeypatch, rows_at_a_time):
    monkeypatch.setattr(parquet_rows, "ROWS_AT_A_TIME", rows_at_a_time)
    frame.to_parquet(tmp_path / "rows.parquet")
    wanted = np.arange(50) % 3 == 1
    whole = pd.read_parquet(tmp_path / "rows.parquet")
    pd.testing.assert_frame_equal(read_rows(tmp_path / "rows.parquet", wanted), whole[wanted], check_index_type=False)
    text = read_rows(tmp_path / "rows.parquet", wanted, ["text"])
    pd.testing.assert_frame_equal(text, whole.loc[wanted, ["text"]], check_index_type=False)


def test_a_frame_of_a_file_is_what_the_rows_are(frame, tmp_path):
    frame.to_parquet(tmp_path / "rows.parquet")
    wanted, added = np.arange(50) % 3 == 1, np.arange(17.0)
    whole = pd.read_parquet(tmp_path / "rows.parquet")[wanted].reset_index(drop=True).assign(added=added)
    rows = FrameOfFile(tmp_path / "rows.parquet", wanted, {"added": added})
    assert list(rows) == list(whole)
    for name in whole:
        pd.testing.assert_series_equal(rows[name], whole[name])
    places = np.array([0, 5, 6, 16])
    pd.testing.assert_frame_equal(rows.take(places), whole.take(places))


def test_no_row_is_a_frame_with_the_columns(frame, tmp_path):
    frame.to_parquet(tmp_path / "rows.parquet")
    nothing = read_rows(tmp_path / "rows.parquet", np.zeros(50, dtype=bool))
    assert list(nothing) == list(frame)
    assert len(nothing) == 0


@pytest.mark.parametrize("rows", [1, 20, 50])
def test_parts_make_the_file_that_the_whole_makes(frame, tmp_path, rows):
    columns = write_parts(tmp_path / "parts.parquet", (frame.iloc[at : at + rows] for at in range(0, 50, rows)))
    assert columns == list(frame)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "parts.parquet"), frame)


def test_text_that_is_missing_in_the_first_part_is_text(tmp_path):
    parts = [pd.DataFrame({"text": [None, None]}, dtype=object), pd.DataFrame({"text": ["a"]}, dtype=object)]
    write_parts(tmp_path / "parts.parquet", iter(parts))
    assert list(pd.read_parquet(tmp_path / "parts.parquet")["text"]) == [None, None, "a"]


def test_a_file_without_rows_is_one_empty_part(frame, tmp_path):
    frame[:0].to_parquet(tmp_path / "rows.parquet")
    (part,) = read_parts(tmp_path / "rows.parquet", ["text"], 10)
    assert list(part) == ["text"]
    assert part.empty
