"""Calibration of probabilities: only where a check forward in time shows that it helps.

A map from a model's probabilities to better ones is learned on rows the model was not fitted
on. Whether it helps is asked of still later rows: on this project's first data it did not,
and a map that is always applied would have made the model worse.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

NONE = "none"
MIN_GAIN = 0.005  # of the uncalibrated loss; less may be chance, and a map costs a little of the ranking
_EDGE = 1e-6

Loss = Callable[[np.ndarray, np.ndarray], float]


def _log_odds(probability: np.ndarray) -> np.ndarray:
    kept = np.clip(probability, _EDGE, 1 - _EDGE)
    return np.log(kept / (1 - kept))


class CalibratedModel(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose probabilities go through a fitted map.

    scikit-learn's `CalibratedClassifierCV` fits map and model together; here the map was
    learned before the model was refitted on more rows.

    Parameters
    ----------
    model
        Fitted, with `predict_proba`.
    probability_map
        Fitted on log-odds: a `LogisticRegression` (Platt's sigmoid) or an `IsotonicRegression`.
    """

    def __init__(self, model: ClassifierMixin, probability_map: BaseEstimator):
        self.model = model
        self.probability_map = probability_map

    def fit(self, X: np.ndarray, y: np.ndarray) -> "CalibratedModel":  # noqa: N803  # scikit-learn's name
        """Fit the model again; the map stays."""
        self.model.fit(X, y)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Say that both parts came fitted."""
        return True

    @property
    def classes_(self) -> np.ndarray:
        """The classes, as the model knows them."""
        return self.model.classes_

    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803  # scikit-learn's name
        """Give the probabilities of both classes, shape (n, 2)."""
        positive = apply_map(self.probability_map, self.model.predict_proba(X)[:, 1])
        return np.column_stack([1 - positive, positive])

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803  # scikit-learn's name
        """Give the likelier class, shape (n,)."""
        return self.classes_[(self.predict_proba(X)[:, 1] >= 0.5).astype(int)]


def fit_map(method: str, probability: np.ndarray, label: np.ndarray) -> BaseEstimator:
    """Learn a map from probabilities to shares.

    Parameters
    ----------
    method
        sigmoid (Platt, 1999: two numbers) or isotonic (Zadrozny and Elkan, 2002: any rising map).
    probability, label
        Shape (n,), of rows that the model was not fitted on; label 0 or 1, both present.
    """
    odds = _log_odds(probability)
    if method == "isotonic":
        return IsotonicRegression(y_min=_EDGE, y_max=1 - _EDGE, out_of_bounds="clip").fit(odds, label)
    return LogisticRegression(C=1e6).fit(odds[:, None], label)


def apply_map(probability_map: BaseEstimator, probability: np.ndarray) -> np.ndarray:
    """Send probabilities through a map of `fit_map`."""
    odds = _log_odds(probability)
    if isinstance(probability_map, IsotonicRegression):
        return np.clip(probability_map.predict(odds), _EDGE, 1 - _EDGE)
    return probability_map.predict_proba(odds[:, None])[:, 1]


def with_map(pipeline: Pipeline, probability_map: BaseEstimator) -> Pipeline:
    """Put a map behind the last step of a fitted pipeline."""
    return Pipeline([*pipeline.steps[:-1], ("model", CalibratedModel(pipeline[-1], probability_map))])


@dataclass(frozen=True)
class CalibrationCheck:
    """What the check forward in time came to.

    Parameters
    ----------
    method
        none, sigmoid or isotonic.
    losses
        On the later half, by method, with none.
    calibrated
        Shape (n,): the given probabilities after the chosen method, each half by a map learned
        on the other, so that their loss is as honest as the uncalibrated one.
    """

    method: str
    losses: Mapping[str, float]
    calibrated: np.ndarray


def check_calibration(
    methods: tuple[str, ...], probability: np.ndarray, label: np.ndarray, loss: Loss
) -> CalibrationCheck:
    """Learn each map on the earlier half of the rows and judge it on the later half.

    Parameters
    ----------
    methods
        To be tried besides none.
    probability, label
        Shape (n,), of rows that the model was not fitted on, in the order of time.
    loss
        From labels and probabilities; lower is better.
    """
    earlier, later = (half for half in np.array_split(np.arange(len(label)), 2))
    losses = {NONE: loss(label[later], probability[later])}
    if not all(0 < label[half].sum() < len(half) for half in (earlier, later)):
        return CalibrationCheck(NONE, losses, probability)
    for method in methods:
        losses[method] = loss(label[later], _mapped(method, probability, label, earlier, later))
    best = min(losses, key=lambda name: losses[name])
    if not losses[best] < losses[NONE] * (1 - MIN_GAIN):
        return CalibrationCheck(NONE, losses, probability)
    halves = [_mapped(best, probability, label, *pair) for pair in ((later, earlier), (earlier, later))]
    return CalibrationCheck(best, losses, np.concatenate(halves))


def _mapped(
    method: str, probability: np.ndarray, label: np.ndarray, learned_on: np.ndarray, applied_to: np.ndarray
) -> np.ndarray:
    return apply_map(fit_map(method, probability[learned_on], label[learned_on]), probability[applied_to])
