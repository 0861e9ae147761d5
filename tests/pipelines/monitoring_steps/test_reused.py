"""What monitoring takes from a run before, and when it is made anew."""

from dataclasses import replace

import pandas as pd
import pytest

from flightline.adapters.files import parquet_rows
from flightline.adapters.files.parquet_rows import read_rows
from flightline.adapters.mlflow import registry
from flightline.core.errors import RegistryError
from flightline.monitoring.drift import sample_places
from pipelines.common.source_closure import closure
from pipelines.monitoring import prepare_champion, run_monitoring
from pipelines.monitoring_steps import champion as champion_steps
from pipelines.monitoring_steps.champion import read_champion
from pipelines.monitoring_steps.training_window import (
    learn_anomaly_limits,
    learn_drift_thresholds,
    sample_training,
)
from tests.support.served_champion import RULE, project_of

pytestmark = pytest.mark.system


DECIDES_NOTHING_USUAL = ("prediction_log", "plots", "promotion")


@pytest.mark.parametrize(
    ("cached", "others"),
    [
        (champion_steps.predict_champion_rows, ()),
        (learn_anomaly_limits, ("mlflow",)),
        (learn_drift_thresholds, ("mlflow",)),
        (sample_training, ("mlflow",)),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_a_change_of_what_decides_nothing_usual_makes_nothing_anew(cached, others):
    reached = closure([cached.function.__module__])
    assert not [name for name in reached if any(part in name for part in (*DECIDES_NOTHING_USUAL, *others))]


def test_without_a_flow_it_comes_to_the_same(served):
    first, kept = served.log().label().monitor(), served.record()
    again = run_monitoring(project_of(served.settings, served.problem))
    assert (again.decision, served.record()) == (first.decision, kept)


@pytest.mark.parametrize("trained", ["classification"], indirect=True)
def test_the_registry_is_asked_again_once_it_has_changed(served, monkeypatch):
    project = project_of(served.settings, served.problem)
    known = read_champion(project)
    monkeypatch.setattr(registry, "version_of", lambda *_: None)
    assert read_champion(project) == known
    registry.tag_version(served.settings, served.problem.model_name, served.version, {"seen": "again"})
    with pytest.raises(RegistryError, match="has no champion to monitor"):
        read_champion(project)


@pytest.mark.parametrize("trained", ["classification"], indirect=True)
def test_a_training_set_that_is_gone_is_missed(served):
    project = project_of(served.settings, served.problem)
    file = read_champion(project).features_file
    hidden = file.rename(file.with_suffix(".hidden"))
    try:
        with pytest.raises(RegistryError, match=r"the training set of version .* is not under"):
            read_champion(project)
    finally:
        hidden.rename(file)


def test_served_rows_are_held_against_a_sample_of_the_training_window(served):
    project = project_of(served.settings, served.problem)
    champion, usual = prepare_champion(project)
    rows = pd.read_parquet(champion.rows_file)
    is_training = rows["part"] == "training"
    answer = rows.loc[is_training, "answer" if "answer" in rows else "prediction"]
    frame = pd.read_parquet(champion.features_file)[is_training].assign(prediction=answer)
    drawn = frame.iloc[sample_places(len(frame), RULE.drift_rows)].reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.read_parquet(usual.sample.file), drawn)
    assert usual.sample.missing == frame.isna().mean().to_dict()
    more = replace(RULE, drift_rows=RULE.drift_rows + 1)
    _, other = prepare_champion(project_of(served.settings, replace(served.problem, monitoring=more)))
    assert len(pd.read_parquet(other.sample.file)) == more.drift_rows


def test_the_training_window_is_never_held_whole(served, monkeypatch):
    """Of its features a column is read at a time, or a sample; they are predicted in parts."""
    project, held = project_of(served.settings, served.problem), list[int]()
    kept, _ = prepare_champion(project)
    found, whole = read_champion(project), pd.read_parquet

    def of_others(file, **given):
        assert file.name != "features.parquet"
        return whole(file, **given)

    def noted(*given):
        held.append(read_rows(*given).size)
        return read_rows(*given)

    monkeypatch.setattr(pd, "read_parquet", of_others)
    monkeypatch.setattr(parquet_rows, "read_rows", noted)
    monkeypatch.setattr(champion_steps, "PREDICTED_AT_ONCE", 100)
    rule = replace(RULE, drift_rows=100, anomaly_rows=12, min_anomaly_rows=5)
    problem = replace(served.problem, monitoring=rule)
    champion, _ = prepare_champion(project_of(served.settings, problem))
    is_training = whole(champion.rows_file)["part"] == "training"
    assert max(held) < 3 * is_training.sum()
    made = (served.settings, problem, found.judged, found.model_sha256, found.training_set)
    again = champion_steps.predict_champion_rows.function("in parts of 100 rows", *made)
    pd.testing.assert_frame_equal(whole(again.rows_file), whole(kept.rows_file), rtol=1e-12)
