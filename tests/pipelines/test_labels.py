"""The label flow's join: a request and its example meet, on what is known by the clock, once."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from prefect.testing.utilities import prefect_test_harness

from flightline.adapters import duckdb_engine as engine
from flightline.adapters.prediction_log.label_table import read_history, read_labels
from flightline.core.prediction_record import instance_key
from flightline.core.settings import Settings
from flightline.data.leakage import as_of
from flightline.problem.api_schema import Instance
from flightline.problem.config import PROBLEM
from flightline.problem.features import examples
from pipelines.labels import LabelCounts, in_figures, join_labels
from serving.prediction.predictor import REQUEST_FIELDS
from tests.support.filled_log import fill, logged_rows
from tests.support.small_training_set import run_in_flow

NOON = datetime(2013, 2, 10, 12, tzinfo=UTC)  # after a blizzard, so that flights are cancelled
DAY = timedelta(days=1)


def keys_of(instance: Instance) -> dict[str, object]:
    """Give the keys as the service logs them."""
    return {name: getattr(instance, name) for name in REQUEST_FIELDS}


def test_a_request_and_its_example_have_one_key(winter_examples):
    """Through JSON and the service's schema, as a caller would send it; flights without an aircraft too."""
    names = [*PROBLEM.entity_keys, *PROBLEM.request_columns]
    some = pd.concat([winter_examples.iloc[::500], winter_examples[winter_examples["tailnum"].isna()].head(20)])
    assert some["tailnum"].isna().any()
    for keys in some[names].to_dict("records"):
        sent = {name: None if value is None or value != value else value for name, value in keys.items()}
        sent["scheduled_departure"] = sent["scheduled_departure"].isoformat().replace("+00:00", "Z")
        assert instance_key(keys_of(Instance.model_validate(sent))) == instance_key(keys)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        with prefect_test_harness(server_startup_timeout=120):
            yield


@pytest.fixture(scope="module")
def examples_at(winter_groups: dict[str, ibis.Table]) -> Callable[[datetime], pd.DataFrame]:
    """Build the examples of the blizzard's day as they were known by a clock."""

    def build(clock: datetime) -> pd.DataFrame:
        rows = examples(as_of(winter_groups, clock))
        near = (rows.event_timestamp >= NOON - DAY / 2) & (rows.event_timestamp < NOON + DAY / 2)
        return engine.to_frame(rows.filter(near).order_by("event_timestamp", "example_id"))

    return build


def join(settings: Settings, given: pd.DataFrame, folder: Path, clock: datetime) -> LabelCounts:
    file = folder / "examples.parquet"
    given.to_parquet(file)
    return run_in_flow(lambda: join_labels(settings, PROBLEM, file, clock, "data"))


def log(settings: Settings, predicted: pd.DataFrame) -> None:
    features = pd.DataFrame({"count": 1.0}, index=predicted.index)
    fill(settings, logged_rows(PROBLEM, predicted, features, np.full(len(predicted), 0.2), "1"))


@pytest.mark.slow
def test_the_join_tells_all_outcomes_once_and_none_before_its_time(server, examples_at, tmp_path):
    settings, at_noon, at_last = Settings(root=tmp_path), examples_at(NOON), examples_at(NOON + 3 * DAY)
    predicted = at_last.iloc[::3]
    log(settings, predicted)

    first = join(settings, at_noon, tmp_path, NOON)
    labels = read_labels(settings)
    assert labels["known_at"].max() <= NOON
    assert set(labels["instance_key"]) <= {instance_key(keys) for keys in keys_in(predicted)}
    assert first.outcomes["labelled"] == (predicted["label_known_at"] <= NOON).sum() > 0
    cancelled = predicted["outcome"] == "cancelled"
    assert first.outcomes["cancelled"] == (cancelled & (predicted["scheduled_departure"] <= NOON)).sum() > 0
    assert first.outcomes["cancelled"] < cancelled.sum()
    assert first.waiting == len(predicted) - sum(first.outcomes.values()) > 0

    again = join(settings, at_noon, tmp_path, NOON)
    assert (again.first, again.corrected, again.outcomes) == (0, 0, first.outcomes)

    last = join(settings, at_last, tmp_path, NOON + 3 * DAY)
    assert (last.first, last.corrected, last.waiting) == (first.waiting, 0, 0)
    counted = predicted["outcome"].replace("landed", "labelled").value_counts().to_dict()
    assert last.outcomes == counted
    assert counted.keys() >= {"labelled", "cancelled"}


@pytest.mark.slow
def test_labels_of_a_file_from_the_future_are_not_taken(server, examples_at, tmp_path):
    """The examples know more than the clock: what landed later waits all the same."""
    settings, future = Settings(root=tmp_path), examples_at(NOON + 3 * DAY)
    landed = future[future["label_known_at"] > NOON]
    log(settings, landed)
    assert join(settings, future, tmp_path, NOON).outcomes == {}


@pytest.mark.slow
def test_a_corrected_label_is_a_new_revision(server, examples_at, tmp_path):
    settings, clock = Settings(root=tmp_path), NOON + 3 * DAY
    given = examples_at(clock)
    predicted = given[given["late"].notna()].head(10)
    log(settings, predicted)
    join(settings, given, tmp_path, clock)
    corrected = given.assign(late=np.where(given.index == predicted.index[0], 1 - given["late"], given["late"]))
    assert join(settings, corrected, tmp_path, clock).corrected == 1
    history = read_history(settings, instance_key(keys_in(predicted)[0]))
    before = predicted["late"].iloc[0]
    assert [(one.revision, one.label) for one in history] == [(1, before), (2, 1 - before)]


def keys_in(given: pd.DataFrame) -> list[dict]:
    return given[[*PROBLEM.entity_keys, *PROBLEM.request_columns]].to_dict("records")


def test_an_empty_log_is_told_with_what_to_do():
    assert "make serve" in in_figures(LabelCounts(0, {}, 0, 0, 0))
