"""The label flow's join: a request and its example meet, on what is known by the clock, once."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock
from uuid import uuid4

import ibis
import numpy as np
import pandas as pd
import pytest

from flightline.adapters import duckdb_engine as engine
from flightline.adapters.dvc.data_version import read_data_version
from flightline.adapters.event_clock import set_clock
from flightline.adapters.prediction_log.label_table import label_parts, read_history, read_labels
from flightline.adapters.prediction_log.log import LoggedPrediction, PredictionLog
from flightline.adapters.prediction_log.schema import migrate
from flightline.core.errors import LogError
from flightline.core.prediction_record import instance_key
from flightline.core.project import Project
from flightline.core.settings import PredictionLogSettings, Settings
from flightline.data.leakage import as_of
from flightline.monitoring.labels import Label, known_labels, new_revisions
from pipelines import labels
from pipelines.labels import WITHOUT_KEYS, LabelCounts, in_figures, join_labels
from pipelines.steps.behind import LATEST_LABELS
from tests.adapters.prediction_log.predictions import prediction
from tests.support.clones import make_toy_clone
from tests.support.filled_log import fill, logged_rows
from tests.support.small_training_set import run_in_flow
from tests.toy_problem import PROBLEM, Instance, make_project

CLOCK = datetime(2020, 4, 10, 15, tzinfo=UTC)  # some shops have closed, others are still open
SPAN = timedelta(days=30)  # of examples on either side, so that some shops stay closed on a day in each
LATER = CLOCK + SPAN + timedelta(days=2)
COLUMNS = [*PROBLEM.entity_keys, *PROBLEM.request_columns]


def keys_of(instance: Instance) -> dict[str, object]:
    """Give the keys as the service logs them."""
    return {name: getattr(instance, name) for name in COLUMNS}


def test_a_request_and_its_example_have_one_key(toy_examples):
    """Through JSON and the service's schema, as a caller would send it; without a shop too."""
    some = pd.concat([toy_examples.iloc[::100], toy_examples.head(20).assign(shop=None)])
    for keys in some[COLUMNS].to_dict("records"):
        sent = {name: None if value is None or value != value else value for name, value in keys.items()}
        sent["opens"] = sent["opens"].isoformat().replace("+00:00", "Z")
        assert instance_key(keys_of(Instance.model_validate(sent))) == instance_key(keys)


@pytest.fixture(scope="module")
def examples_at(toy_place: Project, toy_groups: dict[str, ibis.Table]) -> Callable[[datetime], pd.DataFrame]:
    """Build the examples around the clock as they were known by another."""

    def build(clock: datetime) -> pd.DataFrame:
        rows = toy_place.features.examples(as_of(toy_groups, clock), PROBLEM)
        near = (rows.event_timestamp >= CLOCK - SPAN) & (rows.event_timestamp < CLOCK + SPAN)
        return engine.to_frame(rows.filter(near).order_by("event_timestamp", "example_id"))

    return build


def join(
    settings: Settings, given: pd.DataFrame, folder: Path, clock: datetime, rows_at_once: int = 100
) -> LabelCounts:
    file = folder / "examples.parquet"
    given.to_parquet(file)
    return run_in_flow(lambda: join_labels(make_project(settings), file, clock, "data", rows_at_once))


def toy_rows(predicted: pd.DataFrame) -> list[LoggedPrediction]:
    features = pd.DataFrame({"count": 1.0}, index=predicted.index)
    return logged_rows(PROBLEM, predicted, features, np.full(len(predicted), 0.2), "1")


def log(settings: Settings, predicted: pd.DataFrame) -> None:
    fill(settings, toy_rows(predicted))


@pytest.mark.slow
def test_the_join_tells_all_outcomes_once_and_none_before_its_time(server, examples_at, tmp_path):
    settings, at_clock, at_last = Settings(root=tmp_path), examples_at(CLOCK), examples_at(LATER)
    predicted = at_last.iloc[::2]
    log(settings, predicted)

    first = join(settings, at_clock, tmp_path, CLOCK)
    labels = read_labels(settings)
    assert labels["known_at"].max() <= CLOCK
    assert set(labels["instance_key"]) <= {instance_key(keys) for keys in keys_in(predicted)}
    assert first.outcomes["labelled"] == (predicted["label_known_at"] <= CLOCK).sum() > 0
    closed = predicted["outcome"] == "closed"
    assert first.outcomes["closed"] == (closed & (predicted["opens"] + timedelta(hours=1) <= CLOCK)).sum() > 0
    assert first.outcomes["closed"] < closed.sum()
    assert first.waiting == len(predicted) - sum(first.outcomes.values()) > 0

    again = join(settings, at_clock, tmp_path, CLOCK)
    assert (again.first, again.corrected, again.outcomes) == (0, 0, first.outcomes)

    last = join(settings, at_last, tmp_path, LATER)
    assert (last.first, last.corrected, last.waiting) == (first.waiting, 0, 0)
    counted = predicted["outcome"].replace("sold", "labelled").value_counts().to_dict()
    assert last.outcomes == counted
    assert counted.keys() >= {"labelled", "closed"}


@pytest.mark.slow
def test_labels_of_a_file_from_the_future_are_not_taken(server, examples_at, tmp_path):
    """The examples know more than the clock: what was sold later waits all the same."""
    settings, future = Settings(root=tmp_path), examples_at(LATER)
    later = future[future["label_known_at"] > CLOCK]
    log(settings, later)
    assert join(settings, future, tmp_path, CLOCK).outcomes == {}


