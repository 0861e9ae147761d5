"""Runs inside a trained copy: logs predictions of its test window as the service would have.

python -m tests.proof.inside.fill_log [--shift broken | late]

Shift broken: from `BROKEN_SINCE` on four columns are not what they were, and the champion is
asked with what comes. Shift late: flights that were on time are left out, so that twice the
share of the others comes late.
"""

import argparse
import sys

import numpy as np
import pandas as pd

from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.model_file import load_model
from flightline.core.settings import Settings
from flightline.problem.config import PROBLEM
from flightline.training.splits import split
from pipelines.steps.models import predict_with
from tests.support.filled_log import fill, logged_rows

BROKEN_SINCE = pd.Timestamp("2013-03-26", tz="UTC")
SHARE = 0.12  # of the flights: about 100 a day are enough to look at


def choose(late: pd.Series, is_test: np.ndarray, *, is_doubled: bool) -> np.ndarray:
    """Draw flights of the test window; doubled, fewer of those that were on time."""
    kept, rate = np.full(len(late), SHARE), late[is_test].mean()
    if is_doubled:
        kept[late.to_numpy() == 0] *= (1 - 2 * rate) / (2 * (1 - rate))
    return is_test & (np.random.default_rng(0).random(len(late)) < kept)


def break_columns(features: pd.DataFrame, is_hit: pd.Series) -> pd.DataFrame:
    """Break a column in each of four ways where `is_hit`."""
    busiest = features["carrier"].mode()[0]
    return features.assign(
        temp=features["temp"].where(~is_hit, (features["temp"] - 32) / 1.8),
        wind_speed=features["wind_speed"].where(~is_hit, 11.5),
        carrier=features["carrier"].where(~is_hit | (features["carrier"] != busiest), "Z9"),
        pressure=features["pressure"].where(~is_hit),
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shift", choices=["broken", "late"])
    shift = parser.parse_args().shift
    settings = Settings()
    champion = registry.version_of(settings, PROBLEM.model_name, registry.CHAMPION)
    folder = settings.state_dir / "training_sets" / champion.tags["training_set"][:16]
    examples, features = pd.read_parquet(folder / "examples.parquet"), pd.read_parquet(folder / "features.parquet")
    is_test = np.asarray(split(examples, PROBLEM.windows)["test"])
    chosen = choose(examples[PROBLEM.label], is_test, is_doubled=shift == "late")
    examples, features = examples[chosen], features[chosen]
    if shift == "broken":
        features = break_columns(features, examples["event_timestamp"] >= BROKEN_SINCE)
    model = load_model(registry.download_model(settings, champion), champion.tags["model_sha256"])
    predictions = predict_with(model, PROBLEM, features)
    fill(settings, logged_rows(PROBLEM, examples, features, predictions, str(champion.version)))
    print(f"{len(examples):,} predictions logged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
