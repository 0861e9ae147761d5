"""What a model goes by, as tables and pictures beside its evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from flightline.adapters.plots.explanation_plots import draw_dependence, draw_importance
from flightline.core.problem_spec import Problem
from flightline.evaluation.explanation import SAMPLE, partial_dependence, permutation_importance
from flightline.evaluation.metrics import primary_loss
from flightline.evaluation.sampling import spread_positions
from flightline.inference.predict import predict

EXPLAINED_FEATURES = 6
GROUPS_FILE, FEATURES_FILE = "importance_by_group.csv", "importance.csv"


def explain(
    problem: Problem,
    pipeline: Pipeline,
    features: pd.DataFrame,
    label: np.ndarray,
    groups: Mapping[str, Sequence[str]],
    folder: Path,
) -> None:
    """Write permutation importance, by feature and by group of features, and partial dependence, on a sample of rows.

    Parameters
    ----------
    features, label
        Of the test rows.
    groups
        By name, columns of the model that come from one place; see `contributions.group_columns`.
    """
    names = list(pipeline.feature_names_in_)
    chosen = spread_positions(len(features), SAMPLE)
    sample, known = features.iloc[chosen][names].reset_index(drop=True), label[chosen]
    loss = primary_loss(problem.task, problem.primary_metric)

    def answer(rows: pd.DataFrame) -> np.ndarray:
        return predict(problem.task, pipeline, rows)

    by_feature = permutation_importance(answer, sample, known, loss, {name: (name,) for name in names})
    by_group = permutation_importance(answer, sample, known, loss, groups)
    explained = by_feature["group"].head(EXPLAINED_FEATURES).tolist()
    dependence = partial_dependence(pipeline, sample, explained, problem.classes)
    by_group.to_csv(folder / GROUPS_FILE, index=False)
    single = by_feature.drop(columns="features").rename(columns={"group": "feature"})
    single.to_csv(folder / FEATURES_FILE, index=False)
    dependence.to_csv(folder / "partial_dependence.csv", index=False)
    draw_importance(folder / "importance.png", by_group, single, problem.primary_metric, len(sample))
    if len(dependence):
        draw_dependence(folder / "partial_dependence.png", dependence)