@pytest.mark.slow
def test_a_corrected_label_is_a_new_revision(server, examples_at, tmp_path):
    settings, clock = Settings(root=tmp_path), LATER
    given = examples_at(clock)
    predicted = given[given["sold_out"].notna()].head(10)
    log(settings, predicted)
    join(settings, given, tmp_path, clock)
    corrected = given.assign(sold_out=given["sold_out"].where(given.index != predicted.index[0], 1 - given["sold_out"]))
    assert join(settings, corrected, tmp_path, clock).corrected == 1
    history = read_history(settings, instance_key(keys_in(predicted)[0]))
    before = predicted["sold_out"].iloc[0]
    assert [(one.revision, one.label) for one in history] == [(1, before), (2, 1 - before)]


def added_by_hand(settings: Settings, given: pd.DataFrame, clock: datetime, before: list[Label]) -> list[Label]:
    """Join the whole of them in memory, and give what is to be recorded."""
    opened = PredictionLog(settings)
    logged = set(opened.read(columns=("instance_key",))["instance_key"])
    opened.close()
    known = [each for each in known_labels(given, PROBLEM, clock, clock, "data") if each.instance_key in logged]
    return new_revisions(known, {each.instance_key: each for each in before})


def told_by(labels: list[Label]) -> list[tuple[object, ...]]:
    """Give what labels say, but for the time of day when they were written."""
    return sorted((each.instance_key, each.revision, each.outcome, each.label, each.known_at) for each in labels)


def records_in(settings: Settings) -> list[Label]:
    rows = [row for part in label_parts(settings, 1_000) for row in part.to_dict("records")]
    return [Label(**row | {"label": None if pd.isna(row["label"]) else row["label"]}) for row in rows]


@pytest.fixture(params=["sqlite", "postgresql"])
def on_either_store(request, tmp_path) -> Settings:
    if request.param == "sqlite":
        return Settings(root=tmp_path)
    url = request.getfixturevalue("postgres_server").new_database()
    settings = Settings(root=tmp_path, prediction_log=PredictionLogSettings(url=url))
    migrate(settings)
    return settings


@pytest.mark.slow
@pytest.mark.parametrize("rows_at_once", [7, 1_000_000])
def test_parts_of_any_size_find_what_the_whole_finds(server, examples_at, on_either_store, tmp_path, rows_at_once):
    """Instances asked about on two days, examples that come twice, a correction, and a clock that goes back."""
    settings, at_clock, at_last = on_either_store, examples_at(CLOCK), examples_at(LATER)
    rows = toy_rows(at_last.iloc[::10])
    again = [
        replace(row, prediction_id=uuid4().hex, logged_at=row.logged_at + 3 * timedelta(days=1)) for row in rows[::5]
    ]
    fill(settings, [*rows, *again, replace(rows[0], prediction_id=uuid4().hex, instance_key=WITHOUT_KEYS)])
    corrected = pd.concat([at_last, at_last.iloc[::3]])
    corrected["sold_out"] = corrected["sold_out"].where(corrected.index % 10 != 0, 1 - corrected["sold_out"])
    expected: list[Label] = []
    for given, clock in ((at_clock, CLOCK), (at_last, LATER), (corrected, LATER), (at_clock, CLOCK)):
        counts = join(settings, given, tmp_path, clock, rows_at_once)
        added = added_by_hand(settings, given, clock, expected)
        expected += added
        assert told_by(records_in(settings)) == told_by(expected)
        assert counts.first == sum(each.revision == 1 for each in added)
        assert counts.corrected == len(added) - counts.first
        current = read_labels(settings, as_of=clock)["outcome"].value_counts().to_dict()
        assert (counts.instances, dict(counts.outcomes)) == (len(rows), current)
        assert counts.waiting == len(rows) - sum(current.values())
    assert {each.revision for each in expected} == {1, 2, 3}


@pytest.mark.slow
@pytest.mark.parametrize("rows_at_once", [1, 100])
def test_two_outcomes_of_an_instance_are_refused_and_nothing_is_recorded(server, examples_at, tmp_path, rows_at_once):
    settings, given = Settings(root=tmp_path), examples_at(LATER)
    given = given[given["sold_out"].notna()].head(20)
    log(settings, given)
    wrong = pd.concat([given, given.iloc[[4]].assign(sold_out=1 - given["sold_out"].iloc[4])])
    with pytest.raises(LogError, match=f"two examples have the keys {{'shop': '{given['shop'].iloc[4]}'"):
        join(settings, wrong, tmp_path, LATER, rows_at_once)
    assert read_labels(settings).empty


def keys_in(given: pd.DataFrame) -> list[dict]:
    return given[COLUMNS].to_dict("records")


def test_an_empty_log_is_told_with_what_to_do():
    assert "make serve" in in_figures(LabelCounts(0, {}, 0, 0, 0))


def test_the_command_runs_a_flow_only_if_something_is_logged(tmp_path, monkeypatch, capsys):
    project = make_toy_clone(tmp_path)
    set_clock(project.settings, CLOCK)
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(project.settings.root))
    monkeypatch.setattr(labels, "by_hand", begun := Mock())
    assert labels.main() == 0
    assert ("no prediction is logged yet" in capsys.readouterr().out, begun.called) == (True, False)
    note = json.loads((project.settings.state_dir / "labels" / LATEST_LABELS).read_text())
    assert note == {"clock": CLOCK.isoformat(), "data_md5": read_data_version(project.settings).md5}
    fill(project.settings, [prediction()])
    assert labels.main() == 0
    begun.assert_called_once_with(labels.labels, starts_server=False)
