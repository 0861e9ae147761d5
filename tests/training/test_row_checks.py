"""Rows that nothing can be learned from, or that say nothing of what was learned, are refused."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline

from flightline.core.errors import TrainingError
from flightline.training.calibration import CalibratedModel
from flightline.training.early_stopping import check_stopping
from flightline.training.preprocessing import Columns
from flightline.training.row_checks import check_categories, check_finite, check_values
from flightline.training.zoo import ZOO

FRAME = pd.DataFrame({"units": [1.0, 2.0, np.nan], "shop": ["S01", "S02", None]})
COLUMNS = Columns(("units",), ("shop",))


def test_features_that_vary_pass():
    check_values(FRAME)


@pytest.mark.parametrize(("column", "nothing"), [("units", np.nan), ("shop", None)])
def test_a_feature_without_a_value_is_refused(column, nothing):
    frame = FRAME.assign(**{column: pd.Series([nothing] * 3, dtype=FRAME[column].dtype)})
    with pytest.raises(TrainingError, match=f"has a value of: {column};"):
        check_values(frame)


@pytest.mark.parametrize(("column", "value"), [("units", 7.0), ("shop", "S01")])
def test_a_feature_with_one_value_is_refused(column, value):
    with pytest.raises(TrainingError, match=f"same value: {column} = {value};"):
        check_values(FRAME.assign(**{column: value}))


def test_one_value_that_is_sometimes_missing_tells_something():
    check_values(FRAME.assign(units=[7.0, 7.0, np.nan]))


def test_a_number_without_an_end_is_refused():
    check_finite(FRAME)
    with pytest.raises(TrainingError, match=r"of 3 rows some have an infinite value of: units \(2\); give a missing"):
        check_finite(FRAME.assign(units=[np.inf, -np.inf, np.nan]))


def shops(*names: str | None) -> pd.DataFrame:
    return pd.DataFrame({"shop": pd.Series(names, dtype=object), "units": np.arange(len(names), dtype=float)})


BEFORE = shops("S01", "S02", None)


@pytest.mark.parametrize(
    "later", [shops("S01", "S02", "S01"), shops(None, None, None), shops(*["S01"] * 9, "ZZ")], ids=str
)
def test_known_and_missing_categories_and_a_few_new_ones_pass(later):
    check_categories(BEFORE, later, ceiling=0.1)


def test_a_flood_of_new_categories_is_refused_with_its_share():
    with pytest.raises(TrainingError, match=r"20% of the rows .* have a shop .*at most 10% may.* such as 'ZZ', 'YY'"):
        check_categories(BEFORE, shops(*["S01"] * 12, "ZZ", "ZZ", "YY"), ceiling=0.1)


def pipeline_of(model: object) -> Pipeline:
    return Pipeline([("model", model)])


@pytest.mark.parametrize(
    ("model", "switch"),
    [
        (HistGradientBoostingClassifier(early_stopping=True), "early_stopping=True"),
        (HistGradientBoostingRegressor(), "early_stopping='auto'"),
        (MLPRegressor(early_stopping=True), "early_stopping=True"),
        (SGDClassifier(early_stopping=True), "early_stopping=True"),
        (GradientBoostingClassifier(n_iter_no_change=5), "n_iter_no_change=5"),
        (CalibratedModel(HistGradientBoostingClassifier(), None), "model__early_stopping='auto'"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_a_fit_that_would_stop_by_random_rows_is_refused(model, switch):
    with pytest.raises(TrainingError, match=f"has {switch} and would stop by a random split"):
        check_stopping(pipeline_of(model))


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(early_stopping=False),
        GradientBoostingClassifier(),
        RandomForestClassifier(),
        MLPRegressor(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_fit_of_a_length_that_is_told_passes(model):
    check_stopping(pipeline_of(model))


@pytest.mark.parametrize(
    ("task", "name"),
    [(task, name) for task, models in ZOO.items() for name in models if not models[name].reads_series],
)
def test_no_model_of_the_zoo_stops_by_random_rows(task, name):
    check_stopping(ZOO[task][name].build(COLUMNS, 0))
