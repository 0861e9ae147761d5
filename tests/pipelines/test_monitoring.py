"""The flows of labels and monitoring from end to end on a small log: real Prefect, MLflow, SQLite and Evidently."""

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.event_clock import set_clock
from flightline.adapters.mlflow import registry
from flightline.adapters.mlflow.champion_moves import move_champion
from flightline.adapters.model_store.model_file import load_model
from flightline.adapters.prediction_log.label_table import record_labels
from flightline.core.errors import FeatureError, LogError, RegistryError
from flightline.core.lineage import Lineage
from flightline.core.problem_spec import Monitoring, Problem
from flightline.core.project import Project, open_project
from flightline.core.settings import Settings
from flightline.monitoring.daily_stats import Kind
from flightline.monitoring.decision import Action
from flightline.monitoring.drift import sample_places
from flightline.monitoring.labels import known_labels
from flightline.training.fit import TrainingParameters
from flightline.training.splits import split
from pipelines.monitoring import MonitoringResult, in_words, prepare_champion, run_monitoring
from pipelines.monitoring_steps.inputs import training_frame
from pipelines.monitoring_steps.sentences import reasons, summary
from pipelines.monitoring_steps.windows import read_champion
from pipelines.rerun.answers import answer_again
from pipelines.rerun.monitor import WRITES
from pipelines.steps import compare as comparison
from pipelines.steps import models
from pipelines.steps.models import predict_with
from tests.support.filled_log import fill, logged_rows
from tests.support.small_training_set import START, run_in_flow, small_problem, write_training_set

pytestmark = pytest.mark.system
RULE = Monitoring(
    windows=2, breaches=2, shown_windows=4, min_labels=50, min_days=3, drift_rows=400, label_delay=timedelta(days=1),
    min_anomaly_rows=10, promise_margin=0.1, calibration_margin=0.2, slope_margin=0.4, loss_margin=0.5,
)  # fmt: skip
CLOCK = START + timedelta(days=118, hours=5)


def project_of(settings: Settings, problem: Problem) -> Project:
    return replace(open_project(settings), problem=problem)


@dataclass(frozen=True)
class Served:
    """A small problem with a champion, and what the champion says of its test rows."""

    settings: Settings
    problem: Problem
    examples: pd.DataFrame
    features: pd.DataFrame
    predictions: np.ndarray
    version: str

    def log(self, predictions: np.ndarray | None = None, features: pd.DataFrame | None = None) -> "Served":
        given = self.features if features is None else features
        made = self.predictions if predictions is None else predictions
        fill(self.settings, logged_rows(self.problem, self.examples, given, made, self.version))
        return self

    def label(self, examples: pd.DataFrame | None = None) -> "Served":
        known = self.examples if examples is None else examples
        record_labels(self.settings, known_labels(known, self.problem, CLOCK, datetime.now(UTC), "data"))
        return self

    def monitor(self) -> MonitoringResult:
        set_clock(self.settings, CLOCK)
        return run_in_flow(lambda: run_monitoring(project_of(self.settings, self.problem)))

    def record(self) -> dict:
        return json.loads((self.settings.state_dir / "monitoring" / "latest_decision.json").read_text())


