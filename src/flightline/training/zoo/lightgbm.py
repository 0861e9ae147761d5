"""LightGBM: boosted trees that grow leaf by leaf. Its package is a group of pyproject.toml."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags

from flightline.core.problem_spec import Task
from flightline.training.preprocessing import Columns, as_codes
from flightline.training.zoo.entry import SEGMENTS, Range, Rows, Setting, ZooModel

if TYPE_CHECKING:
    from lightgbm import Booster

OBJECTIVES: Mapping[Task, str] = {"classification": "binary", "multiclass": "multiclass", "regression": "regression"}
FEW_ROWS = 1_000  # more threads than one take longer


class LightGBM(BaseEstimator):
    """A booster that is kept as LightGBM's own text, and always read from it: no code comes with a file.

    Parameters
    ----------
    task
        Of the problem.
    categorical
        How many columns, the first ones, are codes of categories.
    max_iter
        Boosting iterations.
    parameters
        LightGBM's own, by its names.
    """

    def __init__(self, task: Task, categorical: int, max_iter: int, parameters: Mapping[str, Setting | bool]):
        self.task = task
        self.categorical = categorical
        self.max_iter = max_iter
        self.parameters = parameters

    def __sklearn_tags__(self) -> Tags:
        """Say what it is; scikit-learn's partial dependence asks."""
        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor" if self.task == "regression" else "classifier"
        return tags

    def fit(self, X: np.ndarray, y: np.ndarray) -> "LightGBM":  # noqa: N803  # scikit-learn's name
        """Fit on codes and numbers, shape (n, columns), and numbers of classes or values, shape (n,)."""
        return self._fit((X, y))

    def stages(self, before: Rows, later: Rows, patience: int, every: int) -> Iterator[tuple[int, np.ndarray]]:
        """Fit until the loss on the later rows gets no better, and give the output for them after some iterations."""
        self._fit(before, later, patience)
        last = self.booster_.current_iteration()
        for iteration in sorted({*range(every, last + 1, every), last}):
            yield iteration, self._predict(later[0], iteration)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803  # scikit-learn's name
        """Give the probabilities of the classes, shape (n, classes)."""
        return self._predict(X)

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803  # scikit-learn's name
        """Give the value, in a classification the likeliest class, shape (n,)."""
        output = self._predict(X)
        return output if self.task == "regression" else self.classes_[output.argmax(axis=1)]

    def _fit(self, before: Rows, later: Rows | None = None, patience: int = 0) -> "LightGBM":
        lightgbm = library()
        rows, target = np.asarray(before[0], dtype=np.float64), np.asarray(before[1])
        if self.task != "regression":
            self.classes_ = np.unique(target)
        parameters = {"objective": OBJECTIVES[self.task], "num_threads": effective_n_jobs(None), **self.parameters}
        if self.task == "multiclass":
            parameters["num_class"] = len(self.classes_)
        options = {"categorical_feature": list(range(self.categorical)), "params": parameters, "free_raw_data": True}
        train = lightgbm.Dataset(rows, self._as_numbers(target), **options)
        watched: dict[str, Any] = {}
        if later is not None:
            held = train.create_valid(np.asarray(later[0], dtype=np.float64), self._as_numbers(np.asarray(later[1])))
            watched = {"valid_sets": [held], "callbacks": [lightgbm.early_stopping(patience, verbose=False)]}
        booster = lightgbm.train(
            parameters, train, num_boost_round=self.max_iter, keep_training_booster=True, **watched
        )
        self.n_features_in_ = rows.shape[1]
        # How many threads fitted it is no part of a model.
        self.text_ = re.sub(r"\[num_threads: \d+\]", "[num_threads: 0]", booster.model_to_string(num_iteration=-1))
        self.booster_ = read_text(self.text_)
        return self

    def _as_numbers(self, target: np.ndarray) -> np.ndarray:
        return target if self.task == "regression" else np.searchsorted(self.classes_, target)

    def _predict(self, rows: np.ndarray, iterations: int | None = None) -> np.ndarray:
        threads = 1 if len(rows) < FEW_ROWS else effective_n_jobs(None)
        numbers, trees = np.asarray(rows, dtype=np.float64), iterations or -1
        output = np.asarray(self.booster_.predict(numbers, num_iteration=trees, num_threads=threads))
        return np.column_stack([1 - output, output]) if self.task == "classification" else output

    def __getstate__(self) -> dict[str, Any]:
        """Leave the booster out: its text is the model."""
        return {name: value for name, value in vars(self).items() if name != "booster_"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Read the booster from its text."""
        self.__dict__.update(state)
        if "text_" in state:
            self.booster_ = read_text(self.text_)


def read_text(text: str) -> "Booster":
    """Make a booster of LightGBM's text."""
    return library().Booster(model_str=text)


def library() -> ModuleType:
    """Import the package, which no file of the zoo may do before it is needed."""
    try:
        import lightgbm
    except OSError as err:
        raise ImportError(f"{err}: apt-get install libgomp1, or on macOS brew install libomp") from err
    return lightgbm


def build(
    task: Task,
    columns: Columns,
    seed: int,
    *,
    max_iter: int = 100,
    learning_rate: float = 0.08,
    num_leaves: int = 63,
    min_data_in_leaf: int = 200,
    lambda_l2: float = 50.0,
    feature_fraction_bynode: float = 0.3,
    **steps: int | None,
) -> Pipeline:
    """Boosted trees on binned features; missing values and categories are handled natively."""
    parameters: dict[str, Setting | bool] = {
        "learning_rate": learning_rate,
        "num_leaves": num_leaves,
        "min_data_in_leaf": min_data_in_leaf,
        "lambda_l2": lambda_l2,
        "feature_fraction_bynode": feature_fraction_bynode,  # at each split
        "seed": seed,
        "deterministic": True,  # whatever the number of threads
        "force_row_wise": True,
        "verbosity": -1,
    }
    model = LightGBM(task, len(columns.categorical), max_iter, parameters)
    return Pipeline([("encode", as_codes(columns, seed, **steps)), ("model", model)])


def _entry(task: Task) -> ZooModel:
    return ZooModel(
        partial(build, task),
        tried_on_few_rows=({"min_data_in_leaf": 20, "lambda_l2": 1.0},),
        space={
            "learning_rate": Range(0.02, 0.15),
            "num_leaves": Range(15, 127, is_integer=True),
            "min_data_in_leaf": Range(20, 500, is_integer=True),
            "lambda_l2": Range(1.0, 100.0),
            "feature_fraction_bynode": Range(0.15, 0.8),
        },
        steps=SEGMENTS,
        stages=LightGBM.stages,
        packages=("lightgbm",),
        trusted_types=("flightline.training.zoo.lightgbm.LightGBM",),
    )


MODELS: Mapping[Task, Mapping[str, ZooModel]] = {task: {"lightgbm": _entry(task)} for task in OBJECTIVES}
