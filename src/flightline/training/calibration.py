"""Calibration of probabilities: only where a check forward in time shows that it helps.

A map from a model's probabilities to better ones is learned on rows the model was not fitted
on. Whether it helps is asked of still later rows: on this project's first data it did not,
and a map that is always applied would have made the model worse.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

NONE = "none"
MIN_GAIN = 0.005  # of the uncalibrated loss; less may be chance, and a map costs a little of the ranking
_EDGE = 1e-6

Loss = Callable[[np.ndarray, np.ndarray], float]
ProbabilityMap: TypeAlias = BaseEstimator | list[BaseEstimator]


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
        Fitted on log-odds: a `LogisticRegression` (Platt's sigmoid) or an `IsotonicRegression`; of a multiclass model
        one for each class against the rest.
    """

    def __init__(self, model: ClassifierMixin, probability_map: ProbabilityMap):
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

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The columns, as the model knows them; a model that is a pipeline's only step is asked for them."""
        return self.model.feature_names_in_

    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803  # scikit-learn's name
        """Give the probabilities of the classes, shape (n, classes)."""
        probability = self.model.predict_proba(X)
        if isinstance(self.probability_map, list):
            return apply_map(self.probability_map, probability)
        positive = apply_map(self.probability_map, probability[:, 1])
        return np.column_stack([1 - positive, positive])

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803  # scikit-learn's name
        """Give the likeliest class, shape (n,)."""
        if isinstance(self.probability_map, list):
            return self.classes_[self.predict_proba(X).argmax(axis=1)]
        return self.classes_[(self.predict_proba(X)[:, 1] >= 0.5).astype(int)]


def fit_map(method: str, probability: np.ndarray, label: np.ndarray) -> ProbabilityMap:
    """Learn a map from probabilities to shares; of several classes one for each against the rest.

    Parameters
    ----------
    method
        sigmoid (Platt, 1999: two numbers) or isotonic (Zadrozny and Elkan, 2002: any rising map). Isotonic sees one
        more row of each class, where it is least expected (the idea of Venn-Abers predictors, Vovk and Petej, 2014):
        a step of few rows that are all of one class is then not taken for certain.
    probability, label
        Of rows that the model was not fitted on: shape (n,) and a label of 0 or 1, or shape (n, classes) and the
        number of the class. All classes are present.
    """
    if probability.ndim == 2:
        return [fit_map(method, of_class, label == number) for number, of_class in enumerate(probability.T)]
    odds = _log_odds(probability)
    if method == "isotonic":
        odds, label = np.append(odds, [odds.min(), odds.max()]), np.append(label, [1, 0])
        return IsotonicRegression(y_min=_EDGE, y_max=1 - _EDGE, out_of_bounds="clip").fit(odds, label)
    return LogisticRegression(C=1e6).fit(odds[:, None], label)


def apply_map(probability_map: ProbabilityMap, probability: np.ndarray) -> np.ndarray:
    """Send probabilities through a map of `fit_map`; those of several classes are then scaled to sum to 1.

    Of several classes as scikit-learn's `CalibratedClassifierCV` does (Zadrozny and Elkan, 2002).
    """
    if isinstance(probability_map, list):
        pairs = zip(probability_map, probability.T, strict=True)
        mapped = np.column_stack([apply_map(of_class, given) for of_class, given in pairs])
        return mapped / mapped.sum(axis=1, keepdims=True)
    odds = _log_odds(probability)
    if isinstance(probability_map, IsotonicRegression):
        return np.clip(probability_map.predict(odds), _EDGE, 1 - _EDGE)
    return probability_map.predict_proba(odds[:, None])[:, 1]


def with_map(pipeline: Pipeline, probability_map: ProbabilityMap) -> Pipeline:
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
        On the later half, by method, with none; of the model that learned from the earlier
        half as well, if it came to that.
    calibrated
        The given probabilities after the chosen method, each half by a map learned
        on the other, so that their loss is as honest as the uncalibrated one.
    """

    method: str
    losses: Mapping[str, float]
    calibrated: np.ndarray


def check_calibration(
    methods: tuple[str, ...],
    probability: np.ndarray,
    label: np.ndarray,
    loss: Loss,
    refitted: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> CalibrationCheck:
    """Learn each map on the earlier half of the rows and judge it on the later half.

    A map that helps the model it was learned on must then also help the same model fitted on
    the earlier half as well: for that is how it is going to be used, behind a model that has
    learned from more and newer rows. A shift that the newer rows teach by themselves would
    otherwise be made twice.

    Parameters
    ----------
    methods
        To be tried besides none.
    probability, label
        As for `fit_map`, in the order of time. If a class is missing in one of the halves, nothing is tried.
    loss
        From labels and probabilities; lower is better.
    refitted
        From the positions of the earlier and the later half to the probabilities of the later
        one by a model that was fitted on the earlier one too; called only if it decides.
    """
    earlier, later = (half for half in np.array_split(np.arange(len(label)), 2))
    classes = 2 if probability.ndim == 1 else probability.shape[1]
    if not all(len(np.unique(label[half])) == classes for half in (earlier, later)):
        return CalibrationCheck(NONE, {NONE: loss(label[later], probability[later])}, probability)
    maps = {method: fit_map(method, probability[earlier], label[earlier]) for method in methods}
    losses = _losses(maps, probability[later], label[later], loss)
    if _best(losses) != NONE:
        losses = _losses(maps, refitted(earlier, later), label[later], loss)
    best = _best(losses)
    if best == NONE:
        return CalibrationCheck(NONE, losses, probability)
    turned = apply_map(fit_map(best, probability[later], label[later]), probability[earlier])
    return CalibrationCheck(best, losses, np.concatenate([turned, apply_map(maps[best], probability[later])]))


def _losses(
    maps: Mapping[str, ProbabilityMap], probability: np.ndarray, label: np.ndarray, loss: Loss
) -> dict[str, float]:
    mapped = {method: apply_map(one, probability) for method, one in maps.items()}
    return {NONE: loss(label, probability)} | {method: loss(label, answers) for method, answers in mapped.items()}


def _best(losses: Mapping[str, float]) -> str:
    best = min(losses, key=lambda method: losses[method])
    return best if losses[best] < losses[NONE] * (1 - MIN_GAIN) else NONE
