"""The loop from end to end on two real months: real DVC, Feast, Prefect, MLflow, and the service in-process."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from prefect import flow
from prefect.testing.utilities import prefect_test_harness

from flightline.adapters import event_clock
from flightline.adapters.dvc import data_version as dvc_data
from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.champion_history import last_move
from flightline.core.errors import DataVersionError, RegistryError
from flightline.core.problem_spec import Interval, Thresholds, Windows
from flightline.core.settings import Settings
from flightline.problem.config import PROBLEM
from flightline.promotion.gate import Decision
from flightline.training.fit import TrainingParameters
from pipelines.commands import champion, request
from pipelines.training import TrainingResult, run_training
from tests.serving.conftest import TestClient
from tests.support.clones import PROJECT, make_clone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),
]
CLOCK = datetime(2013, 2, 27, 12, tzinfo=UTC)


def _day(month: int, day: int) -> datetime:
    return datetime(2013, month, day, tzinfo=UTC)


WINTER = replace(
    PROBLEM,
    windows=Windows(
        fit=Interval(_day(1, 1), _day(2, 1)),
        validation=Interval(_day(2, 1), _day(2, 12)),
        test=Interval(_day(2, 12), _day(3, 1)),
    ),
    thresholds=Thresholds(floors={"roc_auc": 0.6}, ceilings={"brier": 0.25}, implausible={"roc_auc": 0.95}),
    first_clock=CLOCK,
)
PARAMETERS = TrainingParameters(model="hist_gradient_boosting", max_iterations=30)


@flow(validate_parameters=False)
def winter_training(settings: Settings, parameters: TrainingParameters) -> TrainingResult:
    return run_training(settings, WINTER, parameters)


@pytest.fixture(scope="module")
def settings(winter_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A clone that holds the first two months, and no state."""
    folder = tmp_path_factory.mktemp("training")
    settings = make_clone(folder / "clone", folder / "remote")
    shutil.copytree(PROJECT / "feature_repo", settings.feature_repo, ignore=shutil.ignore_patterns("__pycache__"))
    staged = folder / "staged"
    shutil.copytree(winter_dir, staged)
    dvc_data.add_version(settings, staged, lambda _: None)
    return settings


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        with prefect_test_harness(server_startup_timeout=120):
            yield


@pytest.fixture(scope="module")
def trained(settings: Settings, server: None) -> TrainingResult:
    return winter_training(settings, PARAMETERS)


def test_the_first_good_model_is_promoted(trained, settings):
    assert trained.verdict.decision is Decision.PROMOTE
    assert trained.evaluation.metrics["log_loss"] < trained.evaluation.baseline_metrics["log_loss"]
    assert (
        str(registry.version_of(settings, WINTER.model_name, registry.CHAMPION).version) == trained.registered.version
    )


def test_the_clock_stands_where_the_problem_says(trained, settings):
    assert event_clock.read_clock(settings) == CLOCK


def test_nothing_known_after_the_clock_is_in_the_features(trained, settings):
    for file in (settings.features_dir / "current").glob("*.parquet"):
        assert pd.read_parquet(file, columns=["event_timestamp"])["event_timestamp"].max() <= CLOCK, file.name


def test_no_label_known_after_the_clock_is_learned_or_tested(trained):
    examples = pd.read_parquet(trained.training_set.examples_file)
    assert examples["label_known_at"].max() <= CLOCK
    assert len(examples) == trained.training_set.rows


def test_the_run_holds_parameters_metrics_pictures_and_lineage(trained, settings):
    run = registry.connect(settings).get_run(trained.registered.run_id)
    assert run.data.params["model"] == "hist_gradient_boosting"
    assert run.data.metrics["test_roc_auc"] == trained.evaluation.metrics["roc_auc"]
    assert run.data.tags["lineage.data_md5"] == trained.data.md5
    artifacts = {file.path for file in registry.connect(settings).list_artifacts(run.info.run_id, "evaluation")}
    assert {
        f"evaluation/{name}"
        for name in ("calibration.png", "roc.png", "precision_recall.png", "slices.png", "slices.csv")
    } <= artifacts


def test_who_moved_champion_is_recorded(trained, settings):
    move = last_move(settings, WINTER.model_name)
    assert (move["by"], move["from_version"], move["to_version"]) == ("gate", "none", trained.registered.version)


def test_status_tells_what_mlflow_holds(trained, settings):
    told = champion.status(settings, WINTER)
    assert told["champion"]["test_log_loss"] == trained.evaluation.metrics["log_loss"]
    assert (told["data_version"], told["clock"]) == (trained.data.md5, "2013-02-27T12:00:00+00:00")
    assert told["last_verdict"]["decision"] == "PROMOTE"


