"""Models of scikit-learn, and the baselines."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
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

from flightline.core.problem_spec import Task
from flightline.inference.predict import METHODS
from flightline.training.preprocessing import Columns, as_codes, as_numbers
from flightline.training.zoo.entry import COMPONENTS_AND_SEGMENTS, SEGMENTS, Range, Rows, ZooModel

# Types that skops does not trust by itself.
TREES = ("sklearn.tree._tree.Tree",)
BOOSTED_TREES = (
    "functools.partial",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)
NETWORK = ("sklearn.neural_network._stochastic_optimizers.AdamOptimizer",)

SPACE_OF_BOOSTING = {
    "learning_rate": Range(0.02, 0.15),
    "max_leaf_nodes": Range(15, 127, is_integer=True),
    "min_samples_leaf": Range(20, 500, is_integer=True),
    "l2_regularization": Range(1.0, 100.0),
    "max_features": Range(0.15, 0.8),
}


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


def stages_of_boosting(
    task: Task, estimator: Any, before: Rows, later: Rows, patience: int, every: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Fit until the loss on the later rows gets no better, and give the output for them after some iterations."""
    estimator.set_params(early_stopping=True, n_iter_no_change=patience, scoring="loss", tol=0.0)
    estimator.fit(*before, X_val=later[0], y_val=later[1])
    for iteration, output in enumerate(getattr(estimator, f"staged_{METHODS[task]}")(later[0]), start=1):
        if iteration % every == 0 or iteration == estimator.n_iter_:
            yield iteration, output


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
        "decision_tree": ZooModel(
            partial(decision_tree, task),
            tried=leaves,
            tried_on_few_rows=({"min_samples_leaf": 20},),
            steps=SEGMENTS,
            trusted_types=TREES,
        ),
        "random_forest": ZooModel(
            partial(random_forest, task),
            tried_on_few_rows=({"min_samples_leaf": 3},),
            steps=SEGMENTS,
            trusted_types=TREES,
        ),
        "hist_gradient_boosting": ZooModel(
            partial(hist_gradient_boosting, task),
            tried_on_few_rows=few,
            space=SPACE_OF_BOOSTING,
            steps=SEGMENTS,
            stages=partial(stages_of_boosting, task),
            trusted_types=BOOSTED_TREES,
        ),
        "feed_forward_network": ZooModel(
            partial(feed_forward_network, task),
            tried=tuple({"epochs": count} for count in (3, 8)),
            tried_on_few_rows=({"epochs": 40},),
            steps=COMPONENTS_AND_SEGMENTS,
            trusted_types=NETWORK,
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


MODELS: Mapping[Task, Mapping[str, ZooModel]] = {
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
