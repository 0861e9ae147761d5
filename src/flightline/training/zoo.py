"""The zoo: scikit-learn pipelines by task and name, each with its own preprocessing inside.

A pipeline takes the feature frame as it is: float64 columns that may hold missing values,
and text columns with categories that may be missing or unseen. What it needs on top, it does
itself, so that no model can be judged with another's preprocessing.

No model reweights classes: its probabilities would no longer be shares
(docs/decisions/0008-probabilities.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import BayesianRidge, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from flightline.core.errors import TrainingError
from flightline.core.problem_spec import Task
from flightline.training.preprocessing import Columns, as_codes, as_numbers

Setting = float | int | str | None
Settings = Mapping[str, Setting]

SEGMENTS = frozenset({"kmeans_segments"})
COMPONENTS_AND_SEGMENTS = frozenset({"pca_components", "kmeans_segments"})
FEW_ROWS = 50_000


@dataclass(frozen=True)
class ZooModel:
    """A model by name: how it is built, and what is tried when it is trained.

    Parameters
    ----------
    build
        From (columns, seed, **settings) to an unfitted pipeline.
    tried
        The settings compared on the validation window; one is no choice.
    tried_on_few_rows
        Compared as well where there are fewer than `FEW_ROWS` rows to fit on: fits are then
        cheap, and what suits many rows may not suit few.
    steps
        Which of the steps ``pca_components`` and ``kmeans_segments`` it can take.
    newest_rows
        It learns from the newest so many rows only, since its cost or its file would grow too
        large; None for all.
    is_staged
        One fit gives the predictions after each iteration.
    is_baseline
        What any model must beat.
    """

    build: Callable[..., Pipeline]
    tried: tuple[Settings, ...] = ({},)
    tried_on_few_rows: tuple[Settings, ...] = ()
    steps: frozenset[str] = frozenset()
    newest_rows: int | None = None
    is_staged: bool = False
    is_baseline: bool = False


def base_rate(columns: Columns, seed: int) -> Pipeline:
    """Answer the shares of the classes seen in training, whatever is asked."""
    return Pipeline([("model", DummyClassifier(strategy="prior"))])


def mean(columns: Columns, seed: int) -> Pipeline:
    """Answer the mean seen in training, whatever is asked."""
    return Pipeline([("model", DummyRegressor(strategy="mean"))])


def logistic_regression(
    columns: Columns, seed: int, *, inverse_regularisation: float = 0.1, **steps: int | None
) -> Pipeline:
    """Linear in scaled numbers and one-hot categories; missing numbers get the median and a flag."""
    model = LogisticRegression(C=inverse_regularisation, max_iter=300, tol=1e-3, random_state=seed)
    return Pipeline([("encode", as_numbers(columns, seed, **steps)), ("model", model)])


def ridge_regression(columns: Columns, seed: int, *, regularisation: float = 10.0, **steps: int | None) -> Pipeline:
    """Linear in scaled numbers and one-hot categories; missing numbers get the median and a flag."""
    return Pipeline([("encode", as_numbers(columns, seed, **steps)), ("model", Ridge(alpha=regularisation))])


def k_nearest_neighbours(
    task: Task, columns: Columns, seed: int, *, neighbours: int = 100, **steps: int | None
) -> Pipeline:
    """Answer the mean of the nearest rows; compared with all of them, which compiled code does in blocks."""
    kind = KNeighborsRegressor if task == "regression" else KNeighborsClassifier
    encode = as_numbers(columns, seed, max_categories=20, **steps)
    return Pipeline([("encode", encode), ("model", kind(neighbours, algorithm="brute"))])


def decision_tree(
    task: Task, columns: Columns, seed: int, *, min_samples_leaf: int = 500, **steps: int | None
) -> Pipeline:
    """One tree, small enough to be drawn."""
    kind = DecisionTreeRegressor if task == "regression" else DecisionTreeClassifier
    model = kind(max_depth=12, min_samples_leaf=min_samples_leaf, random_state=seed)
    return Pipeline([("encode", as_codes(columns, seed, **steps)), ("model", model)])


def random_forest(
    task: Task, columns: Columns, seed: int, *, min_samples_leaf: int = 20, **steps: int | None
) -> Pipeline:
    """Trees on random parts of rows and features; their size is held, since the file grows with it."""
    kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
    model = kind(
        n_estimators=80,
        max_samples=0.2,
        max_features="sqrt",
        min_samples_leaf=min_samples_leaf,
        random_state=seed,
    )
    return Pipeline([("encode", as_codes(columns, seed, **steps)), ("model", model)])


def hist_gradient_boosting(
    task: Task,
    columns: Columns,
    seed: int,
    *,
    max_iter: int = 100,
    learning_rate: float = 0.08,
    max_leaf_nodes: int = 63,
    min_samples_leaf: int = 200,
    l2_regularization: float = 50.0,
    max_features: float = 0.3,
    **steps: int | None,
) -> Pipeline:
    """Boosted trees on binned features; missing values and categories are handled natively."""
    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    model = kind(
        learning_rate=learning_rate,
        max_iter=max_iter,
        max_leaf_nodes=max_leaf_nodes,
        min_samples_leaf=min_samples_leaf,
        l2_regularization=l2_regularization,
        max_features=max_features,
        categorical_features=list(range(len(columns.categorical))),
        early_stopping=False,  # it would stop by a random split; iterations are chosen on a later window
        random_state=seed,
    )
    return Pipeline([("encode", as_codes(columns, seed, **steps)), ("model", model)])


def gaussian_naive_bayes(columns: Columns, seed: int, *, var_smoothing: float = 1e-3, **steps: int | None) -> Pipeline:
    """Take each feature as a normal of its own by class: quick, and too sure where features say the same."""
    encode = as_numbers(columns, seed, max_categories=20, **steps)
    return Pipeline([("encode", encode), ("model", GaussianNB(var_smoothing=var_smoothing))])


def bayesian_ridge(columns: Columns, seed: int, **steps: int | None) -> Pipeline:
    """Linear, with its regularisation learned from the data under normal priors."""
    return Pipeline([("encode", as_numbers(columns, seed, max_categories=20, **steps)), ("model", BayesianRidge())])


def feed_forward_network(task: Task, columns: Columns, seed: int, *, epochs: int = 6, **steps: int | None) -> Pipeline:
    """Two hidden layers, fitted for a fixed number of passes over the rows."""
    kind = MLPRegressor if task == "regression" else MLPClassifier
    model = kind(
        hidden_layer_sizes=(64, 32),
        alpha=1e-3,
        batch_size=512,
        # Passes are chosen on a later window. A tolerance that no pass can meet ends the fit after
        # exactly so many, as converged; stopping early would go by a random split.
        max_iter=epochs + 1,
        n_iter_no_change=epochs - 2,
        tol=1e9,
        random_state=seed,
    )
    return Pipeline([("encode", as_numbers(columns, seed, max_categories=20, **steps)), ("model", model)])


def _shared(task: Task) -> dict[str, ZooModel]:
    few = ({"min_samples_leaf": 20, "l2_regularization": 1.0},)
    leaves = tuple({"min_samples_leaf": rows} for rows in (200, 1000))
    return {
        "k_nearest_neighbours": ZooModel(
            partial(k_nearest_neighbours, task),
            tried=tuple({"neighbours": count} for count in (50, 200)),
            tried_on_few_rows=({"neighbours": 10},),
            steps=COMPONENTS_AND_SEGMENTS,
            newest_rows=5_000,
        ),
        "decision_tree": ZooModel(partial(decision_tree, task), leaves, ({"min_samples_leaf": 20},), steps=SEGMENTS),
        "random_forest": ZooModel(
            partial(random_forest, task), tried_on_few_rows=({"min_samples_leaf": 3},), steps=SEGMENTS
        ),
        "hist_gradient_boosting": ZooModel(
            partial(hist_gradient_boosting, task), tried_on_few_rows=few, steps=SEGMENTS, is_staged=True
        ),
        "feed_forward_network": ZooModel(
            partial(feed_forward_network, task),
            tried=tuple({"epochs": count} for count in (3, 8)),
            tried_on_few_rows=({"epochs": 40},),
            steps=COMPONENTS_AND_SEGMENTS,
        ),
    }


def _classifiers(task: Task) -> dict[str, ZooModel]:
    return {
        "base_rate": ZooModel(base_rate, is_baseline=True),
        "logistic_regression": ZooModel(
            logistic_regression,
            tried=tuple({"inverse_regularisation": c} for c in (0.003, 0.03, 0.3)),
            steps=COMPONENTS_AND_SEGMENTS,
        ),
        "gaussian_naive_bayes": ZooModel(
            gaussian_naive_bayes,
            tried=tuple({"var_smoothing": share} for share in (1e-6, 1e-2)),
            steps=COMPONENTS_AND_SEGMENTS,
        ),
        **_shared(task),
    }


ZOO: Mapping[Task, Mapping[str, ZooModel]] = {
    "classification": _classifiers("classification"),
    "multiclass": _classifiers("multiclass"),
    "regression": {
        "mean": ZooModel(mean, is_baseline=True),
        "ridge_regression": ZooModel(
            ridge_regression,
            tried=tuple({"regularisation": alpha} for alpha in (1.0, 30.0, 1000.0)),
            steps=COMPONENTS_AND_SEGMENTS,
        ),
        "bayesian_ridge": ZooModel(bayesian_ridge, steps=COMPONENTS_AND_SEGMENTS),
        **_shared("regression"),
    },
}


def find_model(task: Task, name: str) -> ZooModel:
    """Look a model up by task and name.

    Raises
    ------
    TrainingError
        If the zoo has no such model for the task.
    """
    models = ZOO[task]
    if name not in models:
        raise TrainingError(f"no {task} model is named {name!r}; MODEL is one of: {', '.join(models)}")
    return models[name]


def baseline_of(task: Task) -> ZooModel:
    """Give the model of a task that any other must beat."""
    return next(model for model in ZOO[task].values() if model.is_baseline)
