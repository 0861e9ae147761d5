"""Fitting: choose on the validation window, then refit on everything before the test window."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline

from flightline.errors import TrainingError
from flightline.models import Columns, model_builder


@dataclass(frozen=True)
class TrainingParameters:
    """What is to be learned, apart from where it runs; logged to MLflow as it is.

    Parameters
    ----------
    model
        A name of `models.ZOO`.
    seed
        Seeds everything random.
    max_iterations
        The most boosting iterations tried on the validation window.
    inverse_regularisations
        The values of C tried on the validation window for logistic regression.
    """

    model: str = "hist_gradient_boosting"
    seed: int = 0
    max_iterations: int = 200
    inverse_regularisations: tuple[float, ...] = (0.003, 0.03, 0.3)


@dataclass(frozen=True)
class FittedModel:
    """A fitted pipeline, and how it came to its settings.

    Parameters
    ----------
    pipeline
        Fitted on everything before the test window.
    chosen
        The settings chosen on the validation window.
    validation_log_loss
        By the settings tried, on the validation window; models without a choice have one.
    """

    pipeline: Pipeline
    chosen: Mapping[str, float]
    validation_log_loss: Mapping[str, float]


def feature_columns(features: pd.DataFrame) -> Columns:
    """Tell numbers from categories by the frame's types.

    Raises
    ------
    TrainingError
        If a column is neither float64 nor text.
    """
    numeric = tuple(name for name in features if features[name].dtype == np.float64)
    categorical = tuple(name for name in features if features[name].dtype == object)
    other = {name: str(features[name].dtype) for name in features if name not in (*numeric, *categorical)}
    if other:
        raise TrainingError(
            f"features must be float64 or text, got {other}; cast them in src/flightline/request_features.py"
        )
    return Columns(numeric, categorical)


def fit(
    parameters: TrainingParameters, features: pd.DataFrame, label: pd.Series, masks: Mapping[str, pd.Series]
) -> FittedModel:
    """Choose the settings on the validation window and refit with them.

    Parameters
    ----------
    parameters
        What to fit.
    features
        One row an example, float64 and text columns.
    label
        0 or 1, missing where unknown.
    masks
        Rows by name, as `windows.split` gives them; the test rows are not looked at.

    Raises
    ------
    TrainingError
        If a window to learn from lacks a class, or a feature has no value in it.
    """
    columns = feature_columns(features)
    _check_values(features[masks["fit"]])
    for window in ("fit", "refit"):
        _check_labels(label[masks[window]], window)
    build = model_builder(parameters.model)
    tried = _try_settings(parameters, build, columns, features, label, masks)
    best = min(tried, key=lambda item: item[1])
    pipeline = build(columns, parameters.seed, **best[0])
    pipeline.fit(features[masks["refit"]], label[masks["refit"]].astype(int))
    losses = {", ".join(f"{k}={v}" for k, v in settings.items()) or "default": loss for settings, loss in tried}
    return FittedModel(pipeline, best[0], losses)


def _check_values(features: pd.DataFrame) -> None:
    empty = [name for name in features if features[name].isna().all()]
    if empty:
        raise TrainingError(
            f"no row of the fit window has a value of: {', '.join(empty)}; check the feature's table, its join keys "
            "and its ttl in feature_repo/, or leave it out of the feature service"
        )


def _check_labels(label: pd.Series, window: str) -> None:
    classes = [float(value) for value in sorted(label.dropna().unique())]
    if classes != [0.0, 1.0] or label.isna().any():
        raise TrainingError(
            f"training needs labels of both classes, 0 and 1, in the {window} window, got {classes} "
            f"and {label.isna().sum()} missing; change the windows in src/flightline/problem.py or add data"
        )


def _try_settings(
    parameters: TrainingParameters,
    build: Callable[..., Pipeline],
    columns: Columns,
    features: pd.DataFrame,
    label: pd.Series,
    masks: Mapping[str, pd.Series],
) -> list[tuple[dict[str, float], float]]:
    fit_rows = features[masks["fit"]], label[masks["fit"]].astype(int)
    later, truth = features[masks["validation"]], label[masks["validation"]].astype(int)
    if parameters.model == "hist_gradient_boosting":
        pipeline = build(columns, parameters.seed, max_iter=parameters.max_iterations).fit(*fit_rows)
        stages = enumerate(pipeline[-1].staged_predict_proba(pipeline[:-1].transform(later)), start=1)
        kept = ((i, stage) for i, stage in stages if i % 10 == 0 or i == parameters.max_iterations)
        return [({"max_iter": i}, _loss(truth, stage)) for i, stage in kept]
    settings = (
        [{"inverse_regularisation": c} for c in parameters.inverse_regularisations]
        if parameters.model == "logistic_regression"
        else [{}]
    )
    fitted = [(setting, build(columns, parameters.seed, **setting).fit(*fit_rows)) for setting in settings]
    return [(setting, _loss(truth, pipeline.predict_proba(later))) for setting, pipeline in fitted]


def _loss(truth: pd.Series, probabilities: np.ndarray) -> float:
    return float(log_loss(truth, probabilities[:, 1], labels=[0, 1]))
