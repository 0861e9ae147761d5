"""Predictions of the service's own code on grown data, logged.

Run it with a number: so many of the newest, as of the event clock, for parity. With `weeks`: all of the weeks that
monitoring looks at, each as if it had been asked for at its prediction time, but of the values of today.
"""

import asyncio
import sys
from datetime import datetime

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


def log_predictions(project: Project, asked: pd.DataFrame, *, as_asked: bool) -> int:
    """Ask about examples from the online store and log the answers, at the event clock or at their prediction times."""
    fetch_champion(project)
    model = load_served_model(project.settings.serving_models_dir, project)
    if model is None:
        raise ModelFileError("the training promoted no model")
    clock, features = read_clock(project.settings), open_feature_service(project)
    predictor, logger = Predictor(project, model, features), PredictionLogger(project.settings)

    async def answer() -> None:
        for first in range(0, len(asked), AT_ONCE):
            part = asked[first : first + AT_ONCE]
            logged_at = part["event_timestamp"].max().to_pydatetime() if as_asked else clock
            instances = [project.schemas.instance.model_validate(dict(each)) for each in project.requests_of(part)]
            await logger.record("predict", predictor, logged_at, predictor.predict(instances, clock), instances)

    try:
        asyncio.run(answer())
    finally:
        logger.close()
        features.close()
    return len(asked)


def examples_of(project: Project, since: datetime | None = None) -> pd.DataFrame:
    """Read the requests of the examples, by prediction time."""
    file = project.settings.features_dir / "current" / "examples" / "examples.parquet"
    columns = [*project.request_fields, "event_timestamp", "example_id"]
    filters = None if since is None else [("event_timestamp", ">=", since)]
    return pd.read_parquet(file, columns=columns, filters=filters).sort_values(["event_timestamp", "example_id"])


def main(which: str) -> None:
    """Log so many, or the weeks."""
    project = open_project()
    if which == "weeks":
        rule = project.problem.monitoring
        since = read_clock(project.settings) - rule.window * (rule.shown_windows + 1)
        with stage("weeks") as progress:
            progress.say(f"{log_predictions(project, examples_of(project, since), as_asked=True):,} predictions")
        return
    with stage("serve") as progress:
        asked = examples_of(project).tail(int(which))
        progress.say(f"{log_predictions(project, asked, as_asked=False):,} predictions")


if __name__ == "__main__":
    sys.exit(run_command(lambda: main(sys.argv[1])))
