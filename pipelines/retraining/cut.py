"""One row of the matrix: a model fitted at a cut, its answers for all later rows, and how far inputs drift from it.

Runs in processes of its own and imports neither Prefect nor MLflow, which would take seconds in each.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline

from flightline.adapters.evidently_reports import drift_scores
from flightline.adapters.files.atomic_write import atomic_write
from flightline.core.problem_spec import Monitoring, Problem
from flightline.core.windows import Interval
from flightline.inference.predict import predict
from flightline.monitoring.behaviours import WITHOUT_DRIFT, infer_behaviours
from flightline.monitoring.drift import PREDICTION, month_thresholds, sample_places
from flightline.training.fit import fit, fit_pipeline
from flightline.training.row_checks import as_target, check_finite, check_labels, feature_columns
from flightline.training.splits import rows_in
from flightline.training.zoo import baseline_of, find_model
from pipelines.retraining.plan import YearPlan, windows_of_drift

ANSWERS_FILE, FACTS_FILE = "answers.npy", "facts.json"
ROWS_AT_ONCE = 20_000
USUAL_ROWS = 60_000  # of those learned from, drawn evenly: what is usual of the inputs


@dataclass(frozen=True)
class Rows:
    """Labelled examples in the order of their prediction times, and their features."""

    examples: pd.DataFrame
    features: pd.DataFrame

    @property
    def times(self) -> pd.Series:
        """Prediction times."""
        return self.examples["event_timestamp"]

    def at(self, places: np.ndarray) -> "Rows":
        """Take some of them, by position."""
        return Rows(*(each.iloc[places].reset_index(drop=True) for each in (self.examples, self.features)))


@lru_cache(maxsize=1)
def read_examples(folder: Path, columns: tuple[str, ...] | None = None) -> pd.DataFrame:
    """Read the examples of a training set, or some columns, in the order of their prediction times, once a process."""
    examples = pd.read_parquet(folder / "examples.parquet", columns=columns and list(columns))
    return examples.sort_values("event_timestamp", kind="stable", ignore_index=True)


def read_rows(folder: Path, examples: pd.DataFrame, is_needed: pd.Series) -> Rows:
    """Read the features of some examples: two processes that held all of them while they fit would take over 3 GB."""
    features = pd.read_parquet(folder / "features.parquet")
    times = pd.read_parquet(folder / "examples.parquet", columns=["event_timestamp"])["event_timestamp"]
    places = times.argsort(kind="stable")[is_needed]
    features = features.iloc[places].reset_index(drop=True)
    pa.default_memory_pool().release_unused()
    return Rows(examples[is_needed].reset_index(drop=True), features)


def measure_cut(problem: Problem, rule: Monitoring, plan: YearPlan, cut: datetime, folder: Path) -> Path:
    """Fit a model on what was known at a cut, and write what it answers for later rows and how far they drift.

    Parameters
    ----------
    rule
        Of monitoring: how drift is scored.
    folder
        To be written, whole or not at all: `answers.npy`, in the order of the rows from the cut on, and `facts.json`
        with the latest prediction time learned, the baseline's answer, and by later cut the share of columns, 0..1,
        whose drift exceeds their own threshold.
    """
    examples = read_examples(plan.folder, ("event_timestamp", "label_known_at", problem.label))
    learned = read_rows(plan.folder, examples, rows_in(examples, plan.learned(cut), known_before=pd.Timestamp(cut)))
    model = fit_at(problem, plan, cut, learned)
    facts: dict[str, object] = {
        "learned_rows": len(learned.times),
        "learned_until": learned.times.max().isoformat(),
        "baseline": _baseline(problem, learned),
    }
    usual = learned.at(sample_places(len(learned.times), USUAL_ROWS))
    del learned
    later = read_rows(plan.folder, examples, examples["event_timestamp"] >= cut)
    answers = answers_of(problem, model, later.features)
    facts["drift"] = drift_of(problem, rule, plan, usual, model, later, answers)
    with atomic_write(folder) as unfinished:
        unfinished.mkdir()
        np.save(unfinished / ANSWERS_FILE, answers)
        (unfinished / FACTS_FILE).write_text(json.dumps(facts), encoding="utf-8")
    return folder


def fit_at(problem: Problem, plan: YearPlan, cut: datetime, learned: Rows) -> Pipeline:
    """Fit with the plan's settings; with its calibration, learned and checked on the weeks before the cut."""
    examples, features, parameters = learned.examples, learned.features, plan.parameters
    label = examples[problem.label]
    if parameters.calibrations:
        whole, known = plan.learned(cut), pd.Timestamp(cut)
        validation = Interval(whole.end - plan.validation, whole.end)
        masks = {
            "fit": rows_in(examples, Interval(whole.start, validation.start), pd.Timestamp(validation.start)),
            "validation": rows_in(examples, validation, known),
            "refit": rows_in(examples, whole, known),
        }
        task, metric, classes = problem.task, problem.primary_metric, problem.classes
        return fit(parameters, features, label, masks, task=task, metric=metric, classes=classes).pipeline
    check_finite(features)
    check_labels(problem.task, label, f"learned until {cut:%Y-%m-%d}", problem.classes)
    settings = {**dict(parameters.settings), **parameters.steps()}
    model, columns = find_model(problem.task, parameters.model), feature_columns(features)
    return fit_pipeline(model, columns, parameters.seed, settings, features, as_target(problem.task, label))


