"""A logged prediction is explained again as the service explained it, from a real store and a real log."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flightline.adapters.event_clock import set_clock
from flightline.adapters.prediction_log.label_table import record_labels
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.monitoring.labels import LABELLED, Label
from pipelines.replay import why
from pipelines.replay.why import find_why, lines_of
from serving.app import create_app
from tests import toy_multiclass, toy_problem, toy_regression
from tests.serving.conftest import TestClient
from tests.support.small_service import INSTANCE, KINDS, NOON, STATUS, fitted, profile_of, put_model
from tests.support.small_store import definitions_digest, make_store

MAKERS = {
    "classification": (toy_problem.make_project, "logistic_regression"),
    "multiclass": (toy_multiclass.make_project, "logistic_regression"),
    "regression": (toy_regression.make_project, "ridge_regression"),
}


@dataclass
class Explained:
    project: Project
    prediction: dict
    changes: list[dict]


def explain(root: Path, task: str, has_profile: bool = True) -> Explained:
    settings = Settings(root=root)
    make, name = MAKERS[task]
    project = make(settings)
    make_store(settings)
    set_clock(settings, NOON)
    pipeline, digest = fitted(KINDS, name, task=task), definitions_digest(settings)
    profile = profile_of(project.problem) if has_profile else None
    put_model(settings, "3", pipeline=pipeline, problem=project.problem, profile=profile, feature_views_sha256=digest)
    with TestClient(create_app(project)) as client:
        answer = client.post(f"{STATUS}:explain", json={"instances": [INSTANCE]})
        assert answer.status_code == 200, answer.text
    (found,) = answer.json()["explanations"]
    return Explained(project, found["prediction"], found["changes"])


@pytest.mark.parametrize("task", list(MAKERS))
def test_it_repeats_what_the_service_answered(tmp_path, task):
    explained = explain(tmp_path, task)
    found = find_why(explained.project, explained.prediction["prediction_id"])
    assert found.is_same
    assert [each.group for each in found.drove] == [each["group"] for each in explained.changes]
    for ours, theirs in zip(found.drove, explained.changes, strict=True):
        change = list(theirs["change"].values()) if task == "multiclass" else theirs["change"]
        assert ours.change == pytest.approx(change, abs=1e-9)
        assert (ours.values, ours.typical) == (theirs["values"], theirs["typical"])
    text = "\n".join(lines_of(explained.project, found))
    assert "the same, from the logged features" in text
    assert "label           not known yet" in text
    assert "mean_units = 60 (typical 10)" in text
    assert "0.1 h old, materialised 0.0 h before" in text


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Explained:
    return explain(tmp_path_factory.mktemp("why"), "classification")


def text_of(explained: Explained) -> str:
    return "\n".join(lines_of(explained.project, find_why(explained.project, explained.prediction["prediction_id"])))


def test_the_label_is_told_once_it_is_known(explained):
    found = find_why(explained.project, explained.prediction["prediction_id"])
    moment = NOON + timedelta(days=1)
    label = Label(
        instance_key=found.row["instance_key"], revision=1, outcome=LABELLED, label=1.0, known_at=moment,
        recorded_at=datetime.now(UTC), clock=moment, data_md5="d",
    )  # fmt: skip
    record_labels(explained.project.settings, [label])
    assert "label           sold_out = 1, known at 2020-07-02 12:00 UTC, revision 1" in text_of(explained)


def test_a_number_that_is_not_the_logged_one_is_told(explained):
    name = explained.prediction["prediction_id"]
    with closing(sqlite3.connect(explained.project.settings.prediction_log_file)) as log, log:
        ((old,),) = log.execute("SELECT prediction FROM predictions WHERE prediction_id = ?", (name,)).fetchall()
        log.execute("UPDATE predictions SET prediction = 0.123 WHERE prediction_id = ?", (name,))
    assert "NOT what was logged" in text_of(explained)
    with closing(sqlite3.connect(explained.project.settings.prediction_log_file)) as log, log:
        log.execute("UPDATE predictions SET prediction = ? WHERE prediction_id = ?", (old, name))


def test_a_model_of_before_profiles_is_recomputed_all_the_same(tmp_path):
    text = text_of(explain(tmp_path, "classification", has_profile=False))
    assert "the same, from the logged features" in text
    assert "what drove it   not known: the model was registered before" in text


@pytest.mark.parametrize(
    ("given", "said"),
    [("", "PREDICTION is missing: make why PREDICTION="), ("f" * 32, "which is none of the 1 predictions in the log")],
)
def test_no_such_prediction_is_one_line(explained, monkeypatch, capsys, given, said):
    monkeypatch.setenv("FLIGHTLINE_ROOT", str(explained.project.settings.root))
    assert why.main(["--prediction", given]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1
