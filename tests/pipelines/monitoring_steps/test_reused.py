"""What monitoring takes from a run before, and when it is made anew."""

from dataclasses import replace

import pandas as pd
import pytest

from flightline.adapters.mlflow import registry
from flightline.core.errors import RegistryError
from flightline.monitoring.drift import sample_places
from pipelines.monitoring import prepare_champion, run_monitoring
from pipelines.monitoring_steps.inputs import training_frame
from pipelines.monitoring_steps.windows import read_champion
from tests.support.served_champion import RULE, project_of

pytestmark = pytest.mark.system


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
    frame, _ = training_frame(champion)
    drawn = frame.iloc[sample_places(len(frame), RULE.drift_rows)].reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.read_parquet(usual.sample.file), drawn)
    assert usual.sample.missing == frame.isna().mean().to_dict()
    more = replace(RULE, drift_rows=RULE.drift_rows + 1)
    _, other = prepare_champion(project_of(served.settings, replace(served.problem, monitoring=more)))
    assert len(pd.read_parquet(other.sample.file)) == more.drift_rows
