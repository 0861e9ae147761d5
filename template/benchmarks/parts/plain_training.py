"""The compute of a training run and nothing else: no Prefect, no Feast, no MLflow, no DVC.

The peer that `bench_train.py` compares the flow with, in the same run on the same machine:
contract, features with their leak test, point-in-time join in bare DuckDB, choice on the
validation window, refit, evaluation with the base rate and the pictures.
"""

import argparse
import json
import time
from pathlib import Path

import duckdb
import pandas as pd
from sklearn.pipeline import Pipeline

from flightline.adapters import duckdb_engine as engine
from flightline.adapters import raw_files
from flightline.adapters.model_store.model_file import save_model
from flightline.adapters.plots.evaluation_plots import draw_evaluation
from flightline.core.project import open_project
from flightline.data.contract import check_dataset
from flightline.evaluation.metrics import evaluate
from flightline.inference.predict import predict
from flightline.problem.config import PROBLEM
from flightline.training.fit import TrainingParameters, as_target, feature_columns, fit, fit_pipeline
from flightline.training.splits import split
from flightline.training.zoo import baseline_of
from pipelines.evaluation_steps.explanation import explain
from pipelines.evaluation_steps.held_out import write_metrics


def join(folder: Path, rows: pd.DataFrame, views: dict[str, dict]) -> pd.DataFrame:
    """Join every view in one bare statement of ASOF joins, ttl applied."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    connection.register("asked", rows.reset_index(names="_row"))
    select, joins = [], []
    for number, (name, view) in enumerate(views.items()):
        alias = f"v{number}"
        fresh = f"{alias}.event_timestamp + INTERVAL {int(view['ttl_seconds'])} SECOND >= asked.event_timestamp"
        select += [f"CASE WHEN {fresh} THEN {alias}.{feature} END AS {feature}" for feature in view["features"]]
        keys = " AND ".join(f"asked.{key} = {alias}.{key}" for key in view["join_keys"])
        joins.append(
            f"ASOF LEFT JOIN read_parquet('{folder / name}.parquet') {alias} "
            f"ON {keys} AND asked.event_timestamp >= {alias}.event_timestamp"
        )
    query = f"SELECT {', '.join(select)} FROM asked {' '.join(joins)} ORDER BY asked._row"
    return connection.execute(query).df()


def train(data: Path, target: Path, views: dict[str, dict], model: str) -> dict[str, float]:
    """Run the compute and give its seconds by stage."""
    laps = {}
    project = open_project()
    contracts, code = project.raw_tables.contracts, project.features
    start = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal start
        laps[name], start = time.perf_counter() - start, time.perf_counter()

    check_dataset(raw_files.RawFiles(data), contracts)
    lap("validate")
    with engine.connect(2) as connection:
        raw = engine.load_raw(connection, data, contracts)
        groups = engine.build_groups(connection, raw, code, PROBLEM.first_clock)
        engine.find_leaks(groups, code.tables, engine.moments_inside(groups, PROBLEM.leak_test_moments))
        engine.write_feature_tables(groups, code.tables, target / "features", keys=project.key_names)
        known = engine.to_frame(code.examples(groups, PROBLEM).order_by("event_timestamp", "example_id"))
    lap("features")
    rows = known[known[PROBLEM.label].notna()].reset_index(drop=True)
    joined = join(target / "features", rows.assign(**project.requests.keys(rows)), views)
    features = joined.assign(**project.requests.features(rows))
    lap("training set")
    masks = split(rows, PROBLEM.windows)
    parameters, label = TrainingParameters(model=model), rows[PROBLEM.label]
    fitted = fit(parameters, features, label, masks, task=PROBLEM.task, metric=PROBLEM.primary_metric)
    save_model(fitted.pipeline, target / "model.skops")
    lap("train")
    groups = {name: tuple(view["features"]) for name, view in views.items()}
    judge(rows, features, masks, fitted.pipeline, groups, target)
    lap("evaluate")
    return laps


def judge(
    rows: pd.DataFrame, features: pd.DataFrame, masks: dict, pipeline: Pipeline, groups: dict, target: Path
) -> None:
    """Evaluate the model and the base rate on the test window, explain the model and draw the pictures."""
    task, metric, test = PROBLEM.task, PROBLEM.primary_metric, masks["test"]
    before = masks["refit"]
    base_label = as_target(task, rows.loc[before, PROBLEM.label])
    base = fit_pipeline(baseline_of(task), feature_columns(features), 0, {}, features[before], base_label)
    label, slice_by = rows.loc[test, PROBLEM.label].astype(float), rows.loc[test, list(PROBLEM.slices)]
    for model in (base, pipeline):
        answer = predict(task, model, features[test])
        result = evaluate(
            task, rows.loc[test, "example_id"], label, answer, slice_by, PROBLEM.thresholds.min_slice_rows
        )
    draw_evaluation(task, target, label.to_numpy(), answer, result.calibration, result.slices, metric)
    metrics, times = result.metrics, rows.loc[test, "event_timestamp"]
    write_metrics(PROBLEM, target, times, label.to_numpy(), answer, metrics, {})
    explain(PROBLEM, pipeline, features[test], label.to_numpy(), groups, target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--views", type=Path, required=True)
    parser.add_argument("--model", required=True)
    options = parser.parse_args()
    print(json.dumps(train(options.data, options.target, json.loads(options.views.read_text()), options.model)))
