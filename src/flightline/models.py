"""The zoo: scikit-learn pipelines by name, each with its own preprocessing inside.

A pipeline takes the feature frame as it is: float64 columns that may hold missing values,
and text columns with categories that may be missing or unseen. What it needs on top, it does
itself, so that no model can be judged with another's preprocessing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from flightline.errors import TrainingError

MIN_CATEGORY_ROWS = 50


@dataclass(frozen=True)
class Columns:
    """Names of the feature columns, in the order of the frame."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]


def base_rate(columns: Columns, seed: int) -> Pipeline:
    """Answer the share of positives seen in training, whatever is asked."""
    return Pipeline([("model", DummyClassifier(strategy="prior"))])


def logistic_regression(columns: Columns, seed: int, *, inverse_regularisation: float = 0.1) -> Pipeline:
    """Linear in scaled numbers and one-hot categories; missing numbers get the median and a flag."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=MIN_CATEGORY_ROWS)
    encode = ColumnTransformer([("numbers", numbers, columns.numeric), ("categories", categories, columns.categorical)])
    model = LogisticRegression(C=inverse_regularisation, max_iter=300, tol=1e-3, random_state=seed)
    return Pipeline([("encode", encode), ("model", model)])


def hist_gradient_boosting(columns: Columns, seed: int, *, max_iter: int = 150) -> Pipeline:
    """Boosted trees on binned features; missing values and categories are handled natively."""
    # NaN for what is rare or unseen: the trees then treat it as missing.
    categories = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan, max_categories=250
    )
    encode = ColumnTransformer(
        [("categories", categories, columns.categorical), ("numbers", "passthrough", columns.numeric)]
    )
    model = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=max_iter,
        max_leaf_nodes=63,
        min_samples_leaf=200,
        l2_regularization=50.0,
        max_features=0.3,
        categorical_features=list(range(len(columns.categorical))),
        early_stopping=False,  # it would stop by a random split; iterations are chosen on a later window
        random_state=seed,
    )
    return Pipeline([("encode", encode), ("model", model)])


ZOO: dict[str, Callable[..., Pipeline]] = {
    model.__name__: model for model in (base_rate, logistic_regression, hist_gradient_boosting)
}


def model_builder(name: str) -> Callable[..., Pipeline]:
    """Look a model up by name.

    Raises
    ------
    TrainingError
        If the zoo has no such model.
    """
    if name not in ZOO:
        raise TrainingError(f"no model is named {name!r}; MODEL is one of: {', '.join(ZOO)}")
    return ZOO[name]


def columns_of(numeric: Sequence[str], categorical: Sequence[str]) -> Columns:
    """Name the feature columns by kind."""
    return Columns(tuple(numeric), tuple(categorical))
