"""What the page shows besides the form: the model, its calibration, its last weeks, and what comes next."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flightline.adapters.upcoming import upcoming_instances
from flightline.core.errors import ClockError
from flightline.core.project import Project
from serving.page.pictures import CalibrationPicture, calibration_picture
from serving.prediction.predictor import Predictor

MOST_UPCOMING, MOST_PICTURES, MOST_WEEKS = 20, 6, 8


def pictures_of(predictor: Predictor) -> list[CalibrationPicture]:
    """Give the calibration pictures of a model, of several classes those of the first few."""
    profile = predictor.model.profile
    if profile is None or profile.test is None:
        return []
    is_probability = predictor.project.problem.task != "regression"
    tables = list(profile.test.calibration.items())[:MOST_PICTURES]
    return [calibration_picture(name, bins, is_probability) for name, bins in tables if bins]


def upcoming_of(project: Project, clock: datetime | None) -> list[dict[str, object]]:
    """Give what comes next, if there is a clock and the problem's examples lie here."""
    try:
        return upcoming_instances(project, clock, MOST_UPCOMING) if clock else []
    except (ClockError, OSError):
        return []


def last_decision(project: Project) -> dict[str, Any] | None:
    """Give what monitoring wrote last, with the windows that had predictions; None if it never ran here."""
    file = project.settings.state_dir / "monitoring" / "latest_decision.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        metric = project.problem.primary_metric
        windows = [_window(each, metric) for each in found["windows"] if each["predictions"]]
        return {
            "version": found["version"],
            "action": found["decision"]["action"],
            "summary": found["decision"]["summary"],
            "windows": windows[-MOST_WEEKS:],
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None  # of another version of the code, or half a file: the page does without


def _window(found: Mapping[str, Any], metric: str) -> dict[str, Any]:
    return {
        "span": found["window"],
        "predictions": found["predictions"],
        "labelled": found["labelled"],
        "loss": found["metrics"].get(metric),
        "gap": found["metrics"].get("gap"),
        "is_breached": found["is_breached"],
    }
