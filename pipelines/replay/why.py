"""Says why a logged prediction is what it is: `python -m pipelines.replay.why --prediction ID`."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.model_store.served_model import ServedModel
from flightline.adapters.prediction_log.label_table import read_labels
from flightline.adapters.prediction_log.log import PredictionLog
from flightline.core.errors import LogError
from flightline.core.prediction_record import Predicted, with_answers
from flightline.core.project import Project, open_project
from flightline.inference.contributions import Contribution, contributions, group_columns
from flightline.inference.fast_pipeline import Row
from flightline.inference.predict import predict_rows
from flightline.monitoring.labels import LABELLED
from pipelines.common.command_line import run_command
from pipelines.promotion_steps.champion import load_version

TOLERANCE = 1e-9  # a sum in another order


@dataclass(frozen=True)
class Why:
    """A logged prediction, and what it rests on.

    Parameters
    ----------
    row
        As it was logged.
    model
        The version that made it.
    answer, again
        What was logged, and what the same model answers to the logged features now.
    drove
        The largest change first; empty for a model without typical values.
    label
        What became of it, as `label_table.read_labels` has it; None if nothing is known.
    """

    row: Mapping[str, Any]
    model: ServedModel
    answer: Predicted
    again: Predicted
    drove: tuple[Contribution, ...]
    label: Mapping[str, Any] | None

    @property
    def is_same(self) -> bool:
        """Whether the model answers again what was logged."""
        return bool(np.allclose(self.answer, self.again, rtol=TOLERANCE, atol=TOLERANCE))


def find_why(project: Project, prediction_id: str) -> Why:
    """Read a prediction from the log, and let its model answer again.

    Raises
    ------
    LogError
        If the log holds no such prediction.
    RegistryError, ModelFileError
        If its model cannot be had any more.
    """
    row = _read(project, prediction_id)
    model = load_version(project, row["model_version"])
    views = feast_store.stored_views(project.settings, row["feature_service"])
    groups = group_columns(model.kinds, {view.name: view.features for view in views}, project.request_features)

    def answer(rows: Any) -> list[Predicted]:
        found: list[Predicted] = predict_rows(
            model.task, model.pipeline, model.fast_pipeline, model.kinds, rows
        ).tolist()
        return found

    features: Row = {name: row["features"].get(name) for name in model.kinds}
    (again,) = answer([features])
    drove = contributions(answer, [features], [again], groups, model.profile.typical)[0] if model.profile else []
    labels = read_labels(project.settings, keys=[row["instance_key"]])
    label = None if labels.empty else labels.iloc[0].to_dict()
    logged = row["prediction"]
    return Why(row, model, np.asarray(logged).tolist(), again, tuple(drove), label)


def _read(project: Project, prediction_id: str) -> dict[str, Any]:
    with closing(PredictionLog.open(project.settings)) as log:
        found = log.read(ids=[prediction_id])
        count = log.count() if found.empty else 0
    if found.empty:
        raise LogError(
            f"got PREDICTION={prediction_id!r}, which is none of the {count:,} predictions in the log; expected an id "
            "as answers and the page show it, such as make why PREDICTION=0f3c... (what `make retention` moved out is "
            "in its parquet files)"
        )
    row: dict[str, Any] = with_answers(found, project.problem.classes).iloc[0].to_dict()
    return row


def lines_of(project: Project, why: Why) -> Iterator[str]:
    """Write it for a terminal, a fact a line."""
    row, problem = why.row, project.problem
    clock = row["clock"]
    yield _line("prediction", f"{row['prediction_id']}, by {row['role']}, asked by {row['caller']}")
    yield _line("about", ", ".join(f"{name} {value}" for name, value in row["keys"].items()) or "features alone")
    yield _line("clock", f"{_moment(clock)}; the prediction time is {_moment(row['prediction_time'])}")
    yield _line("answer", _answer(project, why.answer) + _usual(why))
    same = "the same, from the logged features" if why.is_same else "NOT what was logged: another library or file?"
    yield _line("again", f"{_answer(project, why.again)}: {same}")
    yield _line("label", _label(project, why.label))
    manifest = why.model.manifest
    trained = f", registered {_moment(manifest.registered_at)}" if manifest.registered_at else ""
    yield _line("model", f"{problem.model_name} version {manifest.version}, run {manifest.run_id}{trained}")
    for name, value in sorted(why.model.training.items()):
        yield _line("", f"{name.removeprefix('lineage.')} {value}")
    yield from _drove(project, why)
    yield from _views(row, clock)
    yield _line("features", "as they were known then")
    for name, value in row["features"].items():
        yield f"  {name} = {_shown(value)}"


def _line(name: str, text: str) -> str:
    return f"{name:14}  {text}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _shown(value: object) -> str:
    return "missing" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _answer(project: Project, answer: Predicted) -> str:
    problem = project.problem
    if isinstance(answer, list):
        return ", ".join(f"{name} {value:.6f}" for name, value in zip(problem.classes, answer, strict=True))
    return f"{answer:.6f}" + (f" is the probability of {problem.label}" * (problem.task == "classification"))


def _usual(why: Why) -> str:
    profile = why.model.profile
    if profile is None:
        return ""
    if profile.usual_range:
        return "; nine of ten rows of training lie between {0:g} and {2:g}, the median is {1:g}".format(
            *profile.usual_range
        )
    return "; base rate " + ", ".join(f"{name} {rate:.4f}" for name, rate in profile.base_rates.items())


def _label(project: Project, label: Mapping[str, Any] | None) -> str:
    if label is None:
        return "not known yet (make labels)"
    known = f"known at {_moment(label['known_at'])}, revision {label['revision']}"
    if label["outcome"] != LABELLED:
        return f"none: {label['outcome']}, {known}"
    classes = project.problem.classes
    value = classes[int(label["label"])] if classes else f"{label['label']:g}"
    return f"{project.problem.label} = {value}, {known}"


def _drove(project: Project, why: Why) -> Iterator[str]:
    if not why.drove:
        yield _line("what drove it", "not known: the model was registered before typical values were kept with it")
        return
    yield _line("what drove it", "the change because a group of features was not typical; typical: median or commonest")
    for each in why.drove:
        change, then = each.change, each.if_typical
        if isinstance(change, list) and isinstance(then, list):
            likeliest = int(np.argmax(why.again))
            change, then = change[likeliest], then[likeliest]
        yield f"  {each.group:<30} {change:+.6f}  ({then:.6f} if typical)"
        yield from (
            f"      {name} = {_shown(value)} (typical {_shown(each.typical[name])})"
            for name, value in each.values.items()
        )


def _views(row: Mapping[str, Any], clock: datetime) -> Iterator[str]:
    yield _line("views", "age of the values, and how long before the clock the view was materialised")
    for view, watermark in row["watermarks"].items():
        stamp = row["event_timestamps"].get(view)
        aged = "nothing found" if stamp is None else f"{_hours(clock - stamp)} old"
        why = row["missing"].get(view)
        yield f"  {view:<30} {aged}, materialised {_hours(clock - watermark)} before" + (f"; {why}" if why else "")
    single = {name: why for name, why in row["missing"].items() if name not in row["watermarks"]}
    for name, why in single.items():
        yield f"  {name:<30} {why}"


def _hours(span: Any) -> str:
    return f"{span.total_seconds() / 3600:.1f} h"


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prediction", default="", help="the id of a logged prediction")
    prediction = parser.parse_args(arguments).prediction.strip()
    return run_command(lambda: _show(open_project(), prediction))


def _show(project: Project, prediction: str) -> None:
    if not prediction:
        raise LogError("PREDICTION is missing: make why PREDICTION=0f3c..., the id that an answer and the page show")
    for line in lines_of(project, find_why(project, prediction)):
        print(line)


if __name__ == "__main__":
    sys.exit(main())
