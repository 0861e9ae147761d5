"""What `make bench-monitor` measures on: the rows of the training set, and what the champion says of them."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from flightline.adapters.model_store.model_file import load_model
from flightline.core.settings import Settings
from flightline.inference.predict import predict
from flightline.problem.config import PROBLEM
from flightline.training.splits import split


@dataclass(frozen=True)
class Rows:
    """Labelled rows of the test window, and what the champion says of them."""

    examples: pd.DataFrame
    features: pd.DataFrame
    label: np.ndarray
    predicted: np.ndarray
    pipeline: Pipeline
    training_features: pd.DataFrame
    training_times: pd.Series
    tables: Path

    @property
    def times(self) -> pd.Series:
        """Prediction times."""
        return self.examples["event_timestamp"]

    def ask(self, features: pd.DataFrame) -> np.ndarray:
        """Predict rows anew."""
        return predict(PROBLEM.task, self.pipeline, features[list(self.pipeline.feature_names_in_)])


def read(root: Path) -> Rows:
    """Read the newest training set and the champion of a clone."""
    settings = Settings(root=root.resolve())
    sets = sorted((settings.state_dir / "training_sets").glob("*/features.parquet"), key=lambda f: f.stat().st_mtime)
    models = sorted((settings.state_dir / "models").glob("*/model.skops"), key=lambda f: f.stat().st_mtime)
    if not sets or not models:
        sys.exit(f"{root} holds no training set or no model; run `make train` there first")
    examples, features = pd.read_parquet(sets[-1].parent / "examples.parquet"), pd.read_parquet(sets[-1])
    masks, pipeline = split(examples, PROBLEM.windows), load_model(models[-1])
    test, training = masks["test"], masks["refit"]
    label = examples.loc[test, PROBLEM.label].to_numpy(float)
    learned = (
        features[training].reset_index(drop=True),
        examples.loc[training, "event_timestamp"].reset_index(drop=True),
    )
    tables = settings.state_dir / "features" / "current"
    own = examples[test].reset_index(drop=True), features[test].reset_index(drop=True)
    rows = Rows(*own, label, np.empty(0), pipeline, *learned, tables)
    return replace(rows, predicted=rows.ask(rows.features))
