"""What the models of the zoo share: how numbers and categories are brought to what an estimator takes.

Every encoder takes missing numbers, and categories that are missing or were never seen. None
looks at the label, so that none can leak it.
"""

import re
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from flightline.core.errors import TrainingError

MIN_CATEGORY_ROWS = 50
LAG = re.compile(r"(?P<series>.+)_lag_(?P<lag>\d+)")
MAX_CODES = 250  # what a histogram of the boosted trees can hold


@dataclass(frozen=True)
class Columns:
    """Names of the feature columns, in the order of the frame."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]


def series_of(columns: Columns) -> tuple[Columns, list[list[str]]]:
    """Tell series from other columns: the numbers whose names end in ``_lag_1``, ``_lag_2`` and so on.

    Returns
    -------
    (other columns, the series)
        By lag, the oldest first, the column of each series.

    Raises
    ------
    TrainingError
        If there is none, or one lacks a lag that another has.

    Examples
    --------
    >>> series_of(Columns(("seats", "sold_lag_1", "sold_lag_2"), ("shop",)))
    (Columns(numeric=('seats',), categorical=('shop',)), [['sold_lag_2'], ['sold_lag_1']])
    """
    found: dict[str, dict[int, str]] = {}
    for name in columns.numeric:
        if match := LAG.fullmatch(name):
            found.setdefault(match["series"], {})[int(match["lag"])] = name
    if not found:
        raise TrainingError(
            "the model reads series, and no feature is one: declare the last values of a number as features "
            "NAME_lag_1, NAME_lag_2, ..., or train another"
        )
    lags = sorted({lag for series in found.values() for lag in series}, reverse=True)
    if lacking := [f"{series}_lag_{lag}" for series, names in found.items() for lag in lags if lag not in names]:
        raise TrainingError(f"{', '.join(lacking)} is no feature, and another series has that lag: declare it")
    others = tuple(name for name in columns.numeric if not LAG.fullmatch(name))
    return Columns(others, columns.categorical), [[names[lag] for names in found.values()] for lag in lags]


def as_series() -> Pipeline:
    """Scale the columns of series, each by itself; a missing value gets the median, without a flag."""
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())


def as_numbers(
    columns: Columns,
    seed: int,
    *,
    pca_components: int | None = None,
    kmeans_segments: int | None = None,
    max_categories: int | None = None,
) -> ColumnTransformer:
    """Bring everything to numbers of similar size, for models that weigh or measure distances.

    Parameters
    ----------
    columns
        What there is to encode.
    seed
        Of the principal components and the segments.
    pca_components
        Replace the scaled numbers by so many principal components; None keeps them.
    kmeans_segments
        Add the distances to so many k-means centres; None adds nothing.
    max_categories
        The most columns a categorical feature becomes, rare categories in one; None: as many
        as have `MIN_CATEGORY_ROWS` rows.
    """
    numbers = _scaled()
    if pca_components:
        numbers.steps.append(("components", PCA(pca_components, random_state=seed)))
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=MIN_CATEGORY_ROWS, max_categories=max_categories
    )
    parts = [("numbers", numbers, columns.numeric), ("categories", one_hot, columns.categorical)]
    return ColumnTransformer([*parts, *_segments(columns, seed, kmeans_segments)], sparse_threshold=0)


def as_codes(columns: Columns, seed: int, *, kmeans_segments: int | None = None) -> ColumnTransformer:
    """Turn categories into codes and leave numbers as they are, for trees; missing stays missing.

    The categories come first, so that their positions are known.
    """
    # NaN for what was never seen: the trees then treat it as missing.
    categories = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan, max_categories=MAX_CODES
    )
    parts = [("categories", categories, columns.categorical), ("numbers", "passthrough", columns.numeric)]
    return ColumnTransformer([*parts, *_segments(columns, seed, kmeans_segments)])


def _scaled() -> Pipeline:
    # Kept even if it is empty in the few rows that some models learn from.
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_pipeline(impute, StandardScaler())


def _segments(columns: Columns, seed: int, segments: int | None) -> list[tuple[str, Pipeline, tuple[str, ...]]]:
    if not segments:
        return []
    distances = _scaled()
    distances.steps.append(("segments", MiniBatchKMeans(segments, n_init=3, batch_size=4096, random_state=seed)))
    return [("segments", distances, columns.numeric)]