def answers_of(problem: Problem, model: Pipeline, features: pd.DataFrame) -> np.ndarray:
    """Predict in parts: an encoded copy of all would take as much memory as they do."""
    parts = range(0, len(features), ROWS_AT_ONCE)
    return np.concatenate([predict(problem.task, model, features[part : part + ROWS_AT_ONCE]) for part in parts])


def _baseline(problem: Problem, learned: Rows) -> list[float]:
    features, target = learned.features.iloc[:, :1], as_target(problem.task, learned.examples[problem.label])
    model = fit_pipeline(baseline_of(problem.task), feature_columns(features), 0, {}, features, target)
    return predict(problem.task, model, features.iloc[:1]).ravel().tolist()


def drift_of(
    problem: Problem, rule: Monitoring, plan: YearPlan, learned: Rows, model: Pipeline, later: Rows, answers: np.ndarray
) -> dict[str, float]:
    """Score at each later cut what the model was asked about, as monitoring does: it needs no label.

    Parameters
    ----------
    learned
        What is usual: rows that it learned from, at most `USUAL_ROWS`.
    later, answers
        Rows from the cut on, and what it answers.
    """
    times = learned.times
    usual = _shown(problem, learned.features, predict(problem.task, model, learned.features))
    natures = infer_behaviours(usual, times, problem.prediction_horizon) | dict(rule.hints)
    found = month_thresholds(usual, times, rule, drift_scores)
    thresholds = {name: value for name, value in found.items() if natures.get(name) not in WITHOUT_DRIFT}
    usual = usual.iloc[sample_places(len(usual), rule.drift_rows)][list(thresholds)]
    shares: dict[str, float] = {}
    for until in plan.cuts:
        inside = np.flatnonzero((later.times >= until - windows_of_drift(rule)) & (later.times < until))
        shares[until.isoformat()] = 0.0
        if len(inside) and thresholds:
            asked = inside[sample_places(len(inside), rule.drift_rows)]
            current = _shown(problem, later.features.iloc[asked], answers[asked])[list(thresholds)]
            scores = drift_scores(usual, current)
            shares[until.isoformat()] = float(np.mean([scores[name] > most for name, most in thresholds.items()]))
    return shares


def _shown(problem: Problem, features: pd.DataFrame, answers: np.ndarray) -> pd.DataFrame:
    """Give features and what was answered; of a multiclass problem the class."""
    if problem.task == "multiclass":
        return features.assign(**{PREDICTION: np.array(problem.classes, dtype=object)[answers.argmax(axis=1)]})
    return features.assign(**{PREDICTION: answers})
