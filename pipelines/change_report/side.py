"""Trains the tree whose code runs and writes down what its report needs; `report.py` starts it twice.

It is run with the code of the base too, so it asks of the other modules only what has been there long.
"""

import argparse
import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow

from flightline.adapters.event_clock import ensure_clock
from flightline.adapters.model_store.model_file import load_model
from flightline.core.clock import parse_moment
from flightline.core.problem_spec import Problem
from flightline.core.project import open_project
from flightline.training.fit import TrainingParameters
from pipelines.common.artifacts import TrainingSet
from pipelines.common.command_line import run_command
from pipelines.common.servers.by_hand import by_hand
from pipelines.promotion_steps.latency import measure_seconds
from pipelines.steps import compare as comparison
from pipelines.steps import models
from pipelines.steps.preparation import prepare_features, prepare_training_set, pull
from pipelines.training import lineage_of

ROWS_FILE, FACTS_FILE = "rows.parquet", "side.json"


@flow(name="train-report", validate_parameters=False)
def train_side(model: str, seed: int, clock: str, to: Path) -> None:
    """Train up to the evaluation, and write rows and lineage; nothing is registered."""
    project = open_project()
    settings, problem = project.settings, project.problem
    now = ensure_clock(settings, parse_moment(clock) if clock else problem.first_clock)
    parameters = TrainingParameters(model=model, seed=seed)
    data = pull(project)
    tables = prepare_features(project, data, now)
    training_set = prepare_training_set(project, tables)
    trained = comparison.fit_and_evaluate(project, parameters, training_set)
    lineage = asdict(lineage_of(project, data, seed))
    write_side(problem, training_set, trained, {**lineage, "clock": now.isoformat()}, to)


def write_side(
    problem: Problem, training_set: TrainingSet, trained: comparison.Trained, lineage: dict[str, Any], to: Path
) -> None:
    """Write the test rows with their predictions, and what the model was made of."""
    rows = models.read_held_out(problem, training_set)
    pipeline = load_model(trained.model.file, trained.model.sha256)
    kept = ["example_id", "event_timestamp", *problem.slices, *problem.entity_keys, *problem.request_columns]
    table = rows.examples[list(dict.fromkeys(kept))].assign(
        label=rows.examples[problem.label].astype(float),
        # A list, for of a multiclass problem each row has several.
        prediction=list(models.predict_with(pipeline, problem, rows.features)),
    )
    if baseline := getattr(models, "baseline_model", None):  # the base's is not needed
        table["baseline"] = list(models.predict_with(baseline(problem, training_set), problem, rows.features))
    one_row, thousand_rows = measure_seconds({"model": partial(models.predict_with, pipeline, problem)}, rows.features)[
        "model"
    ]
    windows = getattr(training_set, "windows", None) or problem.windows.until(problem.first_clock)
    facts = {
        "commit": lineage.get("git_commit", "unknown"),
        "dirty": lineage.get("git_dirty", True),
        **{
            name: lineage.get(name)
            for name in ("data_md5", "feature_service", "features_sha256", "lock_sha256", "clock")
        },
        "windows": {name: str(getattr(windows, name)) for name in ("fit", "validation", "test")},
        "test_window": [windows.test.start.isoformat(), windows.test.end.isoformat()],
        "model": trained.parameters.model,
        "chosen": dict(trained.model.chosen),
        "calibration": trained.model.calibration,
        "columns": list(rows.features.columns),
        "learned_until": trained.model.learned_until,
        "size_bytes": trained.model.file.stat().st_size,
        "seconds": [one_row, thousand_rows],
    }
    to.mkdir(parents=True, exist_ok=True)
    table.to_parquet(to / ROWS_FILE, index=False)
    (to / FACTS_FILE).write_text(json.dumps(facts, indent=2, default=str), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clock", default="")
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args(arguments)
    return run_command(lambda: by_hand(train_side)(options.model, options.seed, options.clock, options.to))


if __name__ == "__main__":
    sys.exit(main())
