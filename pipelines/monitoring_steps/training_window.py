"""Tasks on the training window, which served rows are held against: drift thresholds, limits of a day, a sample.

What is kept of them is made anew when a module changes that this one reaches: so it reaches neither log nor registry.
"""

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import pandas as pd

from flightline.adapters import evidently_reports
from flightline.adapters.files.parquet_rows import FrameOfFile, write_folder
from flightline.core.problem_spec import Monitoring
from flightline.core.settings import Settings
from flightline.monitoring.behaviours import check_hints
from flightline.monitoring.drift import PREDICTION, month_thresholds, sample_places
from flightline.monitoring.limits import Limits, learn_limits
from pipelines.common.cached_step import cached_step

FEATURES_FILE = "features.parquet"
ANSWER = "answer"


@dataclass(frozen=True)
class ChampionRows:
    """What the champion learned from and was tested on, with its predictions of both.

    Parameters
    ----------
    version
        In the registry.
    key
        Of what these rows depend on.
    folder
        Holds `rows.parquet`: prediction time, part (training or test), label, prediction, slices; of a multiclass
        problem the class that was answered too.
    training_set
        The folder of its training set.
    """

    version: str
    key: str
    folder: Path
    training_set: Path

    @property
    def rows_file(self) -> Path:
        """The rows with the champion's predictions."""
        return self.folder / "rows.parquet"

    @property
    def features_file(self) -> Path:
        """The features of the same rows."""
        return self.training_set / FEATURES_FILE


def references_dir(settings: Settings) -> Path:
    """Say where the champions' own rows lie."""
    return settings.state_dir / "monitoring" / "references"


def training_frame(champion: ChampionRows) -> tuple[FrameOfFile, pd.Series]:
    """Give the features and predictions of the training window, read when they are asked for, and the prediction times.

    What drifts of a multiclass prediction is the class that is answered.
    """
    rows = pd.read_parquet(champion.rows_file)
    is_training = (rows["part"] == "training").to_numpy()
    predicted = rows.loc[is_training, ANSWER if ANSWER in rows else PREDICTION].to_numpy()
    frame = FrameOfFile(champion.features_file, is_training, {PREDICTION: predicted})
    return frame, rows.loc[is_training, "event_timestamp"].reset_index(drop=True)


@cached_step
def learn_drift_thresholds(key: str, settings: Settings, champion: ChampionRows, rule: Monitoring) -> dict[str, float]:
    """Score each month of the training window against the rest of it, and give each column its threshold."""
    frame, times = training_frame(champion)
    thresholds = month_thresholds(frame, times, rule, evidently_reports.drift_scores)
    folder = references_dir(settings) / key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "thresholds.json").write_text(json.dumps(thresholds, indent=2), encoding="utf-8")
    return thresholds


@cached_step
def learn_anomaly_limits(
    key: str, settings: Settings, champion: ChampionRows, rule: Monitoring, horizon: timedelta
) -> Limits:
    """Learn from the training window how each column moves by nature, and how far a day of it may go."""
    frame, times = training_frame(champion)
    check_hints(rule.hints, frame)
    limits = learn_limits(frame, times, rule, horizon)
    folder = references_dir(settings) / key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "supports": {name: asdict(support) for name, support in limits.supports.items()},
        "most": {kind: {str(where): most for where, most in found.items()} for kind, found in limits.most.items()},
        "months": sorted(limits.months),
    }
    (folder / "anomaly_limits.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
    return limits


@dataclass(frozen=True)
class TrainingSample:
    """Rows of the training window, which served rows are held against.

    Parameters
    ----------
    file
        As many of its rows as are compared.
    missing
        By column, the share of all its rows without a value.
    """

    file: Path
    missing: dict[str, float]


@cached_step
def sample_training(key: str, settings: Settings, champion: ChampionRows, rows: int) -> TrainingSample:
    """Draw the rows of the training window that drift is scored against; reading all of it takes seconds."""
    frame, times = training_frame(champion)
    folder = references_dir(settings) / key[:16]
    drawn = frame.take(sample_places(len(times), rows)).reset_index(drop=True)
    write_folder(folder, {"sample.parquet": drawn})
    missing = {name: float(frame[name].isna().mean()) for name in frame}
    return TrainingSample(folder / "sample.parquet", missing)
