"""The loop from end to end on the toy problem: real DVC, Feast, Prefect, MLflow, and the service in-process."""

import json
import re
import shutil
from dataclasses import replace
from datetime import timedelta

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from flightline.adapters import event_clock
from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.champion_moves import last_move, move_champion
from flightline.adapters.model_store.profile import CARD_FILE
from flightline.adapters.state.state_files import STATE_FILES, damaged_files
from flightline.core.errors import DataVersionError, FeatureError, RegistryError, ServableError
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.evaluation.metrics import LOWER_IS_BETTER
from flightline.promotion.gate import Decision
from pipelines.commands import champion, request
from pipelines.promotion_steps import servable
from pipelines.promotion_steps.gate import warnings_of
from pipelines.replay.parity import check_parity
from pipelines.rerun.live import status
from pipelines.steps import models
from pipelines.steps.features import LOADED_FILE
from pipelines.steps.summary import TrainingResult, print_result
from tests.pipelines.test_materialise import CORRECTED, JUNE, ingest, materialise, rewrite, sold_otherwise
from tests.serving.conftest import TestClient
from tests.support.clones import make_toy_clone
from tests.support.models.toy_flow import BOOSTED, toy_training
from tests.toy_problem import PROBLEM

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),
]
CLOCK = PROBLEM.first_clock


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone that holds the data of the toy problem, and no state."""
    return make_toy_clone(tmp_path_factory.mktemp("a träining"))


@pytest.fixture(scope="module")
def settings(project: Project) -> Settings:
    return project.settings


@pytest.fixture(scope="module")
def trained(project: Project, server: None) -> TrainingResult:
    return toy_training(project)


def test_the_first_good_model_is_promoted(trained, settings):
    assert trained.verdict.decision is Decision.PROMOTE
    assert trained.evaluation.metrics["log_loss"] < trained.evaluation.baseline_metrics["log_loss"]
    assert (
        str(registry.version_of(settings, PROBLEM.model_name, registry.CHAMPION).version) == trained.registered.version
    )


def test_no_feature_is_too_good_alone(trained):
    assert trained.verdict.warnings == ()


@pytest.mark.parametrize(("name", "is_named"), [("planned", True), ("city", True), ("day_of_week", False)])
def test_a_label_under_another_name_is_warned_of(trained, project, tmp_path, name, is_named, capsys):
    folder = shutil.copytree(trained.evaluation.folder, tmp_path / "evaluation")
    alone = pd.read_csv(folder / models.ALONE_FILE)
    alone["gain"] = (alone["gain"] / 10).mask(alone["feature"] == name, 1.0)
    alone.sort_values("gain", ascending=False).to_csv(folder / models.ALONE_FILE, index=False)
    found = warnings_of(project, trained.training_set, replace(trained.evaluation, folder=folder))
    print_result(replace(trained, verdict=replace(trained.verdict, warnings=found)), PROBLEM, LOWER_IS_BETTER)
    said = f"warning: {name} alone takes away 100% of a constant's loss"
    assert (said in capsys.readouterr().out) == is_named  # what the moment of a request tells is no leak
    assert len(found) == is_named


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
    assert not [tag for tag in run.data.tags if tag.startswith("mlflow.source.git.")]
    artifacts = {file.path for file in registry.connect(settings).list_artifacts(run.info.run_id, "evaluation")}
    assert {
        f"evaluation/{name}"
        for name in ("calibration.png", "roc.png", "precision_recall.png", "slices.png", "slices.csv")
    } <= artifacts


def test_the_card_of_the_version_is_in_mlflow_with_every_part(trained, settings):
    version, loss = trained.registered.version, trained.evaluation.metrics["log_loss"]
    found = registry.get_version(settings, PROBLEM.model_name, version)
    card = registry.read_text(settings, found, f"signed/version_{version}/{CARD_FILE}")
    assert re.search(rf"\| log_loss \| {loss:.4f} \| 0\.\d{{4}} to 0\.\d{{4}} \| 0\.\d{{4}} \| lower \|", card)
    assert re.search(r"\| city = Bergen \| [\d,]+ \| 0\.\d{4} \| 0\.\d{4} to 0\.\d{4} \|", card)
    assert all(part in card for part in ("\n| shop_recent | ", trained.data.md5, "Nobody has written down what this"))


def test_who_moved_champion_is_recorded(trained, settings):
    move = last_move(settings, PROBLEM.model_name)
    assert (move["by"], move["from_version"], move["to_version"]) == ("gate", "none", trained.registered.version)


def test_status_tells_what_mlflow_holds(trained, project):
    told = status(project)
    assert told["champion"]["test_log_loss"] == trained.evaluation.metrics["log_loss"]
    assert (told["champion"]["has_model_file"], told["refused_by_service"]) == (True, None)
    assert (told["data_version"], told["clock"]) == (trained.data.md5, CLOCK.isoformat())
    assert told["last_verdict"]["decision"] == "PROMOTE"


def test_a_real_request_is_answered_by_the_champion(trained, project):
    from serving.app import create_app

    instance = request.next_instance(project)
    with TestClient(create_app(project)) as client:
        answer = client.post(f"/v1/models/{PROBLEM.model_name}:predict", json={"instances": [instance]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"]["version"] == trained.registered.version
    assert 0 < answer.json()["predictions"][0]["probability"] < 1


def test_each_database_of_the_state_is_looked_at_when_a_command_fails(trained, settings):
    known = {file for entry in STATE_FILES for file in settings.state_dir.glob(entry.path)}
    assert set(settings.state_dir.rglob("*.db")) <= known
    assert list(damaged_files(settings, is_thorough=True)) == []


def test_a_rerun_reuses_what_it_can_and_keeps_the_champion(trained, project, capsys):
    again = toy_training(project)
    printed = capsys.readouterr().out
    assert printed.count("reused: nothing it depends on has changed") == 5
    assert again.registered == trained.registered
    assert again.verdict.decision is Decision.HOLD
    assert again.verdict.reasons == ("the challenger is the champion: there is nothing to compare",)


def test_a_version_from_before_a_tag_was_introduced_is_given_it(trained, project, settings):
    version = trained.registered.version
    before = registry.get_version(settings, PROBLEM.model_name, version).tags
    for tag in ("training_set", "feature_views_sha256"):
        registry.connect(settings).delete_model_version_tag(PROBLEM.model_name, version, tag)
    registry.tag_version(settings, PROBLEM.model_name, version, {"lineage.lock_sha256": "kept"})
    again = toy_training(project)
    after = registry.get_version(settings, PROBLEM.model_name, version).tags
    registry.tag_version(settings, PROBLEM.model_name, version, {"lineage.lock_sha256": before["lineage.lock_sha256"]})
    assert again.registered == trained.registered
    assert after["training_set"] == trained.training_set.key == before["training_set"]
    assert after["feature_views_sha256"] == before["feature_views_sha256"]
    assert after["lineage.lock_sha256"] == "kept"


def test_a_lost_result_is_made_again(trained, project, capsys):
    shutil.rmtree(trained.training_set.folder)
    again = toy_training(project)
    assert again.training_set == trained.training_set
    assert capsys.readouterr().out.count("reused: nothing it depends on has changed") == 4


def test_a_model_no_better_than_the_baseline_is_rejected(trained, project, settings):
    result = toy_training(project, replace(BOOSTED, model="base_rate"))
    assert result.verdict.decision is Decision.REJECT
    assert (
        str(registry.version_of(settings, PROBLEM.model_name, registry.CHAMPION).version) == trained.registered.version
    )


def test_another_seed_is_held_and_every_number_is_kept(trained, project, settings):
    result = toy_training(project, replace(BOOSTED, seed=2))
    assert result.verdict.decision is Decision.HOLD
    run_id, folder = result.registered.run_id, f"gate/against_version_{trained.registered.version}"
    assert {file.path for file in registry.connect(settings).list_artifacts(run_id, folder)} == {
        f"{folder}/gate.png",
        f"{folder}/verdict.json",
    }
    kept = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/{folder}/verdict.json"))
    assert kept["verdict"]["decision"] == "HOLD"
    assert [check["name"] for check in kept["verdict"]["checks"]] == [check.name for check in result.verdict.checks]
    assert kept["expected"]["champion"]["version"] == trained.registered.version
    tags = registry.get_version(settings, PROBLEM.model_name, result.registered.version).tags
    assert (tags["verdict"], tags["verdict_reasons"]) == ("HOLD", "; ".join(result.verdict.reasons))
    assert kept["verdict"]["notes"][0].startswith("calibration slope by month: ")


def test_a_failed_registration_leaves_no_version(trained, project, settings, monkeypatch):
    def refuse(*_: object) -> None:
        raise mlflow.exceptions.MlflowException("the registry went away")

    client = registry.connect(settings)
    before = {found.version for found in client.search_model_versions("")}
    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", refuse)
    with pytest.raises(mlflow.exceptions.MlflowException, match="went away"):
        toy_training(project, replace(BOOSTED, seed=1))
    assert {found.version for found in client.search_model_versions("")} == before


def test_altered_data_stops_the_flow_before_anything_changes(trained, project, settings):
    file = settings.data_dir / "shops.csv"
    whole = file.read_text()
    file.write_text(whole + "S99,Bergen,4,NA\n")
    try:
        with pytest.raises(DataVersionError, match="shops"):
            toy_training(project)
    finally:
        file.write_text(whole)


def test_what_the_service_would_predict_at_another_moment_is_not_learned(trained, project, settings):
    client = MlflowClient()
    before = {found.version for found in client.search_model_versions("")}
    later = replace(project.schemas, event_time_of=lambda instance: instance.opens + timedelta(hours=1))
    with pytest.raises(FeatureError, match="but its request is predicted at"):
        toy_training(replace(project, schemas=later), BOOSTED)
    assert {found.version for found in client.search_model_versions("")} == before


def answer_examples(trained: TrainingResult, project: Project) -> None:
    examples = project.settings.features_dir / "current" / "examples" / "examples.parquet"
    servable.check_servable.fn(project, examples, trained.registered)


def test_the_service_answers_examples_as_training_does(trained, project, capsys):
    answer_examples(trained, project)
    assert "10 examples are answered by the service as in training" in capsys.readouterr().out


def test_a_feature_that_the_service_has_otherwise_is_named(trained, project, monkeypatch):
    def shifted(*arguments: object) -> pd.DataFrame:
        features = servable_features(*arguments)
        return features.assign(**{column: features[column] + 1})

    servable_features = servable.features_as_of
    column = servable_features(project.settings, PROBLEM, project.requests, examples_of(project)).columns[-1]
    monkeypatch.setattr(servable, "features_as_of", shifted)
    with pytest.raises(ServableError, match=rf"example .*: {column} is .* in training and .* in the service"):
        answer_examples(trained, project)


def examples_of(project: Project) -> pd.DataFrame:
    file = project.settings.features_dir / "current" / "examples" / "examples.parquet"
    return servable.choose_examples(pd.read_parquet(file))


def test_a_prediction_that_the_service_makes_otherwise_is_named(trained, project, monkeypatch):
    predict = servable.predict_with
    monkeypatch.setattr(servable, "predict_with", lambda *arguments: predict(*arguments) * 1.001)
    with pytest.raises(ServableError, match="from the same features training predicts"):
        answer_examples(trained, project)


def test_a_request_that_the_service_refuses_names_its_field(trained, project, monkeypatch):
    wrong = [{"shop": "S01", "city": "Bergen", "opens": "soon"}]
    monkeypatch.setattr(type(project), "requests_of", lambda *_: wrong)
    with pytest.raises(ServableError, match=r"cannot be served, .*api_schema\.py refuses .*: opens: "):
        answer_examples(trained, project)


def test_without_features_in_the_store_nothing_is_promoted(trained, project, monkeypatch):
    monkeypatch.setattr(servable.feast_store, "loaded_until", lambda _: None)
    with pytest.raises(ServableError, match="run `make materialise`"):
        answer_examples(trained, project)


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
        move_champion(settings, PROBLEM.model_name, trained.registered.version, by=by, why=why, evidence=evidence)
    assert last_move(settings, PROBLEM.model_name)["why"] == "; ".join(trained.verdict.reasons)


def test_champion_is_not_moved_to_a_version_that_is_not_there(trained, settings):
    with pytest.raises(RegistryError, match="no version 99"):
        move_champion(settings, PROBLEM.model_name, "99", by="gate", why="better", evidence={"a": 1})


def test_a_person_may_move_champion_and_is_named(trained, project, settings, capsys):
    champion.promote(project, trained.registered.version, "Ada", "slices look better")
    assert {"by": "person:Ada", "why": "slices look better"}.items() <= last_move(settings, PROBLEM.model_name).items()


def test_what_was_corrected_after_an_answer_is_no_mismatch(trained, project, settings, tmp_path):
    from serving.app import create_app

    def ask() -> None:
        instance = request.next_instance(project) | {"shop": CORRECTED}
        with TestClient(create_app(project)) as client:
            assert client.post(f"/v1/models/{PROBLEM.model_name}:predict", json={"instances": [instance]}).is_success

    ask()
    before = check_parity(project)
    assert (before.mismatches, before.changed) == ((), 0)
    (tmp_path / "incoming" / "sales").mkdir(parents=True)
    rewrite(settings.data_dir / JUNE, sold_otherwise, tmp_path / "incoming" / JUNE)
    ingest(project, tmp_path / "incoming", tmp_path / "staged")
    materialise(project)
    ask()
    report = check_parity(project)
    assert (report.mismatches, report.predictions) == ((), before.predictions + 1)
    assert report.changed > 0
    assert f"{report.changed} of an earlier data version would be answered otherwise" in str(report)
    (settings.features_dir / LOADED_FILE).unlink()
    assert len({one.prediction_id for one in check_parity(project).mismatches}) == report.changed
