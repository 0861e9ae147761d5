"""MODEL=all on a small made-up training set of either task: the choice, the table, and the nested runs."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from flightline.adapters.mlflow import registry
from flightline.core.errors import TrainingError
from flightline.core.lineage import Lineage
from flightline.core.problem_spec import Task
from flightline.core.settings import Settings
from flightline.training.fit import TrainingParameters
from flightline.training.zoo import ZOO
from pipelines.steps import compare as comparison
from pipelines.steps import models
from pipelines.steps.compare import Trained
from tests.support.small_training_set import run_in_flow, small_problem, small_project, write_training_set

pytestmark = pytest.mark.system
LINEAGE = Lineage("commit", False, "data", "service", "features", "lock", 0)


@pytest.fixture(scope="module", params=ZOO)
def compared(request, server: None, tmp_path_factory: pytest.TempPathFactory):
    """All models of a task, compared, and the best of them registered."""
    task = request.param
    folder: Path = tmp_path_factory.mktemp("comparison")
    project = small_project(Settings(root=folder), task)
    training_set = write_training_set(folder / "training_set", task)
    asked = comparison.models_asked(project.problem, TrainingParameters(model="all", max_iterations=20))

    def story() -> tuple[list[Trained], str, str]:
        ranked = comparison.train_each(project, asked, training_set)
        best = ranked[0]
        made = models.register_model(project, best.parameters, LINEAGE, training_set, best.model, best.evaluation)
        parent = comparison.log_comparison(project, training_set, ranked, made.run_id)
        again = comparison.log_comparison(project, training_set, ranked, made.run_id)
        return ranked, made.run_id, parent, again

    return project.problem, project.settings, *run_in_flow(story)


def installed(task: Task, reads_series: tuple[bool, ...] = (False,)) -> list[str]:
    models = ZOO[task].items()
    return [name for name, model in models if not model.missing_packages and model.reads_series in reads_series]


def test_all_models_are_trained_and_the_best_on_validation_is_first(compared):
    problem, _, ranked, *_ = compared
    assert sorted(one.parameters.model for one in ranked) == sorted(installed(problem.task))
    losses = [one.model.validation_loss for one in ranked]
    assert losses == sorted(losses)
    assert ranked[-1].model.validation_loss > ranked[0].model.validation_loss


def test_one_version_is_made_and_the_runs_are_nested_in_one_parent(compared):
    problem, settings, ranked, registered, parent, _ = compared
    client = registry.connect(settings)
    assert len(client.search_model_versions(f"name = '{problem.model_name}'")) == 1
    experiment = client.get_run(parent).info.experiment_id
    nested = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert sorted(run.info.run_name for run in nested) == sorted(installed(problem.task))
    assert registered in {run.info.run_id for run in nested}
    assert {run.info.status for run in nested} == {"FINISHED"}
    metric = f"validation_{problem.primary_metric}"
    assert client.get_run(parent).data.metrics[metric] == min(run.data.metrics[metric] for run in nested)
    assert client.get_run(parent).data.params["chosen.model"] == ranked[0].parameters.model


def test_a_comparison_again_leaves_the_first_as_it_was(compared):
    problem, settings, _, registered, parent, again = compared
    client = registry.connect(settings)
    experiment = client.get_run(parent).info.experiment_id
    for run, has_registered in ((parent, True), (again, False)):
        nested = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run}'")
        assert len(nested) == len(installed(problem.task))
        assert (registered in {one.info.run_id for one in nested}) == has_registered


def test_each_run_holds_its_parameters_and_the_pictures_of_the_task(compared):
    problem, settings, _, registered, *_ = compared
    client = registry.connect(settings)
    run = client.get_run(registered)
    assert run.data.params["calibration"] in ("none", "sigmoid", "isotonic")
    assert {f"test_{problem.primary_metric}", f"validation_{problem.primary_metric}"} <= set(run.data.metrics)
    files = {Path(file.path).name for file in client.list_artifacts(registered, "evaluation")}
    own = {
        "classification": {"roc.png", "precision_recall.png"},
        "multiclass": {"confusion.png"},
        "regression": {"residuals.png"},
    }[problem.task]
    shared = {"calibration.png", "slices.png", "importance.png", "partial_dependence.png"}
    tables = {"calibration.csv", "slices.csv", "importance.csv", "partial_dependence.csv", "validation.json"}
    assert own | shared | tables <= files


def test_the_number_that_the_label_follows_is_the_most_important(compared):
    _, _, ranked, *_ = compared
    importance = pd.read_csv(ranked[0].evaluation.folder / "importance.csv").set_index("feature")["importance"]
    assert importance.idxmax() == "first"
    assert importance["second"] < importance["first"] / 10


PARAMETERS = TrainingParameters(model="all", pca_components=2, kmeans_segments=3)


@pytest.mark.parametrize("task", ZOO)
def test_steps_are_switched_on_for_the_models_that_can_take_them(task):
    asked = comparison.models_asked(small_problem(task), PARAMETERS)
    assert [one.model for one in asked] == installed(task, (False, True))
    for one in asked:
        assert set(one.steps()) == ZOO[task][one.model].steps


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (replace(PARAMETERS, settings=(("max_iter", 3),)), "settings that were given are of one model"),
        (replace(PARAMETERS, model="random_forest"), "random_forest cannot take pca_components"),
        (TrainingParameters(model="forest"), "no classification model is named 'forest'"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_done(parameters, message):
    with pytest.raises(TrainingError, match=message):
        comparison.models_asked(small_problem("classification"), parameters)


def test_the_table_names_every_model_and_metric(compared):
    problem, _, ranked, *_ = compared
    rows = comparison._rows(problem, ranked)
    assert list(rows["model"]) == [one.parameters.model for one in ranked]
    assert f"validation {problem.primary_metric}" in rows
    assert {f"test {name}" for name in ranked[0].evaluation.metrics} <= set(rows)
    assert comparison._as_table(rows, problem).row_count == len(ranked)


@pytest.mark.parametrize(
    ("models", "columns", "suited"),
    [
        (["base_rate", "keras_gru"], ["units"], ["base_rate"]),
        (["base_rate", "keras_gru"], ["units", "sold_lag_1"], ["base_rate", "keras_gru"]),
        (["keras_gru"], ["units"], ["keras_gru"]),  # the fit then says what it lacks
    ],
)
def test_of_many_models_those_that_read_series_are_left_out_where_there_is_none(models, columns, suited, monkeypatch):
    monkeypatch.setattr("flightline.training.zoo.entry.find_spec", lambda name: name)
    asked = [TrainingParameters(model=name) for name in models]
    assert [one.model for one in comparison.suited_to("classification", asked, columns)] == suited


def test_of_all_models_one_without_its_package_is_left_out_and_named(monkeypatch, capsys):
    monkeypatch.setattr("flightline.training.zoo.entry.find_spec", lambda name: None)
    asked = comparison.models_asked(small_problem("classification"), TrainingParameters(model="all"))
    assert {one.model for one in asked} == {name for name, model in ZOO["classification"].items() if not model.packages}
    lacking = [name for name, model in ZOO["classification"].items() if model.packages]
    assert f"without {', '.join(lacking)}, whose packages are not installed" in capsys.readouterr().out
    with pytest.raises(TrainingError, match="lightgbm needs the package lightgbm, which this environment lacks"):
        comparison.models_asked(small_problem("classification"), TrainingParameters(model="lightgbm"))
