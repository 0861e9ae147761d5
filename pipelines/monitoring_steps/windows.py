"""Tasks from the prediction log to judged windows: the champion's reference, the served rows, the evidence."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flightline.adapters.files.parquet_rows import read_parts, write_folder
from flightline.adapters.state.stamps import registry_state
from flightline.core.errors import RegistryError
from flightline.core.prediction_record import as_column, from_column
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.core.windows import Interval
from flightline.monitoring.decision import Reference, WindowEvidence, judge_window, make_reference
from flightline.monitoring.drift import PREDICTION
from flightline.monitoring.labels import LABELLED
from flightline.monitoring.window_metrics import DailyRows, bin_edges, sum_by_day
from flightline.training.splits import split
from pipelines.common.cached_step import cached_step
from pipelines.common.step import step
from pipelines.monitoring_steps.served import ServedRows

if TYPE_CHECKING:  # MLflow takes seconds, and is not asked while its files are as they were
    from flightline.adapters.mlflow.registry import ModelVersion

LEAST_REFERENCE_DAYS = 28
FEATURES_FILE = "features.parquet"
ANSWER = "answer"
PREDICTED_AT_ONCE = 50_000


@dataclass(frozen=True)
class Champion:
    """What the registry says of the champion.

    Parameters
    ----------
    version
        In the registry.
    training_set
        Key of the training set that it was made of.
    features_file
        Of that training set.
    judged, model_sha256
        The version that the gate judged, and the digest of its file; see `find_judged`.
    """

    version: str
    training_set: str
    features_file: Path
    judged: str
    model_sha256: str


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


def read_champion(project: Project) -> Champion:
    """Describe the champion, without asking MLflow if its files are as they were; raises as `find_champion`."""
    if (state := registry_state(project.settings)) is None:
        return _describe(project.settings, project.problem.model_name)
    return describe_champion(project.settings, project.problem.model_name, state)


@cached_step
def describe_champion(key: str, settings: Settings, model_name: str, state: str) -> Champion:
    """Ask MLflow; `state` is that of `registry_state`."""
    return _describe(settings, model_name)


def _describe(settings: Settings, model_name: str) -> Champion:
    found, training_set = _find_champion(settings, model_name)
    judged = _find_judged(settings, model_name, found)
    file = training_set_dir(settings, training_set) / FEATURES_FILE
    return Champion(str(found.version), training_set, file, str(judged.version), judged.tags["model_sha256"])


def find_champion(project: Project) -> tuple["ModelVersion", str]:
    """Give the champion, and the key of the training set it was made of.

    Raises
    ------
    RegistryError
        If there is no champion, or its training set is not at hand.
    """
    return _find_champion(project.settings, project.problem.model_name)


def _find_champion(settings: Settings, model_name: str) -> tuple["ModelVersion", str]:
    from flightline.adapters.mlflow import registry

    found = registry.version_of(settings, model_name, registry.CHAMPION)
    if found is None:
        raise RegistryError(f"{model_name} has no champion to monitor; run `make train`")
    training_set = found.tags.get("training_set", "")
    if not training_set or not (training_set_dir(settings, training_set) / FEATURES_FILE).is_file():
        raise RegistryError(
            f"the training set of version {found.version} is not under .state/training_sets, and nothing can be "
            "compared without it; run `make train`, which makes it again"
        )
    return found, training_set


def find_judged(project: Project, found: "ModelVersion") -> "ModelVersion":
    """Give the version that the gate judged: a refit of it has learned from the test rows, and is no reference."""
    return _find_judged(project.settings, project.problem.model_name, found)


def _find_judged(settings: Settings, model_name: str, found: "ModelVersion") -> "ModelVersion":
    from flightline.adapters.mlflow import registry

    judged = found.tags.get("refit_of")
    return registry.get_version(settings, model_name, judged) if judged else found


@cached_step
def predict_champion_rows(
    key: str, settings: Settings, problem: Problem, version: str, model_sha256: str, training_set: str
) -> ChampionRows:
    """Let the champion predict its own training and test rows."""
    from flightline.adapters.mlflow import registry
    from flightline.adapters.model_store.model_file import load_model
    from pipelines.steps.models import predict_with

    found, folder = (
        registry.get_version(settings, problem.model_name, version),
        training_set_dir(settings, training_set),
    )
    model = load_model(registry.download_model(settings, found), model_sha256)
    examples, file = pd.read_parquet(folder / "examples.parquet"), folder / FEATURES_FILE
    masks = split(examples, problem.windows)
    parts = read_parts(file, pq.read_schema(file).names, PREDICTED_AT_ONCE)
    predicted = np.concatenate([predict_with(model, problem, part) for part in parts])
    rows = examples[["event_timestamp", *problem.slices]].assign(
        part=np.select([masks["refit"], masks["test"]], ["training", "test"], "neither"),
        label=examples[problem.label].astype(float),
        **{PREDICTION: as_column(predicted)},
    )
    if problem.classes:
        rows[ANSWER] = np.array(problem.classes, dtype=object)[predicted.argmax(axis=1)]
    target = references_dir(settings) / key[:16]
    write_folder(target, {"rows.parquet": rows})
    return ChampionRows(version, key, target, folder)


def training_set_dir(settings: Settings, key: str) -> Path:
    """Say where the training set of a key lies."""
    return settings.state_dir / "training_sets" / key[:16]


def references_dir(settings: Settings) -> Path:
    """Say where the champions' own rows lie."""
    return settings.state_dir / "monitoring" / "references"


