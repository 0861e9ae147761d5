"""Features of request and store together, from the training set to a served and rebuilt prediction, for both tasks."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flightline.core.errors import ServableError
from flightline.core.project import Project
from flightline.promotion.gate import Decision
from pipelines import batch
from pipelines.commands import request
from pipelines.common.progress import Stage
from pipelines.monitoring_steps.inputs import compare_columns
from pipelines.promotion_steps import servable
from pipelines.promotion_steps.champion import load_version
from pipelines.promotion_steps.gate import warnings_of
from pipelines.replay.parity import check_parity, read_log
from pipelines.steps import models
from pipelines.steps.summary import TrainingResult
from tests import toy_on_demand
from tests.serving.conftest import TestClient
from tests.support.clones import make_toy_clone
from tests.support.models.toy_flow import toy_training

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),
]
ADDED = ["hours_since_closing", "plan_over_usual", "plan_in_city"]
PACKAGE = '''
from dataclasses import replace
from tests import toy_on_demand

def is_served(requests):
    """Say so where no reference prediction is: they are of before the clock."""
    return isinstance(requests["opens"], list) and requests["as_of"][0] >= toy_on_demand.CLOCK

def on_demand(requests, features):
    {body}
    return toy_on_demand.on_demand(requests, features)

def make_project(settings):
    project = toy_on_demand.make_project(settings, {task!r})
    return replace(project, requests=replace(project.requests, on_demand=on_demand))
'''


@dataclass
class Trained:
    project: Project
    result: TrainingResult


@pytest.fixture(scope="module")
def write_package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Writes a problem package, which other processes find too, and gives its name."""
    folder, written = tmp_path_factory.mktemp("packages"), 0

    def write(task: str, body: str = "pass") -> str:
        nonlocal written
        written += 1
        (folder / f"on_demand_{written}.py").write_text(PACKAGE.format(task=task, body=body), encoding="utf-8")
        return f"on_demand_{written}"

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield write


@pytest.fixture(scope="module", params=["classification", "regression"])
def trained(
    request: pytest.FixtureRequest,
    server: None,
    write_package: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Trained]:
    settings = make_toy_clone(tmp_path_factory.mktemp("on demand")).settings
    toy_on_demand.write_feature_repo(settings.root)
    package = write_package(request.param)
    project = toy_on_demand.make_project(settings.model_copy(update={"problem_package": package}), request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLIGHTLINE_PROBLEM_PACKAGE", package)
        yield Trained(project, toy_training(project))


def with_on_demand(project: Project, function: Callable[..., Any]) -> Project:
    return replace(project, requests=replace(project.requests, on_demand=function))


def ask(project: Project, *instances: dict[str, Any]) -> list[dict[str, Any]]:
    from serving.app import create_app

    with TestClient(create_app(project)) as client:
        url = f"/v1/models/{project.problem.model_name}:predict"
        answer = client.post(url, json={"instances": list(instances)})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["predictions"])


def value_of(project: Project, answer: dict[str, Any]) -> float:
    return float(answer["probability" if project.problem.task == "classification" else project.problem.label])


def test_they_are_trained_on_judged_and_explained(trained: Trained) -> None:
    result = trained.result
    assert result.verdict.decision is Decision.PROMOTE, result.verdict.reasons
    assert result.verdict.warnings == ()
    features = pd.read_parquet(result.training_set.features_file)
    assert list(features.columns[-3:]) == ADDED
    assert "closed_at" not in features  # withheld: a moment that only grows
    assert 0 < features["plan_over_usual"].isna().mean() < 0.5  # a shop that has just opened has no usual day
    assert features["hours_since_closing"].dropna().min() >= 0
    for file in ("importance.csv", models.ALONE_FILE):
        assert set(ADDED) <= set(pd.read_csv(result.evaluation.folder / file)["feature"])


