"""Features of request and store together: what they are computed from, and what they may give."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flightline.core.errors import FeatureError
from flightline.core.project import RequestCode
from flightline.core.settings import Settings
from tests import toy_problem

NOON = datetime(2020, 5, 1, 12, tzinfo=UTC)
LISTS = {"amount": [5.0, 7.0, 9.0]}
STORED = {"mean": [4.0, None, float("nan")]}


def code_of(on_demand: Callable[..., Mapping[str, Any]] | None) -> RequestCode:
    return RequestCode(lambda _: {}, lambda _: {"hour": np.array([1.0, 2.0, 3.0])}, (), on_demand)


def test_without_on_demand_there_is_what_the_request_tells() -> None:
    assert [*code_of(None).computed_features(LISTS, {}, [])] == ["hour"]


def test_frames_and_lists_give_the_same_columns() -> None:
    seen: list[SimpleNamespace] = []

    def on_demand(requests: Any, features: Any) -> dict[str, np.ndarray]:
        seen.append(SimpleNamespace(as_of=requests["as_of"], mean=features["mean"]))
        return {"above": np.asarray(requests["amount"], dtype=np.float64) - features["mean"]}

    frame, moments = pd.DataFrame(LISTS, index=[7, 3, 5]), pd.Series([NOON] * 3, dtype="datetime64[ns, UTC]")
    of_lists = code_of(on_demand).computed_features(LISTS, STORED, [NOON] * 3)
    of_frames = code_of(on_demand).computed_features(frame, pd.DataFrame(STORED, index=frame.index), moments)
    for computed, given in zip((of_lists, of_frames), seen, strict=True):
        assert list(computed) == ["hour", "above"]
        np.testing.assert_array_equal(computed["above"], [1.0, np.nan, np.nan])
        assert given.as_of.dtype == "datetime64[us, UTC]"
        assert given.as_of.tolist() == [NOON] * 3
        assert (given.mean.dtype, given.mean.shape) == (np.float64, (3,))


def test_a_request_column_of_the_moments_name_is_refused() -> None:
    with pytest.raises(FeatureError, match="requests have a column of that name; take another"):
        code_of(lambda *_: {}).computed_features(LISTS | {"as_of": [1, 2, 3]}, STORED, [NOON] * 3)


def test_what_was_joined_cannot_be_changed_in_place() -> None:
    def on_demand(_: Any, features: Any) -> dict[str, np.ndarray]:
        features["mean"][:] = 0
        return {}

    with pytest.raises(ValueError, match="read-only"):
        code_of(on_demand).computed_features(LISTS, pd.DataFrame(STORED), [NOON] * 3)


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ({"mean": np.zeros(3), "hour": np.zeros(3)}, "on_demand gives hour, mean, as the feature store or request_fea"),
        ({"above": np.zeros(2)}, r"gives above as ndarray of shape \(2,\), expected an ndarray of shape \(3,\)"),
        (
            {"above": pd.Series(np.zeros(3))},
            r"gives above as Series of shape \(3,\).*; use np\.asarray in on_demand of",
        ),
        ({"above": 1.0}, r"gives above as float of shape \(\)"),
    ],
    ids=["name taken", "other length", "no array", "no column"],
)
def test_what_does_not_fit_is_named_with_what_to_do(added: dict[str, Any], said: str) -> None:
    with pytest.raises(FeatureError, match=said):
        code_of(lambda *_: added).computed_features(LISTS, STORED, [NOON] * 3)


def test_what_only_on_demand_reads_is_left_out_of_a_training_set() -> None:
    code, features = replace(code_of(None), withheld=("mean",)), pd.DataFrame({"mean": [1.0], "hour": [2.0]})
    assert list(code.without_withheld(features)) == ["hour"]
    with pytest.raises(FeatureError, match="WITHHELD names mean, which the feature store does not give"):
        code.without_withheld(features[["hour"]])


def test_an_examples_request_has_whole_numbers_all_digits_and_microseconds() -> None:
    problem = replace(toy_problem.PROBLEM, entity_keys=("shop",), request_columns=("size", "share", "opens"), slices=())
    project = replace(toy_problem.make_project(Settings()), problem=problem)
    rows = {"shop": ["S01", None], "size": [30, None], "share": [0.1234567890123, 2.0], "opens": [NOON, NOON]}
    examples = pd.DataFrame(rows).assign(opens=lambda frame: frame["opens"] + pd.Timedelta(microseconds=7))
    opens = "2020-05-01T12:00:00.000007+00:00"
    assert project.requests_of(examples) == [
        {"shop": "S01", "size": 30, "share": 0.1234567890123, "opens": opens},
        {"shop": None, "size": None, "share": 2, "opens": opens},
    ]
    assert [type(request["size"]) for request in project.requests_of(examples)] == [int, type(None)]


def test_moment_features_are_those_that_nothing_else_of_a_request_moves(tmp_path: Path) -> None:
    opens = pd.date_range("2020-05-01 05:00", periods=40, freq="7h", tz="UTC")
    # Of one shop alone, at the end: a sample of a few rows would not see it.
    shop = ["S01"] * 39 + ["S02"]
    requests = pd.DataFrame({"shop": shop, "city": ["Bergen", None] * 20, "opens": opens}, index=range(7, 47))
    project = toy_problem.make_project(Settings(root=tmp_path))
    assert project.moment_features(requests) == {"day_of_week", "opening_hour"}

    def features(columns: Any) -> dict[str, np.ndarray]:
        hour = pd.DatetimeIndex(columns["opens"]).hour.to_numpy(dtype=np.float64)
        of_shop = np.asarray(columns["shop"], dtype=object) == "S02"
        same = np.full(len(hour), np.nan)  # of all that are looked at; of others it may not be
        return {"late": np.where(hour > 12, hour, np.nan), "hour_of_shop": np.where(of_shop, hour, 0.0), "rare": same}

    other = replace(project, requests=replace(project.requests, features=features))
    assert other.moment_features(requests) == {"late"}
    nameless = replace(project, schemas=replace(project.schemas, event_time_field="asked_at"))
    assert nameless.moment_features(requests) == set()


@pytest.mark.parametrize(
    ("example", "columns", "said"),
    [({"city": 5}, (), "city Input should be a valid string"), ({}, ("moon",), "no attribute 'moon'")],
    ids=["a value that is refused", "a field that is not there"],
)
def test_an_example_that_is_no_instance_is_named(example: dict[str, Any], columns: tuple[str, ...], said: str) -> None:
    project = toy_problem.make_project(Settings(root=Path("/nowhere")))
    problem = replace(project.problem, request_columns=(*project.problem.request_columns, *columns))
    wrong = replace(project.schemas, example={**project.schemas.example, **example})
    with pytest.raises(FeatureError, match=rf"EXAMPLE of .* is no Instance with shop, .*{said}"):
        _ = replace(project, problem=problem, schemas=wrong).key_names
