"""Runs inside a trained copy: logs predictions of its test window as the service would have.

python -m tests.proof.fill_log [--broken]

With --broken, from `BROKEN_SINCE` on the temperature comes in Celsius and the air pressure not
at all; the champion is asked again with what comes.
"""

import argparse
import sys

import numpy as np
import pandas as pd

from flightline.adapters import mlflow_registry as registry
from flightline.adapters.model_files import load_model
from flightline.problem import PROBLEM
from flightline.settings import Settings
from flightline.windows import split
from pipelines.models import predict_with
from tests.filled_log import fill, logged_rows

BROKEN_SINCE = pd.Timestamp("2013-03-26", tz="UTC")
SHARE = 0.12  # of the flights: about 100 a day are enough to look at


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--broken", action="store_true")
    options = parser.parse_args()
    settings = Settings()
    champion = registry.version_of(settings, PROBLEM.model_name, registry.CHAMPION)
    folder = settings.state_dir / "training_sets" / champion.tags["training_set"][:16]
    examples, features = pd.read_parquet(folder / "examples.parquet"), pd.read_parquet(folder / "features.parquet")
    chosen = split(examples, PROBLEM.windows)["test"] & (np.random.default_rng(0).random(len(examples)) < SHARE)
    examples, features = examples[chosen], features[chosen]
    if options.broken:
        is_hit = examples["event_timestamp"] >= BROKEN_SINCE
        celsius = (features["temp"] - 32) / 1.8
        features = features.assign(
            temp=features["temp"].where(~is_hit, celsius), pressure=features["pressure"].where(~is_hit)
        )
    model = load_model(registry.download_model(settings, champion), champion.tags["model_sha256"])
    predictions = predict_with(model, PROBLEM, features)
    fill(settings, logged_rows(PROBLEM, examples, features, predictions, str(champion.version)))
    print(f"{len(examples):,} predictions logged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