def test_what_is_served_is_rebuilt_and_scored_in_a_batch_as_it_was(trained: Trained, tmp_path: Path) -> None:
    project = trained.project
    first = request.next_instance(project)
    later = (datetime.fromisoformat(first["opens"]) + timedelta(days=3)).isoformat()
    asked = [first, first | {"opens": later}, first | {"shop": None}]
    answers = ask(project, *asked)
    assert "Answered early" in answers[1]["notes"][0]
    assert [value_of(project, answer) for answer in answers] == [
        value_of(project, ask(project, one)[0]) for one in asked
    ]
    report = check_parity(project)
    model = load_version(project, trained.result.registered.version)
    assert (report.predictions, report.features, report.mismatches) == (6, 6 * len(model.kinds), ())
    assert set(ADDED) <= model.kinds.keys()
    ((logged, _),) = read_log(project.settings)
    learned = pd.read_parquet(trained.result.training_set.features_file)
    assert compare_columns(logged["features"], list(learned)) is None  # what monitoring looks at
    file = tmp_path / "requests.csv"
    pd.DataFrame(asked).to_csv(file, index=False)
    scored = batch.score(project, model, batch.requests_of(project, file), Stage("score"))
    assert scored["prediction"].tolist() == [value_of(project, answer) for answer in answers]


def test_another_value_online_than_offline_is_found_by_parity(trained: Trained) -> None:
    """Only what the service is asked comes as lists, and no reference prediction is of the clock."""
    project = trained.project

    def otherwise(requests: Any, features: Any) -> dict[str, np.ndarray]:
        right = toy_on_demand.on_demand(requests, features)
        is_served = isinstance(requests["opens"], list) and requests["as_of"][0] >= toy_on_demand.CLOCK
        return right | {"hours_since_closing": right["hours_since_closing"] + is_served}

    (answer,) = ask(with_on_demand(project, otherwise), request.next_instance(project))
    found = [one for one in check_parity(project).mismatches if one.what != "prediction"]
    assert [(one.prediction_id, one.what) for one in found] == [(answer["prediction_id"], "hours_since_closing")]
    assert found[0].logged == found[0].rebuilt + 1


def check_servable_with(trained: Trained, package: str) -> None:
    project = trained.project.at(trained.project.settings.model_copy(update={"problem_package": package}))
    examples = project.settings.features_dir / "current" / "examples" / "examples.parquet"
    servable.check_servable.fn(project, examples, trained.result.registered)


@pytest.mark.parametrize("trained", ["classification"], indirect=True)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "requests['opens'].dt.hour",
            r"AttributeError: 'list' object has no attribute 'dt' \(.*on_demand_\d+\.py, line 10, in on_demand\)",
        ),
        (
            "features = dict(features) | {'closed_at': features['closed_at'] - 3600 * is_served(requests)}",
            r"example .*: hours_since_closing is (.*)\.0 in training and .*\.0 in the service; both must come from one",
        ),
    ],
    ids=["takes no lists", "gives another value"],
)
def test_what_cannot_be_served_or_is_served_otherwise_is_not_promoted(
    trained: Trained, write_package: Callable[..., str], body: str, said: str
) -> None:
    package = write_package(trained.project.problem.task, body)
    with pytest.raises(ServableError, match=said):
        check_servable_with(trained, package)


def test_a_leak_does_not_hide_behind_what_is_made_of_it(trained: Trained, tmp_path: Path) -> None:
    table = pd.read_csv(trained.result.evaluation.folder / models.ALONE_FILE)
    gains = table["gain"] / 10
    gains[table["feature"].isin(["planned", *ADDED])] = 0.9
    table.assign(gain=gains).sort_values("gain", ascending=False).to_csv(tmp_path / models.ALONE_FILE, index=False)
    evaluation = replace(trained.result.evaluation, folder=tmp_path)
    (warning,) = warnings_of(trained.project, trained.result.training_set, evaluation)
    assert warning.startswith("planned alone takes away 90% of a constant's loss")
