"""What tasks pass on: where things lie and what identifies them, never the things themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flightline.core.errors import FeatureError
from flightline.core.settings import Settings
from flightline.core.windows import Windows

MADE_OF_FILE = "made_of.json"  # beside feature tables: their clock and data version


@dataclass(frozen=True)
class FeatureTables:
    """A version of the feature tables and the examples, in one folder."""

    key: str
    folder: Path
    rows: Mapping[str, int]
    examples: int

    @property
    def examples_file(self) -> Path:
        """The examples, with labels as known by the clock."""
        return self.folder / "examples" / "examples.parquet"


@dataclass(frozen=True)
class TrainingSet:
    """Examples with a label and their features, row by row, in two files of one folder, and the windows of them."""

    key: str
    folder: Path
    rows: int
    features: int
    unlabelled: Mapping[str, int]
    windows: Windows

    @property
    def examples_file(self) -> Path:
        """Ids, keys, prediction times and labels."""
        return self.folder / "examples.parquet"

    @property
    def features_file(self) -> Path:
        """The columns a model takes, in order."""
        return self.folder / "features.parquet"


def newest_features(settings: Settings) -> Path:
    """Give the features file of the training set that was made last; the examples lie beside it.

    Raises
    ------
    FeatureError
        If there is none.
    """
    found = (settings.state_dir / "training_sets").glob("*/features.parquet")
    newest = max(found, key=lambda file: file.stat().st_mtime, default=None)
    if newest is None:
        raise FeatureError("nothing was trained yet, so there is no training set; run `make train` first")
    return newest


@dataclass(frozen=True)
class FittedFile:
    """A fitted model on disk, how its settings were chosen, and the latest prediction time it learned from."""

    key: str
    file: Path
    sha256: str
    rows: Mapping[str, int]
    chosen: Mapping[str, float | int | str | None]
    validation_losses: Mapping[str, float]
    validation_loss: float
    calibration: str
    calibration_losses: Mapping[str, float]
    learned_until: str
    seconds: float


@dataclass(frozen=True)
class EvaluationFile:
    """A model's evaluation on the test rows; its tables and pictures lie in `folder`."""

    key: str
    folder: Path
    metrics: Mapping[str, float]
    baseline_metrics: Mapping[str, float]
    rows: int
    rows_digest: str


@dataclass(frozen=True)
class Registered:
    """A model version in the registry."""

    version: str
    run_id: str
    sha256: str
