"""A search over a small training set, with what it found; and a fit whose first worker process is lost."""

import os
from pathlib import Path

import optuna
import pytest

from flightline.core.settings import Settings
from flightline.training.fit import TrainingParameters
from pipelines import tuning
from pipelines.common.artifacts import TrainingSet
from pipelines.steps.folds import fit_fold
from tests.support.small_training_set import small_project

PARAMETERS = TrainingParameters(max_iterations=20)
TRIALS = 12  # the first 10 are random, and from the sixth on some are given up
KILLED = "killed"


def found(root: Path, training_set: TrainingSet, *calls: int, **settings: object) -> list[object]:
    """Search in so many calls; gives what is best, and of each trial its settings, loss and state."""
    project = small_project(Settings(root=root, **settings), "classification")
    for trials in calls or (TRIALS,):
        study = tuning.search.fn(project, PARAMETERS, training_set, trials).study
    return [study, *trials_of(root, training_set)]


def trials_of(root: Path, training_set: TrainingSet) -> list[object]:
    """Give settings, loss and state of each finished trial."""
    problem = small_project(Settings(root=root), "classification").problem
    study = optuna.load_study(
        study_name=tuning.study_name(problem, PARAMETERS, training_set),
        storage=f"sqlite:///{root / '.state' / 'optuna' / 'studies.db'}",
    )
    trials = [(trial.params, trial.value, trial.state) for trial in study.trials if trial.state.is_finished()]
    study._storage._backend.engine.dispose()
    return trials


def lose_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next search lose the process of one of its fits, in the midst of it."""
    monkeypatch.setattr(tuning, "fit_fold", fit_fold_but_once)


def fit_fold_but_once(problem, parameters, training_set, settings, fold):
    """Fit a fold; the first process that comes to the second fold ends, as one does that is killed."""
    try:
        if fold == 1:
            (training_set.folder / KILLED).touch(exist_ok=False)
            os._exit(9)
    except FileExistsError:
        pass
    return fit_fold(problem, parameters, training_set, settings, fold)
