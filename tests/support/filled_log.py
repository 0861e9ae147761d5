"""Fills a prediction log as the service would have, from rows of a training set: for tests, not a feature.

python -m tests.support.filled_log SHARE    fills the log of the clone it is run in, from its test window
"""

import sys
import uuid
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from flightline.adapters.prediction_log.log import LoggedPrediction, PredictionLog, instance_key
from flightline.core.prediction_record import logged_answer
from flightline.core.problem_spec import Problem
from flightline.core.project import open_project
from flightline.core.settings import Settings

VIEWS = ("recent", "daily")


def logged_rows(
    problem: Problem,
    examples: pd.DataFrame,
    features: pd.DataFrame,
    predictions: np.ndarray,
    version: str,
    seed: int = 0,
) -> list[LoggedPrediction]:
    """Make what the service logs at each example's prediction time, with hourly and daily feature views."""
    names, rng = [*problem.entity_keys, *problem.request_columns], np.random.default_rng(seed)
    rows = zip(
        examples[names].to_dict("records"),
        examples["event_timestamp"],
        features.astype(object).where(features.notna(), None).to_dict("records"),
        predictions,
        strict=True,
    )
    made = []
    for keys, moment, given, prediction in rows:
        hour = moment.floor("h").to_pydatetime()
        number, probabilities = logged_answer(problem.classes, prediction.tolist())
        views = {"recent": hour, "daily": hour.replace(hour=0)}
        made.append(
            LoggedPrediction(
                prediction_id=uuid.UUID(bytes=rng.bytes(16)).hex,
                request_id="filled",
                logged_at=moment.to_pydatetime(),
                clock=moment.to_pydatetime(),
                prediction_time=moment.to_pydatetime(),
                event_time=moment.to_pydatetime() + problem.prediction_horizon,
                instance_key=instance_key(keys),
                keys=keys,
                features=given,
                event_timestamps={name: at - timedelta(minutes=7) for name, at in views.items()},
                watermarks=views,
                missing={},
                prediction=number,
                probabilities=probabilities,
                model_name=problem.model_name,
                model_version=version,
                feature_service=problem.feature_service,
                role="champion",
                endpoint="predict",
            )
        )
    return made


def fill(settings: Settings, rows: Sequence[LoggedPrediction]) -> None:
    """Write rows into the log."""
    log = PredictionLog.open(settings)
    try:
        for first in range(0, len(rows), 5_000):
            log.write(rows[first : first + 5_000])
    finally:
        log.close()


def main(share: float) -> None:
    """Fill the log of this clone from the test window of its champion's training set."""
    from flightline.adapters.mlflow import registry
    from flightline.adapters.model_store.model_file import load_model
    from flightline.inference.predict import predict_with
    from flightline.training.splits import split

    project = open_project()
    settings, problem = project.settings, project.problem
    champion = registry.version_of(settings, problem.model_name, registry.CHAMPION)
    folder = settings.state_dir / "training_sets" / champion.tags["training_set"][:16]
    examples, features = pd.read_parquet(folder / "examples.parquet"), pd.read_parquet(folder / "features.parquet")
    test = split(examples, problem.windows)["test"]
    test &= np.random.default_rng(1).random(len(test)) < share
    model = load_model(registry.download_model(settings, champion), champion.tags["model_sha256"])
    predictions = predict_with(model, problem, features[test])
    fill(settings, logged_rows(problem, examples[test], features[test], predictions, str(champion.version)))
    print(f"{int(test.sum()):,} predictions logged")


if __name__ == "__main__":
    main(float(sys.argv[1]))
