"""Hand-made predictions, and the settings of each database they go to."""

from datetime import UTC, datetime
from pathlib import Path

from flightline.adapters.prediction_log.feature_lists import with_names
from flightline.adapters.prediction_log.log import LoggedPrediction, instance_key
from flightline.adapters.prediction_log.rows import encode
from flightline.adapters.prediction_log.schema import COLUMNS
from flightline.core.prediction_record import make_prediction_id
from flightline.core.settings import PredictionLogSettings, Settings

LOGGED = datetime(2026, 3, 1, 9, 30, 15, 123456, tzinfo=UTC)
CLOCK = datetime(2013, 12, 31, 12, tzinfo=UTC)
KEYS = {"shop": "Zürich 東京", "item": 23, "size": None, "opens": datetime(2013, 12, 31, 14, tzinfo=UTC)}


def prediction(**changes: object) -> LoggedPrediction:
    """Make a prediction that differs from all others by its id."""
    given = {
        "request_id": "request-1",
        "logged_at": LOGGED,
        "clock": CLOCK,
        "prediction_time": datetime(2013, 12, 31, 12, tzinfo=UTC),
        "event_time": datetime(2013, 12, 31, 14, tzinfo=UTC),
        "keys": KEYS,
        "features": {"mean": 12.25, "share": None, "kind": "größer", "count": 3.0},
        "event_timestamps": {"recent": datetime(2013, 12, 31, 11, 59, 59, 999999, tzinfo=UTC)},
        "watermarks": {"recent": CLOCK, "daily": datetime(2013, 12, 31, tzinfo=UTC)},
        "missing": {"daily": "no value"},
        "prediction": 0.1 + 0.2,
        "model_name": "model",
        "model_version": "7",
        "feature_service": "service_v1",
        "role": "champion",
        "endpoint": "predict",
    } | changes
    given.setdefault("prediction_id", make_prediction_id(given["logged_at"]))
    given.setdefault("instance_key", instance_key(given["keys"]))
    return LoggedPrediction(**given)


def rows_by_name(made: list[LoggedPrediction], dialect: str) -> list[dict]:
    """Give rows with their features as an object, as before migration 0009 and by workers of older code."""
    place = COLUMNS.index("features")
    return [
        dict(zip(COLUMNS, row, strict=False)) | {"features": with_names(row[place], tuple(one.features))}
        for row, one in zip(encode(made, dialect), made, strict=True)
    ]


def settings_of(root: Path, **log: object) -> Settings:
    return Settings(root=root, prediction_log=PredictionLogSettings(**log))