@pytest.fixture(scope="module", params=["classification", "multiclass", "regression"])
def trained(request, server: None, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A champion of each task."""
    task, folder = request.param, tmp_path_factory.mktemp("monitöred days")
    settings = Settings(root=folder)
    shutil.copytree(repository / "feature_repo", settings.feature_repo, ignore=shutil.ignore_patterns("__pycache__"))
    problem = replace(small_problem(task), entity_keys=("example_id",), slices=(), monitoring=RULE)
    key = f"key of {task}"
    training_set = write_training_set(settings.state_dir / "training_sets" / key[:16], task)
    name = "ridge_regression" if task == "regression" else "logistic_regression"
    asked = comparison.models_asked(problem, TrainingParameters(model=name, max_iterations=20))

    def story() -> str:
        best = comparison.train_each(project_of(settings, problem), asked, training_set)[0]
        lineage = Lineage("commit", False, "data", "service", "features", "lock", 0)
        made = models.register_model(
            project_of(settings, problem), best.parameters, lineage, training_set, best.model, best.evaluation
        )
        move_champion(settings, problem.model_name, made.version, by="person:test", why="test", evidence={"by": "hand"})
        return made.version

    version = run_in_flow(story)
    examples, features = pd.read_parquet(training_set.examples_file), pd.read_parquet(training_set.features_file)
    test = split(examples, problem.windows)["test"]
    found = registry.get_version(settings, problem.model_name, version)
    model = load_model(registry.download_model(settings, found))
    examples = examples[test].assign(outcome="sold")
    return Served(settings, problem, examples, features[test], predict_with(model, problem, features[test]), version)


@pytest.fixture
def served(trained: Served) -> Served:
    """The same, with an empty log."""
    file = trained.settings.prediction_log_file
    for name in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
        name.unlink(missing_ok=True)
    return trained


def test_a_healthy_model_is_ok_and_all_is_written(served):
    result = served.log().label().monitor()
    assert result.decision.action is Action.OK, result.decision
    page = result.page.read_text()
    assert page.count("data:image/png;base64,") == 6
    assert '<h1><span class="action">ok</span>The model is as good as it was' in page
    assert "The rule: the latest window keeps all bounds" in page
    assert page.index("<h2>Is it as good") < page.index("<h2>Why") < page.index("<h2>Windows")
    assert "http://" not in page.replace("http://www.w3.org", "")
    record = served.record()
    assert record["decision"]["action"] == "ok"
    assert len(record["windows"]) == RULE.shown_windows
    assert {one["column"] for one in record["inputs"]["columns"]} == {"first", "second", "side", "prediction"}
    gauges = (served.settings.state_dir / "monitoring" / "flightline_monitor.prom").read_text()
    assert 'flightline_monitor_decision{decision="ok"} 1.0' in gauges
    assert 'flightline_monitor_decision{decision="retrain"} 0.0' in gauges


@pytest.mark.parametrize("trained", ["classification"], indirect=True)
def test_it_is_told_again_while_nothing_has_changed(served):
    def monitor() -> tuple[str, bool]:
        project = project_of(served.settings, served.problem)
        return answer_again(
            served.settings, "monitor", lambda: in_words(run_in_flow(lambda: run_monitoring(project))), WRITES
        )

    (served.settings.root / "data.dvc").write_text("outs:\n- {md5: first.dir, size: 1, nfiles: 1, path: data}\n")
    served.log().label().monitor()
    told, _ = monitor()
    assert told.startswith("ok")
    assert monitor() == (told, True)
    more = logged_rows(served.problem, served.examples, served.features, served.predictions, served.version, seed=1)
    fill(served.settings, more)
    assert monitor()[1] is False


def test_hints_are_told_and_their_columns_have_no_drift(served):
    problem = replace(served.problem, monitoring=replace(RULE, hints={"first": "grows"}))
    hinted = replace(served, problem=problem)
    page = hinted.log().label().monitor().page.read_text()
    assert "<tr><td>first</td><td>grows</td><td>a hint</td></tr>" in page
    inputs = hinted.record()["inputs"]
    assert {"column": "first", "behaviour": "grows", "is_hint": True} in inputs["by_nature"]
    assert [each["column"] for each in inputs["columns"] if each["threshold"] is None] == ["first"]


def test_a_hint_on_an_unknown_column_is_refused(served):
    problem = replace(served.problem, monitoring=replace(RULE, hints={"frist": "grows"}))
    with pytest.raises(FeatureError, match="got hints on frist; the model has no such column"):
        replace(served, problem=problem).log().monitor()


def test_monitoring_again_changes_nothing_but_reuses(served):
    first = served.log().label().monitor()
    kept = served.record()
    again = served.monitor()
    assert again.decision == first.decision
    assert served.record() == kept


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


def test_labels_that_differ_from_the_predictions_ask_for_a_retraining(served):
    predicted, task = served.predictions, served.problem.task
    moved = {
        "classification": np.clip(predicted * 0.2, 0.01, 1),
        "multiclass": (predicted + np.eye(3)[0]) / 2 if task == "multiclass" else predicted,
        "regression": predicted + 3,
    }[task]
    result = served.log(predictions=moved).label().monitor()
    assert result.decision.action is Action.RETRAIN
    name = "calibration of ebb" if task == "multiclass" else "calibration"
    assert name in {each.name for each in result.decision.latest.criteria if each.is_breached}
    assert '<td class="bad">breached</td>' in result.page.read_text()


def assert_nothing_is_decided(result: MonitoringResult, words: str) -> None:
    assert result.decision.action is Action.WATCH
    assert not result.decision.is_judged
    assert "nothing is decided" in summary(result.decision)
    assert words in summary(result.decision)
    assert "Too little is known to say" in result.page.read_text()


def test_without_a_prediction_nothing_is_decided(served):
    assert_nothing_is_decided(served.monitor(), "no prediction was logged in any window")


def test_without_labels_nothing_is_decided(served):
    assert_nothing_is_decided(served.log().monitor(), "the outcome of 0% of the predictions is known")


def test_of_one_row_nothing_is_decided(served):
    times = served.examples["event_timestamp"].reset_index(drop=True)
    place = times[times < pd.Timestamp(CLOCK - timedelta(days=2))].index[-1]
    one = replace(
        served,
        examples=served.examples.iloc[[place]],
        features=served.features.iloc[[place]],
        predictions=served.predictions[[place]],
    )
    assert_nothing_is_decided(one.log().label().monitor(), "1 labels, at least 50 are needed")


def test_of_one_class_nothing_is_decided(served):
    if served.problem.task == "regression":
        pytest.skip("a regression has no classes")
    result = served.log().label(served.examples.assign(label=0.0)).monitor()
    assert_nothing_is_decided(result, "all labels are of the same class; look at their source")


def test_of_a_new_column_nothing_is_decided(served):
    result = served.log(features=served.features.assign(third=1.0)).label().monitor()
    assert_nothing_is_decided(result, "third not in the training set")


def test_of_a_missing_column_nothing_is_decided(served):
    result = served.log(features=served.features.drop(columns="second")).label().monitor()
    assert_nothing_is_decided(result, "second of the training set not logged")


def test_of_an_unreadable_log_nothing_is_decided(served):
    shutil.rmtree(served.settings.state_dir / "monitoring", ignore_errors=True)
    served.settings.prediction_log_file.parent.mkdir(parents=True, exist_ok=True)
    served.settings.prediction_log_file.write_bytes(b"no database" * 1000)
    with pytest.raises(LogError, match="is damaged or is no SQLite database"):
        served.monitor()
    assert not list((served.settings.state_dir / "monitoring").glob("**/*decision.json"))


def test_a_feature_that_went_missing_asks_to_watch_and_is_named(served):
    gone = served.features.assign(first=np.nan)
    result = served.log(features=gone).label().monitor()
    assert result.decision.action is Action.WATCH
    assert any(reason.startswith("first is missing in 100% of the predictions") for reason in reasons(result.decision))
    assert [(one.column, one.kind) for one in result.decision.anomalies] == [("first", Kind.MISSING)]
    assert "; the data is broken: first missing since" in summary(result.decision)
    page = result.page.read_text()
    assert "<h2>Anomalies of the data</h2>" in page
    assert "a model that learns from broken data learns the error" in page
    gauges = (served.settings.state_dir / "monitoring" / "flightline_monitor.prom").read_text()
    assert 'flightline_monitor_anomaly{column="first",kind="missing"} 1.0' in gauges


def test_an_anomaly_of_the_data_is_named_without_a_label(served):
    """The last window ends before; days are looked at up to the clock."""
    late = (served.examples["event_timestamp"] >= pd.Timestamp(CLOCK.date() - timedelta(days=2), tz="UTC")).to_numpy()
    stuck = served.features.assign(first=served.features["first"].where(~late, 0.25))
    (anomaly,) = served.log(features=stuck).monitor().decision.anomalies
    assert (anomaly.column, anomaly.kind, anomaly.until) == ("first", Kind.STUCK, str(CLOCK.date() - timedelta(days=1)))


def log_late_features(served: Served, since: datetime) -> None:
    """Log as if the views were filled a day after, from a moment on."""
    rows = logged_rows(served.problem, served.examples, served.features, served.predictions, served.version)
    day = timedelta(days=1)
    moved = [
        replace(
            one,
            event_timestamps={name: at - day * (one.clock >= since) for name, at in one.event_timestamps.items()},
            watermarks={name: at - day * (one.clock >= since) for name, at in one.watermarks.items()},
        )
        for one in rows
    ]
    fill(served.settings, moved)


def test_features_a_day_late_are_named_by_their_view(served):
    log_late_features(served, START + timedelta(days=100))
    decision = served.label().monitor().decision
    assert decision.action is Action.WATCH
    assert ("recent", Kind.LATE) in [(one.column, one.kind) for one in decision.anomalies]
    assert any("recent was materialised more than 24 h before" in reason for reason in reasons(decision))
    assert any("daily was materialised more than 24 h before" in reason for reason in reasons(decision))


def test_late_features_are_named_before_their_labels_are_known(served):
    """The last window that is judged by labels ends two weeks ago."""
    rule = replace(RULE, label_delay=timedelta(days=14))
    waiting = replace(served, problem=replace(served.problem, monitoring=rule))
    log_late_features(waiting, START + timedelta(days=112))
    decision = waiting.label().monitor().decision
    assert any("recent was materialised more than 24 h before" in reason for reason in reasons(decision))


def test_labels_known_after_the_clock_are_not_used(served):
    """The same labels, all known a day after the clock: as good as none."""
    late = served.examples.assign(label_known_at=pd.Timestamp(CLOCK + timedelta(days=1)))
    result = served.log().label(late).monitor()
    assert result.decision.action is Action.WATCH
    assert sum(one["labelled"] for one in served.record()["windows"]) == 0


def test_answers_of_another_version_are_not_the_champions(served):
    other = replace(served, version="99")
    other.log()
    assert "no prediction was logged" in summary(served.monitor().decision)


def test_reports_lie_in_a_workspace_once_for_each_window(served):
    from evidently.ui.workspace import Workspace

    served.log().label().monitor()
    served.monitor()
    workspace = Workspace(str(served.settings.state_dir / "evidently"))
    (project,) = workspace.list_projects()
    names = [workspace.get_run(project.id, run).name for run in workspace.list_runs(project.id)]
    assert sorted(name.split(": ")[1] for name in names) == ["data drift", "data quality", "prediction drift"]


def test_without_a_champion_it_says_what_to_do(server, tmp_path: Path):
    settings = Settings(root=tmp_path)
    set_clock(settings, CLOCK)
    with pytest.raises(RegistryError, match="has no champion to monitor; run `make train`"):
        run_in_flow(lambda: run_monitoring(project_of(settings, small_problem("classification"))))
