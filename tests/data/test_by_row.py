"""What is written for one request gives the same for lists, frames and many requests."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from flightline.data.by_row import by_row

ZONE = ZoneInfo("America/New_York")


@by_row
def features(request: Mapping[str, Any]) -> dict[str, Any]:
    """Give one of each kind of value."""
    local = request["opens"].astimezone(ZONE)
    half = None if request["seats"] is None else request["seats"] / 2
    return {"hour": float(local.hour), "slot": local.weekday(), "shop": request["shop"], "half": half}


LISTS: dict[str, list[Any]] = {
    "shop": ["S01", None, "S03"],
    "seats": [9.0, None, 4.0],
    "opens": [datetime(2013, 11, 3, 5, 30, tzinfo=UTC) + timedelta(hours=n) for n in range(3)],
}
KINDS = {"hour": "float64", "slot": "int64", "shop": "object", "half": "float64"}


def test_many_requests_give_columns_with_the_kind_of_their_values() -> None:
    found = features(LISTS)
    assert {name: str(column.dtype) for name, column in found.items()} == KINDS
    assert found["hour"].tolist() == [1.0, 1.0, 2.0]  # the hour that New York's clocks show twice
    assert found["slot"].tolist() == [6, 6, 6]
    assert found["shop"].tolist() == ["S01", None, "S03"]
    np.testing.assert_array_equal(found["half"], [4.5, np.nan, 2.0])


def test_one_request_gives_what_it_gives_among_many() -> None:
    whole = pd.DataFrame(features(LISTS))
    parts = [pd.DataFrame(features({name: values[n : n + 1] for name, values in LISTS.items()})) for n in range(3)]
    for n, part in enumerate(parts):
        assert part.astype(object).where(part.notna(), None).to_dict("records") == whole.iloc[n : n + 1].astype(
            object
        ).where(whole.iloc[n : n + 1].notna(), None).to_dict("records")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
@pytest.mark.parametrize("unit", ["us", "ns"])
def test_a_frame_gives_what_lists_give(zone: str, unit: Any) -> None:
    frame = pd.DataFrame(LISTS, index=[7, 3, 5])
    frame["opens"] = frame["opens"].dt.as_unit(unit).dt.tz_convert(zone)
    pd.testing.assert_frame_equal(pd.DataFrame(features(frame)), pd.DataFrame(features(LISTS)))


def test_no_request_gives_no_column() -> None:
    assert features({name: [] for name in LISTS}) == {}


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_long_frame_gives_in_parts_what_it_gives_at_once(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(f"{by_row.__module__}.ROWS_AT_A_TIME", rows)
    pd.testing.assert_frame_equal(pd.DataFrame(features(pd.DataFrame(LISTS))), pd.DataFrame(features(LISTS)))
