"""A prediction out of the log, as the page shows it: what a link to it leads to."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import numpy as np

from flightline.adapters.prediction_log.label_table import read_labels
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.prediction_record import with_answers
from flightline.core.project import Project
from flightline.monitoring.labels import LABELLED
from serving.prediction.explanation import explain
from serving.prediction.predictor import PredictionResult, Predictor, outcome_of


def read_logged(project: Project, predictor: Predictor, prediction_id: str, caller: str) -> dict[str, Any] | None:
    """Give a logged prediction with what drove it and what became of it; None if this caller was given none by that id.

    Returns
    -------
    dict
        `prediction` with the fields of an answer, `changes` as `:explain` gives them (none, if another version than the
        served one made it), `version`, and `model_is_served`.

    Raises
    ------
    LogError
        If the log cannot be read.
    """
    with closing(PredictionLog.open(project.settings)) as log:
        found = log.read(ids=[prediction_id])
    found = found[found["caller"] == caller]
    if found.empty:
        return None
    row: Mapping[str, Any] = with_answers(found, project.problem.classes).iloc[0].to_dict()
    value, clock = np.asarray(row["prediction"]).tolist(), row["clock"]
    is_served = row["model_version"] == predictor.model.manifest.version
    inputs = {name: row["features"].get(name) for name in predictor.model.kinds}
    changes = explain(predictor, [PredictionResult(value, inputs)])[0] if is_served else []
    ages = {view: int((clock - stamp).total_seconds()) for view, stamp in row["event_timestamps"].items()}
    prediction = {
        **outcome_of(project.problem, value),
        "prediction_id": prediction_id,
        "missing_features": row["missing"],
        "feature_ages_seconds": {view: age for view, age in ages.items() if age >= 0},
        "notes": [_asked(row), _became(project, row["instance_key"])],
    }
    return {
        "prediction": prediction,
        "changes": [change.model_dump() for change in changes],
        "version": row["model_version"],
        "model_is_served": is_served,
    }


def _asked(row: Mapping[str, Any]) -> str:
    about = ", ".join(f"{name} {value}" for name, value in row["keys"].items()) or "features alone"
    return f"Asked at {row['clock']:%Y-%m-%d %H:%M} UTC on the event clock, about {about}."


def _became(project: Project, instance_key: str) -> str:
    labels = read_labels(project.settings, keys=[instance_key])
    if labels.empty:
        return "What became of it is not known yet (make labels)."
    label, problem = labels.iloc[0], project.problem
    if label["outcome"] != LABELLED:
        return f"It has no label: {label['outcome']}."
    value = problem.classes[int(label["label"])] if problem.classes else f"{label['label']:g}"
    return f"What became of it: {problem.label} = {value}, known at {label['known_at']:%Y-%m-%d %H:%M} UTC."
