"""What the request alone gives: local minute and day through DST, and categories passed on as they are."""

import pandas as pd
import pytest

from flightline.core.settings import Settings
from flightline.problem import make_project
from flightline.problem import request_features as module
from flightline.problem.request_features import request_features, request_keys


def at(text: str) -> pd.Timestamp:
    """Read a timestamp as UTC."""
    return pd.Timestamp(text, tz="UTC")


@pytest.mark.parametrize(
    ("scheduled_departure", "minute", "day_of_week"),
    [
        ("2013-01-15 17:00", 720, 1),
        ("2013-07-15 16:00", 720, 0),
        ("2013-07-16 03:59", 1439, 0),
        ("2013-07-16 04:00", 0, 1),
        ("2013-03-10 06:59", 119, 6),
        ("2013-03-10 07:00", 180, 6),
        ("2013-11-03 05:30", 90, 6),
        ("2013-11-03 06:30", 90, 6),
        ("2013-12-31 23:30", 1110, 1),
    ],
)
def test_minute_and_day_are_those_of_new_yorks_clock(scheduled_departure, minute, day_of_week):
    requests = pd.DataFrame(
        {"origin": "EWR", "dest": "BOS", "carrier": "UA", "scheduled_departure": [at(scheduled_departure)]}
    )
    features = request_features(requests)
    assert [features["scheduled_minute"].tolist(), features["day_of_week"].tolist()] == [[minute], [day_of_week]]


def test_categories_of_a_request_are_passed_on():
    requests = pd.DataFrame(
        {
            "origin": ["EWR", "XXX"],
            "dest": ["BOS", "BQN"],
            "carrier": [None, "ZZ"],
            "scheduled_departure": [at("2013-06-03 16:00")] * 2,
        },
        index=[7, 3],
    )
    features = pd.DataFrame(request_features(requests))
    assert features[["origin", "dest", "carrier"]].to_numpy().tolist() == [["EWR", "BOS", None], ["XXX", "BQN", "ZZ"]]
    assert features.dtypes.astype(str).to_dict() == {
        "origin": "object",
        "dest": "object",
        "carrier": "object",
        "scheduled_minute": "float64",
        "day_of_week": "float64",
    }


def test_plain_lists_give_what_a_frame_gives():
    moments = [at("2013-06-03 16:00"), at("2013-11-03 05:30")]
    requests = {"origin": ["EWR", "JFK"], "dest": ["BOS", "BQN"], "carrier": [None, "ZZ"]}
    lists = {**requests, "scheduled_departure": [moment.to_pydatetime() for moment in moments]}
    frame = pd.DataFrame({**requests, "scheduled_departure": moments}, index=[7, 3])
    for compute in (request_features, request_keys):
        pd.testing.assert_frame_equal(pd.DataFrame(compute(lists)), pd.DataFrame(compute(frame)))


def test_a_request_in_another_time_zone_is_the_same_request():
    requests = pd.DataFrame(
        {"origin": ["EWR"], "dest": ["BOS"], "carrier": ["UA"], "scheduled_departure": [at("2013-06-03 16:00")]}
    )
    elsewhere = requests.assign(scheduled_departure=requests["scheduled_departure"].dt.tz_convert("Asia/Tokyo"))
    pd.testing.assert_frame_equal(pd.DataFrame(request_features(requests)), pd.DataFrame(request_features(elsewhere)))


def test_features_of_request_and_store_together_are_used_once_they_are_written(monkeypatch, tmp_path) -> None:
    settings = Settings(root=tmp_path)
    assert make_project(settings).requests.on_demand is getattr(module, "on_demand", None)

    def on_demand(requests: object, features: object) -> dict[str, object]:
        return {}

    monkeypatch.setattr(module, "on_demand", on_demand, raising=False)
    assert make_project(settings).requests.on_demand is on_demand
