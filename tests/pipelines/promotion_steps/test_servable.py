"""Training's features and predictions beside the service's: what counts as the same, and which examples are asked."""

import numpy as np
import pandas as pd
import pytest

from flightline.core.errors import ServableError
from pipelines.promotion_steps.servable import choose_examples, compare, is_same

FEATURES = pd.DataFrame({"units": [1.5, np.nan], "shop": ["S01", None]})
ANSWERS = [
    {"inputs": {"units": 1.5, "shop": "S01"}, "prediction": 0.25},
    {"inputs": {"units": None, "shop": None}, "prediction": 0.5},
]
PREDICTIONS = np.array([0.25, 0.5])


def test_equal_and_missing_values_agree():
    compare(["a", "b"], FEATURES, PREDICTIONS, ANSWERS)


@pytest.mark.parametrize(
    ("trained", "served"), [(1.5, 1.5 + 1e-15), (np.nan, 0.0), (0.0, None), ("S01", "S02"), (None, "S01")]
)
def test_what_is_not_the_same(trained, served):
    assert not is_same(trained, served)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"inputs": {"units": 0.0, "shop": None}}, "example b: units is missing in training and 0.0 in the service"),
        ({"inputs": {"units": None, "shop": "S09"}}, "example b: shop is missing in training and 'S09' in the service"),
        ({"prediction": 0.51}, "example b: from the same features training predicts 0.5 and the service answers 0.51"),
    ],
)
def test_the_first_difference_is_named(answer, said):
    with pytest.raises(ServableError, match=said):
        compare(["a", "b"], FEATURES, PREDICTIONS, [ANSWERS[0], ANSWERS[1] | answer])


@pytest.mark.parametrize(("rows", "chosen"), [(1, 1), (7, 7), (5000, 10)])
def test_up_to_ten_of_the_newest_are_asked(rows, chosen):
    stamps = pd.date_range("2020-01-01", periods=rows, freq="h", tz="UTC")
    examples = choose_examples(pd.DataFrame({"example_id": range(rows), "event_timestamp": stamps}).sample(frac=1))
    assert len(examples) == chosen
    assert examples["example_id"].iloc[-1] == rows - 1
    assert examples["example_id"].min() >= rows - 1000
