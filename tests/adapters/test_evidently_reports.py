"""Evidently on small data: the scores are those its reports show, with our thresholds, in a workspace that opens."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from flightline.adapters import evidently_reports
from flightline.core.settings import Settings
from flightline.monitoring.drift import PREDICTION

pytestmark = pytest.mark.slow
AT = datetime(2026, 1, 8, tzinfo=UTC)
THRESHOLDS = {"temperature": 0.5, "shop": 0.2, PREDICTION: 0.3}


def frame(seed: int, warmer: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "temperature": np.where(rng.random(400) < 0.1, np.nan, rng.normal(10 + warmer, 3, 400)),
            "shop": rng.choice(["a", "b", "c"], 400).astype(object),
            "empty": np.full(400, np.nan),
            PREDICTION: rng.random(400),
        }
    )


def values(snapshot) -> dict[str, float]:
    return {
        metric["config"]["column"]: float(metric["value"])
        for metric in snapshot.dict()["metrics"]
        if metric["config"]["type"].endswith("ValueDrift")
    }


def verdicts(snapshot) -> dict[str, str]:
    return {
        test["metric_config"]["params"]["column"]: test["status"].value
        for test in snapshot.dict()["tests"]
        if "column" in test["metric_config"]["params"]
    }


def values_by_column(snapshot) -> set[str]:
    """Name the columns that have numbers of their own."""
    named = {one["config"].get("column") for one in snapshot.dict()["metrics"]}
    return named - {None}


@pytest.fixture(scope="module")
def reports():
    return evidently_reports.run_reports(frame(0), frame(1, warmer=9), THRESHOLDS, AT)


def test_scores_are_those_of_the_reports(reports):
    scores = evidently_reports.drift_scores(frame(0), frame(1, warmer=9))
    shown = values(reports["data drift"]) | values(reports["prediction drift"])
    assert shown == pytest.approx({name: scores[name] for name in ("temperature", "shop", PREDICTION)})
    assert scores["temperature"] == pytest.approx(3, abs=0.3)  # in standard deviations
    assert np.isnan(scores["empty"])


def test_a_model_that_predicts_a_constant_has_no_prediction_drift():
    # Its column has no threshold: nothing can be learned from healthy days about how far it moves.
    constant = [frame(seed).assign(**{PREDICTION: 0.3}) for seed in (0, 1)]
    found = evidently_reports.run_reports(*constant, {"temperature": 0.5, "shop": 0.2}, AT)
    assert sorted(found) == ["data drift", "data quality"]


def test_each_column_is_held_against_its_own_threshold(reports):
    assert verdicts(reports["data drift"]) == {"temperature": "FAIL", "shop": "SUCCESS"}
    lax = evidently_reports.run_reports(frame(0), frame(1, warmer=9), THRESHOLDS | {"temperature": 99.0}, AT)
    assert verdicts(lax["data drift"]) == {"temperature": "SUCCESS", "shop": "SUCCESS"}


def test_the_reports_show_the_columns_that_are_asked_for(reports):
    few = evidently_reports.run_reports(frame(0), frame(1, warmer=9), THRESHOLDS, AT, detailed=["shop"])
    shown, all_shown = (values_by_column(one["data quality"]) for one in (few, reports))
    assert shown == {"shop"}
    assert all_shown == {"temperature", "shop", PREDICTION}
    assert values_by_column(few["data drift"]) == {"shop"}
    assert values(few["data drift"])["shop"] == values(reports["data drift"])["shop"]


@pytest.mark.parametrize("detailed", [None, ["shop"]], ids=["all", "one"])
def test_all_columns_that_drift_are_counted(detailed):
    found = evidently_reports.run_reports(frame(0), frame(1, warmer=9), THRESHOLDS, AT, detailed)
    (count,) = [
        one["value"] for one in found["data drift"].dict()["metrics"] if "DriftedColumnsCount" in one["config"]["type"]
    ]
    assert count == {"count": 1.0, "share": 0.5}


def test_equal_samples_do_not_drift():
    scores = evidently_reports.drift_scores(frame(0), frame(0))
    assert [scores[name] for name in THRESHOLDS] == pytest.approx([0, 0, 0])


def test_the_workspace_holds_each_window_once(reports, tmp_path):
    from evidently.ui.workspace import Workspace

    settings = Settings(root=tmp_path)
    for window in ("week 1", "week 2", "week 2"):
        folder = evidently_reports.save_reports(settings, "shops", window, reports)
    workspace = Workspace(str(folder))
    (project,) = workspace.list_projects()
    names = sorted(workspace.get_run(project.id, run).name for run in workspace.list_runs(project.id))
    kinds = ("data drift", "data quality", "prediction drift")
    assert names == [f"week {number}: {kind}" for number in (1, 2) for kind in kinds]


def test_a_report_that_was_left_half_written_does_not_break_the_next(reports, tmp_path):
    settings = Settings(root=tmp_path)
    folder = evidently_reports.save_reports(settings, "shops", "first", reports)
    half = sorted(folder.glob("*/snapshots/*.json"))[0]
    half.write_bytes(half.read_bytes()[:1000])
    evidently_reports.save_reports(settings, "shops", "second", reports)
    assert not half.exists()
