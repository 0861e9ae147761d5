"""The flows of labels and monitoring from end to end on a small log: real Prefect, MLflow, SQLite and Evidently."""

import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.event_clock import set_clock
from flightline.core.errors import FeatureError, LogError, RegistryError
from flightline.core.settings import Settings
from flightline.monitoring.daily_stats import Kind
from flightline.monitoring.decision import Action
from pipelines.monitoring import MonitoringResult, in_words, run_monitoring
from pipelines.monitoring_steps.sentences import reasons, summary
from pipelines.rerun.answers import answer_again
from pipelines.rerun.monitor import WRITES
from tests.support.filled_log import fill, logged_rows
from tests.support.served_champion import CLOCK, RULE, Served, project_of
from tests.support.small_training_set import START, run_in_flow, small_problem

pytestmark = pytest.mark.system


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
