"""The label flow, from examples known by the clock to the prediction log: `python -m pipelines.labels`."""

import json
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pandas as pd
from prefect import flow

from flightline.adapters.dvc.data_version import DataVersion, read_data_version
from flightline.adapters.event_clock import read_clock
from flightline.adapters.files.atomic_write import atomic_write_text
from flightline.adapters.files.parquet_rows import read_parts
from flightline.adapters.label_join import LabelJoin, open_label_join
from flightline.adapters.prediction_log.label_table import label_parts, record_labels
from flightline.adapters.prediction_log.log import ROWS_AT_ONCE, PredictionLog, instance_key
from flightline.core.environment import read_settings
from flightline.core.problem_spec import Problem
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from flightline.monitoring.labels import Label, LabelCounts, known_labels, refuse_early
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage
from pipelines.common.retries import SCHEDULED, is_log_error
from pipelines.common.servers.by_hand import by_hand
from pipelines.common.step import step
from pipelines.steps.behind import LATEST_LABELS
from pipelines.steps.features import find_examples, remove_old
from pipelines.steps.preparation import pull

NOTHING = LabelCounts(0, {}, 0, 0, 0)
Span = tuple[pd.Timestamp, pd.Timestamp]
WITHOUT_KEYS = instance_key({})  # of ready features that were sent in: they do not say what they are about


@step(retries=2, retry_delay_seconds=[1, 5], retry_condition_fn=is_log_error)
def join_labels(
    project: Project, file: Path, clock: datetime, data_md5: str, rows_at_once: int = ROWS_AT_ONCE
) -> LabelCounts:
    """Record what is known by the clock of each instance that has a logged prediction; log and examples go in parts."""
    settings, problem, recorded_at = project.settings, project.problem, datetime.now(UTC)
    with open_label_join(settings) as joined:
        span = _add_predicted(settings, joined, rows_at_once)
        if span is None:
            return NOTHING
        examples = partial(_examples_between, problem, file, span, rows_at_once)
        for part in examples():
            known = known_labels(part, problem, clock, recorded_at, data_md5)
            refuse_early(known)
            joined.add_known(known)
        if (key := joined.two_outcomes()) is not None:  # in parts apart: taken together they are refused by name
            known_labels(_of_instance(problem, examples(), key), problem, clock, recorded_at, data_md5)
        for records in label_parts(settings, rows_at_once):
            joined.add_recorded(records)
        instances, outcomes = joined.count(clock)
        first, corrected = 0, 0
        for missing in joined.missing(rows_at_once):
            labels = [
                Label(**each, revision=1, recorded_at=recorded_at, clock=clock, data_md5=data_md5) for each in missing
            ]
            revisions = [each.revision for each in record_labels(settings, labels)]
            first, corrected = first + revisions.count(1), corrected + len(revisions) - revisions.count(1)
    return LabelCounts(instances, outcomes, first, corrected, instances - sum(outcomes.values()))


def _predicted(settings: Settings, rows_at_once: int = ROWS_AT_ONCE) -> Generator[pd.DataFrame, None, None]:
    """Read the keys and prediction times of what is logged."""
    with closing(PredictionLog.open(settings)) as log:
        for part in log.parts(columns=("instance_key", "prediction_time"), rows_at_once=rows_at_once):
            if (has_keys := part["instance_key"] != WITHOUT_KEYS).any():
                yield part[has_keys]


def _add_predicted(settings: Settings, joined: LabelJoin, rows_at_once: int) -> Span | None:
    """Give the first and the last prediction time; None if nothing is logged."""
    spans: list[Span] = []
    for part in _predicted(settings, rows_at_once):
        joined.add_predicted(part["instance_key"])
        spans.append((part["prediction_time"].min(), part["prediction_time"].max()))
    return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None


def _examples_between(problem: Problem, file: Path, span: Span, rows_at_once: int) -> Iterator[pd.DataFrame]:
    names = [*_keys(problem), "event_timestamp", "outcome", problem.label, "label_known_at"]
    for part in read_parts(file, names, rows_at_once):
        yield part[part["event_timestamp"].between(*span)]


def _keys(problem: Problem) -> list[str]:
    return [*problem.entity_keys, *problem.request_columns]


def _of_instance(problem: Problem, examples: Iterator[pd.DataFrame], key: str) -> pd.DataFrame:
    found = (part[[instance_key(keys) == key for keys in part[_keys(problem)].to_dict("records")]] for part in examples)
    return pd.concat([part for part in found if len(part)])


def run_labels(project: Project) -> LabelCounts:
    """Tell the story of a run of labels; call it inside a flow."""
    clock = read_clock(project.settings)
    data = pull(project)
    file = find_examples(project, data, clock)
    with stage("labels") as progress:
        counts = join_labels(project, file, clock, data.md5)
        progress.say(in_figures(counts))
    remove_old(_note(project.settings, clock, data).parent)
    return counts


def _note(settings: Settings, clock: datetime, data: DataVersion) -> Path:
    """Keep as of when, and of which data version, what is logged has its labels."""
    note = settings.state_dir / "labels" / LATEST_LABELS
    atomic_write_text(note, json.dumps({"clock": clock.isoformat(), "data_md5": data.md5}) + "\n")
    return note


def in_figures(counts: LabelCounts) -> str:
    """Tell in one line what is known and what a run added."""
    if not counts.instances:
        return "no prediction is logged yet: start the service with `make serve`, and ask it (`make predict`)"
    outcomes = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(counts.outcomes.items()))
    return (
        f"{counts.instances:,} instances predicted: {outcomes or 'no outcome'} by the clock, {counts.waiting:,} still "
        f"wait; {counts.first:,} new, {counts.corrected:,} corrected"
    )


@flow(name="labels", validate_parameters=False, **SCHEDULED)
def labels() -> LabelCounts:
    """Join outcomes that are known by the event clock to logged predictions."""
    return run_labels(open_project())


def main() -> int:
    """Run the flow."""
    return run_command(_label)


def _label() -> None:
    """Run the flow, if anything is logged; else there is no need of Prefect's server."""
    settings = read_settings()
    with closing(_predicted(settings)) as predicted:
        is_logged = next(predicted, None) is not None
    if is_logged:
        by_hand(labels, starts_server=False)()
        return
    with stage("labels") as progress:
        progress.say(in_figures(NOTHING))
    _note(settings, read_clock(settings), read_data_version(settings))


if __name__ == "__main__":
    sys.exit(main())
