"""Predictions of the service's own code on grown data, logged for parity: run it with their number."""

import asyncio
import sys

import pandas as pd

from flightline.adapters.event_clock import read_clock
from flightline.adapters.model_store.served_model import load_served_model
from flightline.core.errors import ModelFileError
from flightline.core.project import Project, open_project
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage
from pipelines.promotion_steps.champion import fetch_champion
from serving.prediction.model_loader import open_feature_service
from serving.prediction.prediction_logger import PredictionLogger
from serving.prediction.predictor import Predictor

AT_ONCE = 100


def log_predictions(project: Project, count: int) -> int:
    """Ask about the newest examples as of the event clock, from the online store, and log the answers."""
    fetch_champion(project)
    model = load_served_model(project.settings.serving_models_dir, project)
    if model is None:
        raise ModelFileError("the training promoted no model")
    clock, features = read_clock(project.settings), open_feature_service(project)
    file = project.settings.features_dir / "current" / "examples" / "examples.parquet"
    examples = pd.read_parquet(file, columns=[*project.request_fields, "event_timestamp", "example_id"])
    asked = examples.sort_values(["event_timestamp", "example_id"]).tail(count)
    instances = [project.schemas.instance.model_validate(dict(each)) for each in project.requests_of(asked)]
    predictor, logger = Predictor(project, model, features), PredictionLogger(project.settings)

    async def answer() -> None:
        for first in range(0, len(instances), AT_ONCE):
            part = instances[first : first + AT_ONCE]
            await logger.record("predict", predictor, clock, predictor.predict(part, clock), part)

    try:
        asyncio.run(answer())
    finally:
        logger.close()
        features.close()
    return len(instances)


def main(count: int) -> None:
    """Log so many."""
    with stage("serve") as progress:
        progress.say(f"{log_predictions(open_project(), count):,} predictions")


if __name__ == "__main__":
    sys.exit(run_command(lambda: main(int(sys.argv[1]))))
