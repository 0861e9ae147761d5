"""An ensemble: models of the zoo, each fitted by itself, that answer together."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags

from flightline.core.errors import TrainingError
from flightline.core.problem_spec import Task
from flightline.training.preprocessing import Columns
from flightline.training.zoo.entry import Setting, Settings, ZooModel
from flightline.training.zoo.keras import MODELS as KERAS
from flightline.training.zoo.scikit_learn import MODELS as MEMBERS

TWO, THREE, WITH_KERAS = (
    "hist_gradient_boosting+feed_forward_network",
    "hist_gradient_boosting+random_forest+feed_forward_network",
    "hist_gradient_boosting+keras_dense",
)
LEAST = 1e-6  # a member that is certain must not outvote all others


class MeanOfLogOdds(BaseEstimator):
    """Answers the mean of its members: of their log-odds where they give probabilities, else of their values.

    Parameters
    ----------
    task
        Of the problem.
    members
        Unfitted pipelines that take the feature frame as it is.
    """

    def __init__(self, task: Task, members: list[Pipeline]):
        self.task = task
        self.members = members

    def __sklearn_tags__(self) -> Tags:
        """Say what it is; scikit-learn's partial dependence asks."""
        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor" if self.task == "regression" else "classifier"
        return tags

    def fit(self, X: pd.DataFrame, y: pd.Series) -> "MeanOfLogOdds":  # noqa: N803  # scikit-learn's name
        """Fit each member on the whole of the feature frame."""
        self.members_ = [clone(member).fit(X, y) for member in self.members]
        self.feature_names_in_ = np.array(X.columns, dtype=object)
        if self.task != "regression":
            self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:  # noqa: N803  # scikit-learn's name
        """Give the probabilities of the classes, shape (n, classes).

        The mean of the logarithms, scaled to a sum of one: of two classes, that is the mean of the log-odds.
        """
        logs = [np.log(np.clip(member.predict_proba(X), LEAST, 1.0)) for member in self.members_]
        shares = np.exp(np.mean(logs, axis=0))
        return shares / shares.sum(axis=1, keepdims=True)

    def predict(self, X: pd.DataFrame) -> np.ndarray:  # noqa: N803  # scikit-learn's name
        """Give the mean value, in a classification the likeliest class, shape (n,)."""
        if self.task == "regression":
            return np.mean([member.predict(X) for member in self.members_], axis=0)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def build(
    task: Task,
    models: Mapping[str, ZooModel],
    columns: Columns,
    seed: int,
    *,
    members: str = THREE,
    **settings: Setting,
) -> Pipeline:
    """Build an ensemble of the models that are named, with a plus between them; each has a seed of its own.

    Parameters
    ----------
    settings
        Of the members, as MODEL__SETTING: those of a name share them.

    Raises
    ------
    TrainingError
        If there is none of a name.
    """
    names = members.split("+")
    if unknown := sorted(set(names) - models.keys()):
        raise TrainingError(
            f"got {'+'.join(unknown)} in members={members!r}, expected some of: {', '.join(models)}; + between them"
        )
    if foreign := sorted(name for name in settings if name.partition("__")[0] not in names):
        raise TrainingError(f"got {', '.join(foreign)}, expected settings of {', '.join(names)}, as MODEL__SETTING")
    built = [
        models[name].build(columns, seed + number, **_of_member(name, settings)) for number, name in enumerate(names)
    ]
    return Pipeline([("model", MeanOfLogOdds(task, built))])


def _of_member(name: str, settings: Settings) -> Settings:
    return {key.removeprefix(f"{name}__"): value for key, value in settings.items() if key.startswith(f"{name}__")}


def _entry(task: Task, *tried: str, other: ZooModel | None = None, name: str = "") -> ZooModel:
    """Make an ensemble of scikit-learn's models, and of another by its name; the last that is tried has all members."""
    models = {**MEMBERS[task], **({name: other} if other else {})}
    named = [models[member] for member in tried[-1].split("+")]
    return ZooModel(
        partial(build, task, models, members=tried[-1]),
        tried=tuple({"members": members} for members in tried),
        packages=other.packages if other else (),
        installed_by=other.installed_by if other else ZooModel.installed_by,
        trusted_types=(
            "flightline.training.zoo.ensemble.MeanOfLogOdds",
            *(kind for member in named for kind in member.trusted_types),
        ),
    )


MODELS = {
    task: {
        "ensemble": _entry(task, TWO, THREE),
        "keras_ensemble": _entry(task, WITH_KERAS, other=KERAS[task]["keras_dense"], name="keras_dense"),
    }
    for task in MEMBERS
}
