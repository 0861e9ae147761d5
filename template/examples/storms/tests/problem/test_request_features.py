"""What follows from a request, alone and beside the feature store, by hand."""

import numpy as np
import pandas as pd
import pytest

FIXES = {
    "basin": ["WP", "EP"],
    "status": ["TS", "TD"],
    "fixed_at": ["2024-02-29T06:00Z", "2023-01-02T00:00Z"],
    "latitude": [-14.5, 20.0],
    "longitude": [-179.0, 123.3],
    "wind": [40, None],
    "pressure": [None, 1003],
}
STORED = {
    "last_wind": [35.0, 30.0],
    "last_pressure": [1000.0, 1004.0],
    "last_latitude": [-14.0, 19.0],
    "last_longitude": [179.5, 123.8],
    "first_fix_at": [pd.Timestamp("2024-02-28T06:00Z").timestamp(), float("nan")],
}
AS_OF = pd.to_datetime(["2024-02-29T07:00Z", "2023-01-02T00:00Z"])


def test_a_place_a_strength_and_a_season_follow_from_the_request(project):
    found = project.requests.features(FIXES)
    assert list(found["basin"]) == ["WP", "EP"]
    assert list(found["status"]) == ["TS", "TD"]
    assert list(found["from_equator"]) == [14.5, 20.0]
    assert list(found["longitude"]) == [181.0, 123.3]
    assert list(found["day_of_year"]) == [60.0, 2.0]
    np.testing.assert_array_equal(found["wind"], [40.0, np.nan])
    np.testing.assert_array_equal(found["pressure"], [np.nan, 1003.0])


def test_what_changed_follows_from_both_also_over_the_date_line(project):
    found = project.requests.computed_features(FIXES, STORED, AS_OF)
    np.testing.assert_array_equal(found["wind_change"], [5.0, np.nan])
    np.testing.assert_array_equal(found["pressure_change"], [np.nan, -1.0])
    assert list(found["moved_from_equator"]) == [0.5, 1.0]
    assert list(found["moved_east"]) == pytest.approx([1.5, -0.5])
    np.testing.assert_array_equal(found["age_hours"], [24.0, np.nan])  # of the fix, not of the moment it is asked at


def test_lists_and_a_frame_give_the_same(project):
    of_lists = project.requests.computed_features(FIXES, STORED, AS_OF)
    frame = pd.DataFrame(FIXES)
    of_frame = project.requests.computed_features(frame, pd.DataFrame(STORED), pd.Series(AS_OF))
    for name, values in of_lists.items():
        np.testing.assert_array_equal(values, of_frame[name])


def test_no_key_follows_from_a_request(project):
    assert project.requests.keys(FIXES) == {}
