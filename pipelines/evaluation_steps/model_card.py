"""The card of a model version: what it is for, how good it is, what it was made of. Words for people, as Markdown.

It is written when the version is registered and signed with its other files, so the card that the service shows is the
one that belongs to the model. What the gate says of it later stands in the version's tags.
"""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.manifest import ModelManifest
from flightline.adapters.model_store.profile import ModelProfile
from flightline.core.errors import RegistryError
from flightline.core.project import Project
from flightline.evaluation.metrics import LOWER_IS_BETTER
from pipelines.common.rendering import render
from pipelines.evaluation_steps.explanation import GROUPS_FILE
from pipelines.evaluation_steps.held_out import CONFIDENCE, METRICS_FILE, SLICES_FILE, SLOPES_FILE

MOST_SLICES = 40
MEANINGS = {
    "log_loss": "surprise at what happened, in nats",
    "brier": "squared distance of the probability from what happened",
    "roc_auc": "how often a yes is ranked above a no; 0.5 is chance",
    "pr_auc": "precision over all recalls; chance is the base rate",
    "accuracy": "share of rows whose likeliest class is the true one",
    "ece": "mean distance of predicted from observed shares, over bins",
    "calibration_error": "mean distance of predicted from observed means, over bins",
    "rmse": "root of the mean squared error, in units of the label",
    "mae": "mean absolute error, in units of the label",
    "r2": "share of the label's variance that is explained",
    "gap": "label less prediction on average; 0 is right",
    "slope": "1 is right; below, predictions are too bold, above, too timid",
}


def model_card(project: Project, found: registry.ModelVersion, manifest: ModelManifest, profile: ModelProfile) -> str:
    """Render `model_card.md.j2` for a version.

    Parameters
    ----------
    profile
        What it learned from; its `test` is None if it was fitted anew on all labelled rows.
    """
    settings, problem = project.settings, project.problem
    slices = _table(project, found, SLICES_FILE, text=["value"])
    return render(
        "model_card.md.j2",
        problem=problem,
        purpose=problem.purpose,
        manifest=manifest,
        profile=profile,
        confidence=CONFIDENCE,
        metrics=_table(project, found, METRICS_FILE),
        slices=sorted(slices, key=lambda each: -each[problem.primary_metric])[:MOST_SLICES],
        slice_count=len(slices),
        slopes=_table(project, found, SLOPES_FILE),
        groups=_table(project, found, GROUPS_FILE),
        parameters=registry.parameters_of_version(settings, found),
        tags=dict(found.tags),
        meanings=MEANINGS,
        lower_is_better=LOWER_IS_BETTER,
        largest_gap=_largest_gap(profile),
        number=number,
    )


def _table(project: Project, found: registry.ModelVersion, name: str, text: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Read a table of the evaluation, with some columns as the text that was written; without one, an empty one."""
    try:
        content = registry.read_text(project.settings, found, f"evaluation/{name}")
    except RegistryError:
        return []
    table = pd.read_csv(io.StringIO(content), converters=dict.fromkeys(text, str))
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _largest_gap(profile: ModelProfile) -> Mapping[str, Any] | None:
    """Give the bin whose predicted and observed means differ most."""
    if profile.test is None:
        return None
    bins = [(name, each) for name, table in profile.test.calibration.items() for each in table]
    name, worst = max(bins, key=lambda pair: abs(pair[1].predicted - pair[1].observed), default=("", None))
    return {"name": name, "bin": worst} if worst else None


def number(value: float, digits: int = 4) -> str:
    """Write a number, or a dash where there is none.

    Examples
    --------
    >>> number(0.42531), number(float("nan")), number(float("inf"))
    ('0.4253', '-', '-')
    """
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
