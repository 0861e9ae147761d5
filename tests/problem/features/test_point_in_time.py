"""The training set against an independent reference: pandas over the parquet tables, value for value."""

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.feast import feature_store as feast_store
from flightline.problem.config import PROBLEM


@pytest.fixture(scope="module")
def asked(winter_examples) -> pd.DataFrame:
    """The examples in another order and with an index of their own, as a join may not lean on either."""
    return winter_examples.sample(frac=1, random_state=0)


@pytest.fixture(scope="module")
def joined(winter_store, asked) -> pd.DataFrame:
    return feast_store.join_features(winter_store, PROBLEM.feature_service, asked)


@pytest.fixture(scope="module")
def views(winter_store) -> dict[str, dict]:
    return feast_store.describe_service(winter_store, PROBLEM.feature_service)["views"]


def reference(asked: pd.DataFrame, table: pd.DataFrame, keys: list[str], ttl: pd.Timedelta) -> pd.DataFrame:
    """Give each example the newest row of its keys, at most ttl old, that was stamped at or before it."""
    left = asked[["example_id", "event_timestamp", *keys]].sort_values("event_timestamp", kind="stable")
    right = table.drop(columns="created_timestamp").sort_values("event_timestamp", kind="stable")
    right["event_timestamp"] = right["event_timestamp"].astype(left["event_timestamp"].dtype)
    merged = pd.merge_asof(left, right, on="event_timestamp", by=keys, tolerance=ttl)
    return merged.set_index("example_id").loc[asked["example_id"]].set_axis(asked.index)


@pytest.mark.slow
def test_every_value_equals_the_reference(winter_store, asked, joined, views):
    assert len(asked) > 50_000
    compared = []
    for name, view in views.items():
        table = pd.read_parquet(winter_store.features_dir / "current" / f"{name}.parquet")
        features = list(view["features"])
        expected = reference(asked, table, view["join_keys"], pd.Timedelta(seconds=view["ttl_seconds"]))[features]
        different = ~((joined[features] == expected) | (joined[features].isna() & expected.isna()))
        assert different.to_numpy().sum() == 0, different.sum()[different.any()].to_dict()
        compared += features
    assert sorted(compared) == sorted(joined)


@pytest.mark.slow
def test_every_view_of_the_service_has_values_and_some_have_gaps(joined, views):
    filled = {name: joined[list(view["features"])].notna().any(axis=1).mean() for name, view in views.items()}
    assert min(filled.values()) > 0.2
    assert min(filled.values()) < 1


@pytest.mark.slow
def test_the_training_set_has_the_examples_rows_and_float64(asked, joined):
    assert joined.index.equals(asked.index)
    assert set(joined.dtypes) == {np.dtype("float64")}


@pytest.mark.slow
def test_an_example_without_a_tail_number_has_no_aircraft_features(asked, joined):
    without = asked["tailnum"].isna()
    assert without.sum() > 100
    assert joined.loc[without, ["turn_slack", "turn_delay"]].isna().all(axis=None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("view", "key", "feature", "hours"),
    [
        ("origin_weather", "origin", "temp", 6),
        ("origin_arrivals", "origin", "origin_arrivals_3h_count", 24),
    ],
)
def test_what_is_older_than_its_ttl_is_not_used(winter_store, winter_examples, view, key, feature, hours):
    table = pd.read_parquet(winter_store.features_dir / "current" / f"{view}.parquet").dropna(subset=[feature])
    one = winter_examples[winter_examples[key].isin(table[key])].head(1)
    last = table.loc[table[key] == one[key].iloc[0], "event_timestamp"].max()
    ages = pd.to_timedelta([0, hours * 3600, hours * 3600 + 1], unit="s")
    rows = pd.concat([one.assign(event_timestamp=last + age, example_id=str(age)) for age in ages], ignore_index=True)
    joined = feast_store.join_features(winter_store, PROBLEM.feature_service, rows)[feature]
    assert joined.notna().tolist() == [True, True, False]
