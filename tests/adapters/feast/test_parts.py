"""What a point-in-time join gives some rows at a time is what it gives at once."""

import pandas as pd
import pytest

from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.feast.parts import parts_of
from tests.toy_problem import PROBLEM

SERVICE = PROBLEM.feature_service


class WholeJob:
    """A retrieval job of another store, which has no parts."""

    on_demand_feature_views = ()

    def to_df(self) -> pd.DataFrame:
        return pd.DataFrame({"row": range(7)})


def test_a_job_without_parts_is_cut_up():
    assert [len(part) for part in parts_of(WholeJob(), 3)] == [3, 3, 1]


@pytest.mark.parametrize("rows", [1, 7, 30, 100])
def test_parts_of_a_join_are_the_join(toy_store, toy_examples, rows):
    some = toy_examples.sample(30, random_state=0)
    whole = feast_store.join_features(toy_store.settings, SERVICE, some)
    parts = list(feast_store.join_in_parts(toy_store.settings, SERVICE, some, "", rows))
    assert max(map(len, parts)) == min(rows, 30)
    pd.testing.assert_frame_equal(pd.concat(parts), whole)


def test_no_example_is_one_empty_part(toy_store, toy_examples):
    joined = feast_store.join_features(toy_store.settings, SERVICE, toy_examples.iloc[:0])
    assert len(joined) == 0
    assert list(joined) == list(feast_store.join_features(toy_store.settings, SERVICE, toy_examples.iloc[:1]))