def test_a_real_request_is_answered_by_the_champion(trained, settings):
    from serving.app import create_app

    instance = request.next_instance(settings, WINTER)
    with TestClient(create_app(settings)) as client:
        answer = client.post(f"/v1/models/{WINTER.model_name}:predict", json={"instances": [instance]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"]["version"] == trained.registered.version
    assert 0 < answer.json()["predictions"][0]["probability"] < 1


def test_a_rerun_reuses_what_it_can_and_keeps_the_champion(trained, settings, capsys):
    again = winter_training(settings, PARAMETERS)
    printed = capsys.readouterr().out
    assert printed.count("reused: nothing it depends on has changed") == 5
    assert again.registered == trained.registered
    assert again.verdict.decision is Decision.HOLD
    assert again.verdict.reasons == ("the challenger is the champion: there is nothing to compare",)


def test_a_version_from_before_a_tag_was_introduced_is_given_it(trained, settings):
    version = trained.registered.version
    before = registry.get_version(settings, WINTER.model_name, version).tags
    for tag in ("training_set", "feature_views_sha256"):
        registry.connect(settings).delete_model_version_tag(WINTER.model_name, version, tag)
    registry.tag_version(settings, WINTER.model_name, version, {"lineage.lock_sha256": "kept"})
    again = winter_training(settings, PARAMETERS)
    after = registry.get_version(settings, WINTER.model_name, version).tags
    registry.tag_version(settings, WINTER.model_name, version, {"lineage.lock_sha256": before["lineage.lock_sha256"]})
    assert again.registered == trained.registered
    assert after["training_set"] == trained.training_set.key == before["training_set"]
    assert after["feature_views_sha256"] == before["feature_views_sha256"]
    assert after["lineage.lock_sha256"] == "kept"


def test_a_lost_result_is_made_again(trained, settings, capsys):
    shutil.rmtree(trained.training_set.folder)
    again = winter_training(settings, PARAMETERS)
    assert again.training_set == trained.training_set
    assert capsys.readouterr().out.count("reused: nothing it depends on has changed") == 4


def test_a_model_no_better_than_the_baseline_is_rejected(trained, settings):
    result = winter_training(settings, replace(PARAMETERS, model="base_rate"))
    assert result.verdict.decision is Decision.REJECT
    assert (
        str(registry.version_of(settings, WINTER.model_name, registry.CHAMPION).version) == trained.registered.version
    )


def test_another_seed_is_held_and_every_number_is_kept(trained, settings):
    result = winter_training(settings, replace(PARAMETERS, seed=2))
    assert result.verdict.decision is Decision.HOLD
    run_id, folder = result.registered.run_id, f"gate/against_version_{trained.registered.version}"
    assert {file.path for file in registry.connect(settings).list_artifacts(run_id, folder)} == {
        f"{folder}/gate.png",
        f"{folder}/verdict.json",
    }
    kept = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/{folder}/verdict.json"))
    assert kept["verdict"]["decision"] == "HOLD"
    assert [check["name"] for check in kept["verdict"]["checks"]] == [check.name for check in result.verdict.checks]
    assert kept["contest"]["champion"]["version"] == trained.registered.version
    tags = registry.get_version(settings, WINTER.model_name, result.registered.version).tags
    assert (tags["verdict"], tags["verdict_reasons"]) == ("HOLD", "; ".join(result.verdict.reasons))


def test_a_failed_registration_leaves_no_version(trained, settings, monkeypatch):
    def refuse(*_: object) -> None:
        raise mlflow.exceptions.MlflowException("the registry went away")

    client = registry.connect(settings)
    before = {found.version for found in client.search_model_versions("")}
    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", refuse)
    with pytest.raises(mlflow.exceptions.MlflowException, match="went away"):
        winter_training(settings, replace(PARAMETERS, seed=1))
    assert {found.version for found in client.search_model_versions("")} == before


def test_altered_data_stops_the_flow_before_anything_changes(trained, settings):
    file = settings.data_dir / "airlines.csv"
    whole = file.read_text()
    file.write_text(whole + "ZZ,Nobody\n")
    try:
        with pytest.raises(DataVersionError, match="airlines"):
            winter_training(settings, PARAMETERS)
    finally:
        file.write_text(whole)


@pytest.mark.parametrize(
    ("by", "why", "evidence", "said"),
    [
        ("somebody", "better", {"log_loss": 0.4}, "champion can be moved by"),
        ("person:", "better", {"log_loss": 0.4}, "champion can be moved by"),
        ("gate", " ", {"log_loss": 0.4}, "say why"),
        ("gate", "better", {}, "give the evidence"),
    ],
)
def test_champion_is_not_moved_without_name_reason_and_evidence(trained, settings, by, why, evidence, said):
    with pytest.raises(RegistryError, match=said):
        registry.move_champion(
            settings, WINTER.model_name, trained.registered.version, by=by, why=why, evidence=evidence
        )
    assert last_move(settings, WINTER.model_name)["why"] == "; ".join(trained.verdict.reasons)


def test_champion_is_not_moved_to_a_version_that_is_not_there(trained, settings):
    with pytest.raises(RegistryError, match="no version 99"):
        registry.move_champion(settings, WINTER.model_name, "99", by="gate", why="better", evidence={"a": 1})


def test_a_person_may_move_champion_and_is_named(trained, settings, capsys):
    champion.promote(settings, WINTER, trained.registered.version, "Ada", "slices look better")
    move = last_move(settings, WINTER.model_name)
    assert (move["by"], move["why"]) == ("person:Ada", "slices look better")