@dataclass(frozen=True)
class Judged:
    """The windows as they were judged, and the calibration and slices of those that decide."""

    reference: Reference
    windows: tuple[WindowEvidence, ...]
    latest: DailyRows | None
    slices: Mapping[str, WindowEvidence]


@step()
def judge_windows(problem: Problem, champion: ChampionRows, served: ServedRows, windows: list[Interval]) -> Judged:
    """Measure every window and hold it against the champion's own held-out rows."""
    rule = problem.monitoring
    rows = partial(served.between, columns=["prediction_time", PREDICTION, "outcome", "label", *problem.slices])
    last = Interval(windows[-rule.windows].start, windows[-1].end)
    tested = reference_rows(pd.read_parquet(champion.rows_file), last)
    edges = bin_edges(from_column(tested[PREDICTION]))
    reference = make_reference(sum_rows(problem, tested, edges), rule)
    judged = tuple(judge_rows(problem, rows(window), window, reference, edges) for window in windows)
    deciding = rows(last)
    labelled = deciding[deciding["label"].notna()]
    latest = sum_rows(problem, labelled, edges) if len(labelled) else None
    return Judged(reference, judged, latest, judge_slices(problem, deciding, last, tested, edges))


def reference_rows(rows: pd.DataFrame, last: Interval) -> pd.DataFrame:
    """Give the champion's test rows, without those of the windows they are held against if enough days remain."""
    tested = rows[rows["part"] == "test"].rename(columns={"event_timestamp": "prediction_time"})
    before = tested[tested["prediction_time"] < last.start]
    days = before["prediction_time"].dt.floor("D").nunique()
    return before if days >= LEAST_REFERENCE_DAYS else tested


def sum_rows(problem: Problem, rows: pd.DataFrame, edges: np.ndarray) -> DailyRows:
    """Sum labelled rows by day."""
    label, predicted, times = rows["label"].to_numpy(float), from_column(rows[PREDICTION]), rows["prediction_time"]
    return sum_by_day(problem.task, problem.primary_metric, times, label, predicted, edges, problem.classes)


def judge_rows(
    problem: Problem, rows: pd.DataFrame, window: Interval, reference: Reference, edges: np.ndarray
) -> WindowEvidence:
    """Judge the rows of a window."""
    inside = _inside(rows, window)
    labelled = inside[(inside["outcome"] == LABELLED) & inside["label"].notna()]
    summed = sum_rows(problem, labelled, edges) if len(labelled) else None
    outcomes = {str(name): int(count) for name, count in inside["outcome"].value_counts().items()}
    return judge_window(window, len(inside), outcomes, summed, reference, problem.monitoring)


def judge_slices(
    problem: Problem, rows: pd.DataFrame, span: Interval, tested: pd.DataFrame, edges: np.ndarray
) -> dict[str, WindowEvidence]:
    """Judge each slice over the windows that decide, against the reference of the same slice."""
    found = {}
    for name in problem.slices:
        for value in sorted(rows[name].dropna().unique(), key=str):
            here, there = rows[rows[name] == value], tested[tested[name] == value]
            if min(len(here), len(there)) >= problem.thresholds.min_slice_rows:
                usual = make_reference(sum_rows(problem, there, edges), problem.monitoring)
                found[f"{name}={value}"] = judge_rows(problem, here, span, usual, edges)
    return found


def _inside(rows: pd.DataFrame, window: Interval) -> pd.DataFrame:
    return rows[(rows["prediction_time"] >= window.start) & (rows["prediction_time"] < window.end)]
