"""The search on a small made-up training set: kept in a file, gone on with, and of use to a training."""

import inspect
import json
from dataclasses import replace

import pytest

from flightline.core.errors import TrainingError
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.training.fit import TrainingParameters
from flightline.training.search import space_of
from flightline.training.zoo.scikit_learn import hist_gradient_boosting
from pipelines.common.training_options import read_settings
from pipelines.tuning import TuningResult, run_tuning, search, settings_in_use, study_name
from tests.support.small_training_set import small_problem, small_project, write_training_set

PROBLEM = small_problem("classification")
PARAMETERS = TrainingParameters(max_iterations=20)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return small_project(Settings(root=tmp_path_factory.mktemp("tuning")), "classification")


@pytest.fixture(scope="module")
def training_set(tmp_path_factory):
    return write_training_set(tmp_path_factory.mktemp("tuning") / "training_set", "classification")


@pytest.fixture(scope="module")
def first(project, training_set) -> TuningResult:
    return search.fn(project, PARAMETERS, training_set, 2)


def test_a_study_begins_with_the_settings_in_use_and_never_ends_worse(first, project, training_set, capsys):
    unchanged = replace(first, study=search.fn(project, PARAMETERS, training_set, 1).study)
    assert unchanged.study.loss <= first.study.loss
    in_use = inspect.signature(hist_gradient_boosting).parameters
    assert settings_in_use(PROBLEM, "hist_gradient_boosting")["learning_rate"] == in_use["learning_rate"].default
    assert set(first.study.settings) == {*space_of(PROBLEM.task, "hist_gradient_boosting"), "max_iter"}


def test_a_second_call_goes_on_and_prints_each_trial(first, project, training_set, capsys):
    before = search.fn(project, PARAMETERS, training_set, 1).study.trials
    capsys.readouterr()
    again = search.fn(project, PARAMETERS, training_set, 2)
    assert again.study.trials == before + 2
    printed = capsys.readouterr().out
    assert f"trial {before}: log_loss " in printed
    assert f"trial {before + 1}: log_loss " in printed
    assert printed.count("best 0.") == 2


def test_trials_do_not_repeat_those_of_the_last_call(first, project, training_set):
    import optuna

    study = optuna.load_study(
        study_name=study_name(PROBLEM, PARAMETERS, training_set),
        storage=f"sqlite:///{project.settings.state_dir / 'optuna' / 'studies.db'}",
    )
    tried = [tuple(trial.params.values()) for trial in study.trials]
    assert len(set(tried)) == len(tried)
    study._storage._backend.engine.dispose()


def test_the_best_settings_are_written_for_a_training(first):
    model, settings = read_settings(first.file)
    assert model == "hist_gradient_boosting"
    assert settings == json.loads(first.file.read_text())["settings"]
    for name, one in space_of(PROBLEM.task, model).items():
        assert one.low <= settings[name] <= one.high


def test_other_data_or_another_seed_is_another_study(training_set):
    names = {
        study_name(PROBLEM, PARAMETERS, training_set),
        study_name(PROBLEM, PARAMETERS, replace(training_set, key="other")),
        study_name(PROBLEM, replace(PARAMETERS, seed=1), training_set),
    }
    assert len(names) == 3


@pytest.mark.parametrize(
    ("parameters", "trials", "message"),
    [
        (PARAMETERS, 0, "TRIALS must be 1 or more, got 0"),
        (TrainingParameters(model="decision_tree"), 1, "no search space for 'decision_tree'"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_done(project, parameters, trials, message):
    with pytest.raises(TrainingError, match=message):
        run_tuning(project, parameters, trials)


def test_how_many_are_drawn_at_once_is_one_or_more(project):
    with pytest.raises(TrainingError, match="AT_ONCE must be 1 or more, got 0"):
        run_tuning(project, PARAMETERS, 1, 0)
