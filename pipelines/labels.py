"""The label flow, from examples known by the clock to the prediction log: `python -m pipelines.labels`."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from prefect import flow

from flightline.adapters.dvc.data_version import DataVersion, read_data_version
from flightline.adapters.event_clock import read_clock
from flightline.adapters.files.atomic_write import atomic_write_text
from flightline.adapters.prediction_log.label_table import read_labels, record_labels
from flightline.adapters.prediction_log.log import PredictionLog, instance_key
from flightline.core.environment import read_settings
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from flightline.monitoring.labels import LabelCounts, count_labels, known_labels
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage
from pipelines.common.retries import SCHEDULED, is_log_error
from pipelines.common.servers.by_hand import by_hand
from pipelines.common.step import step
from pipelines.steps.behind import LATEST_LABELS
from pipelines.steps.features import find_examples, remove_old
from pipelines.steps.preparation import pull

NOTHING = LabelCounts(0, {}, 0, 0, 0)
WITHOUT_KEYS = instance_key({})  # of ready features that were sent in: they do not say what they are about


@step(retries=2, retry_delay_seconds=[1, 5], retry_condition_fn=is_log_error)
def join_labels(project: Project, file: Path, clock: datetime, data_md5: str) -> LabelCounts:
    """Record what is known by the clock of each instance that has a logged prediction."""
    logged = _logged(project.settings)
    asked = set(logged["instance_key"])
    if not asked:
        return NOTHING
    known = pd.read_parquet(file)
    span = known["event_timestamp"].between(logged["prediction_time"].min(), logged["prediction_time"].max())
    found = known_labels(known[span], project.problem, clock, datetime.now(UTC), data_md5)
    added = record_labels(project.settings, [one for one in found if one.instance_key in asked])
    current = read_labels(project.settings, as_of=clock, keys=asked)
    return count_labels(asked, dict(zip(current["instance_key"], current["outcome"], strict=True)), added)


def _logged(settings: Settings) -> pd.DataFrame:
    log = PredictionLog.open(settings)
    try:
        logged = log.read(columns=("instance_key", "prediction_time"))
    finally:
        log.close()
    return logged[logged["instance_key"] != WITHOUT_KEYS]


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
    if len(_logged(settings)):
        by_hand(labels, starts_server=False)()
        return
    with stage("labels") as progress:
        progress.say(in_figures(NOTHING))
    _note(settings, read_clock(settings), read_data_version(settings))


if __name__ == "__main__":
    sys.exit(main())
