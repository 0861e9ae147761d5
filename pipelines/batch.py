"""Scores many requests at once with the champion: `python -m pipelines.batch --file ... | --start ... --end ...`.

Features come from the offline store by a point-in-time join, answers from the model file and
the code that the service uses; a row is answered as the service's `:score` would answer it.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from prefect import flow

from flightline.adapters.event_clock import read_clock
from flightline.adapters.files.atomic_write import atomic_write
from flightline.adapters.model_store.served_model import ServedModel, load_served_model
from flightline.adapters.source_tables import OFFSET
from flightline.core.clock import parse_moment
from flightline.core.errors import ModelFileError, RequestError
from flightline.core.prediction_record import Predicted, logged_answer, make_prediction_id
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from flightline.inference.predict import predict_rows
from pipelines.common.command_line import run_command
from pipelines.common.progress import Stage, stage
from pipelines.common.servers.by_hand import by_hand
from pipelines.promotion_steps.champion import fetch_champion
from pipelines.steps.features import features_in_parts

ROWS_AT_ONCE = 50_000
PREDICTION_TIME = "prediction_time"


def _known_examples(settings: Settings) -> pd.DataFrame:
    file = settings.features_dir / "current" / "examples" / "examples.parquet"
    if not file.is_file():
        raise RequestError("there are no feature tables yet; run `make train` first")
    return pd.read_parquet(file)


def examples_between(settings: Settings, start: datetime, end: datetime) -> pd.DataFrame:
    """Give the known examples with a prediction time from `start` on and before `end`, up to the event clock.

    Raises
    ------
    RequestError
        If there is none, or there are no feature tables.
    """
    examples, clock = _known_examples(settings), read_clock(settings)
    moments = examples["event_timestamp"]
    chosen = examples[(moments >= start) & (moments < end) & (moments <= clock)]
    if chosen.empty:
        first, last = moments.min(), min(moments.max(), clock)
        raise RequestError(
            f"no example up to the event clock has a prediction time from {start:%Y-%m-%d %H:%M} to "
            f"{end:%Y-%m-%d %H:%M} UTC; they run from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
        )
    return chosen.sort_values(["event_timestamp", "example_id"]).reset_index(drop=True)


def requests_of(project: Project, file: Path) -> pd.DataFrame:
    """Read requests from a CSV or parquet file, in the types of the project's own examples.

    Parameters
    ----------
    file
        With a column for each entity key and request column. A column `prediction_time` (UTC)
        says as of when a row is answered; without it, all are answered as of the event clock.

    Raises
    ------
    RequestError
        If the file cannot be read, lacks a column, holds no row or a value of another type, or
        asks about a time after the event clock, at none, or at one without a zone.
    """
    wanted = [*project.problem.entity_keys, *project.problem.request_columns]
    given = _read(file)
    if absent := [name for name in wanted if name not in given]:
        raise RequestError(f"{file.name} lacks the columns {', '.join(absent)}; expected {', '.join(wanted)}")
    if given.empty:
        raise RequestError(f"{file.name} holds no row")
    types, clock = _known_examples(project.settings).dtypes, read_clock(project.settings)
    rows = pd.DataFrame({name: _as_type(file, given[name], types[name]) for name in wanted})
    moments = given.get(PREDICTION_TIME, pd.Series(clock, index=given.index))
    rows["event_timestamp"] = _as_type(file, moments, types["event_timestamp"])
    for name, column in ((project.schemas.event_time_field, None), (PREDICTION_TIME, "event_timestamp")):
        if (absent_in := rows[column or name].isna()).any():
            raise RequestError(f"{file.name} has no {name} in row {int(absent_in.argmax()) + 1}; expected a moment")
    if (rows["event_timestamp"] > clock).any():
        raise RequestError(f"{file.name} has a {PREDICTION_TIME} after the event clock, {clock.isoformat()}")
    return rows.assign(example_id=[f"{file.stem}-{row}" for row in range(len(rows))])


def _read(file: Path) -> pd.DataFrame:
    try:
        if file.suffix == ".parquet":
            return pd.read_parquet(file)
        return pd.read_csv(file, dtype=str, keep_default_na=False, na_values=["", "NA"])
    except (OSError, ValueError) as err:
        raise RequestError(f"{file} cannot be read as .csv or .parquet: {err}") from err


def _as_type(file: Path, values: pd.Series, kind: object) -> pd.Series:
    try:
        if isinstance(kind, pd.DatetimeTZDtype):
            moments = pd.to_datetime(values, utc=True, format="ISO8601").astype(kind)
            if not _have_zone(values):
                raise ValueError(
                    "a moment has no time zone; add its offset from UTC, such as 2024-01-31T09:30:00-05:00"
                )
            return moments
        if pd.api.types.is_object_dtype(kind):
            return values.astype(object).where(values.notna(), None)
        return pd.to_numeric(values).astype(kind)
    except (ValueError, TypeError) as err:
        raise RequestError(f"{file.name}: the column {values.name} is not all {kind}: {err}") from err


def _have_zone(moments: pd.Series) -> bool:
    if pd.api.types.is_datetime64_any_dtype(moments):
        return moments.dt.tz is not None
    return bool(moments.dropna().astype(str).str.contains(OFFSET).all())


def score(project: Project, model: ServedModel, examples: pd.DataFrame, progress: Stage) -> pd.DataFrame:
    """Answer each example as of its `event_timestamp`, some at a time.

    Returns
    -------
    DataFrame
        prediction_id, example_id, the entity keys and request columns, prediction_time,
        prediction, model_name, model_version, feature_service, clock and scored_at; of a multiclass problem also
        probabilities, by the name of the class, as in the prediction log.
    """
    problem = project.problem
    answers: list[Predicted] = []
    signed = model.manifest.feature_views_sha256
    parts = features_in_parts(project.settings, problem, project.requests, examples, signed, ROWS_AT_ONCE)
    for part in parts:
        features = part[list(model.kinds)]
        rows = features.astype(object).where(features.notna(), None).to_dict("records")
        answers += predict_rows(problem.task, model.pipeline, model.fast_pipeline, model.kinds, rows).tolist()
        progress.note(f"{len(answers):,} of {len(examples):,} rows", len(answers), len(examples))
    manifest, logged = model.manifest, [logged_answer(problem.classes, answer) for answer in answers]
    now = datetime.now(UTC)
    asked = examples[["example_id", *project.problem.entity_keys, *project.problem.request_columns]]
    return asked.assign(
        prediction_time=examples["event_timestamp"],
        prediction=[prediction for prediction, _ in logged],
        **({"probabilities": [probabilities for _, probabilities in logged]} if problem.classes else {}),
        prediction_id=[make_prediction_id(now) for _ in answers],
        model_name=manifest.name,
        model_version=manifest.version,
        model_sha256=manifest.sha256,
        feature_service=manifest.feature_service,
        clock=read_clock(project.settings),
        scored_at=now,
    )


@flow(name="batch", validate_parameters=False)
def batch(file: Path | None = None, start: datetime | None = None, end: datetime | None = None) -> Path:
    """Score a file of requests, or the known examples of a time range, and write a parquet file."""
    project = open_project()
    settings = project.settings
    with stage("model") as progress:
        fetch_champion(project)
        model = load_served_model(settings.serving_models_dir, project)
        if model is None:
            raise ModelFileError("no model has been promoted yet; run `make train`")
        progress.say(f"{model.manifest.name} version {model.manifest.version}")
    with stage("score") as progress:
        if file is not None:
            examples, name = requests_of(project, file), file.stem
        elif start is not None and end is not None:
            examples, name = examples_between(settings, start, end), f"{start:%Y%m%dT%H%M}-{end:%Y%m%dT%H%M}"
        else:
            raise RequestError("say what to score: --file, or --start and --end")
        scored = score(project, model, examples, progress)
        target = settings.state_dir / "batch" / f"{name}-v{model.manifest.version}.parquet"
        with atomic_write(target) as unfinished:
            scored.to_parquet(unfinished, index=False)
        progress.say(
            f"{len(scored):,} rows, mean {scored['prediction'].mean():.4f}, in {target.relative_to(settings.root)}"
        )
    return target


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and run the flow."""
    parser = argparse.ArgumentParser(description=batch.__doc__)
    parser.add_argument("--file", type=Path, help=".csv or .parquet with a column for each key")
    parser.add_argument("--start", help="first prediction time, such as 2013-12-01T00:00:00Z")
    parser.add_argument("--end", help="the prediction time before which to stop")
    options = parser.parse_args(arguments)
    return run_command(lambda: by_hand(batch)(options.file, *map(_moment, (options.start, options.end))))


def _moment(text: str | None) -> datetime | None:
    return parse_moment(text) if text else None


if __name__ == "__main__":
    sys.exit(main())
