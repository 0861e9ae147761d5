"""Optuna: a study kept in one SQLite file, so that a later call goes on where the last one ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import optuna

from flightline.training.search import Tried
from flightline.training.zoo.entry import Range

Report = Callable[[int, float], None]
Objective = Callable[[Mapping[str, float | int], Report], Tried]

UNPRUNED_TRIALS = 5


@dataclass(frozen=True)
class TrialSummary:
    """A finished trial, and the best so far.

    Parameters
    ----------
    number
        Counted over all calls, from 0.
    loss
        Mean over the folds; over the first ones only if it was pruned.
    is_pruned
        Given up after some folds, since it was worse than the median of the others.
    best_loss
        Of all complete trials; None before the first.
    seconds
        What it took.
    """

    number: int
    loss: float
    is_pruned: bool
    best_loss: float | None
    seconds: float


@dataclass(frozen=True)
class StudyResult:
    """The best settings of a study, with the iterations that belong to them."""

    settings: Mapping[str, float | int]
    loss: float
    trials: int


def run_study(
    file: Path,
    name: str,
    space: Mapping[str, Range],
    objective: Objective,
    trials: int,
    on_trial: Callable[[TrialSummary], None],
    *,
    seed: int,
    first: Mapping[str, float | int],
) -> StudyResult:
    """Run more trials of a study, made if it is new.

    Parameters
    ----------
    file
        The SQLite file; its folder is made.
    name
        Of the study: what the losses depend on, so that only like is compared with like.
    space
        What to search.
    objective
        From settings, and a function to report to after each fold, to what they came to.
    trials
        How many more.
    on_trial
        Called after each.
    seed
        Of the search.
    first
        Settings that a new study begins with: those in use, so that the best is never worse.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file.parent.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    try:
        study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
        # A sampler that began with the same seed again would repeat the trials of the last call.
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
        study.pruner = optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS)
        if not study.trials:
            study.enqueue_trial(dict(first))
        study.optimize(_as_optuna(space, objective), n_trials=trials, callbacks=[lambda s, t: on_trial(_summary(s, t))])
        best = study.best_trial
        settings = {**best.params, "max_iter": best.user_attrs["max_iter"]}
        return StudyResult(settings, float(study.best_value), len(study.trials))
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _as_optuna(space: Mapping[str, Range], objective: Objective) -> Callable[[optuna.Trial], float]:
    def run(trial: optuna.Trial) -> float:
        def report(step: int, loss: float) -> None:
            trial.report(loss, step)
            if trial.should_prune():
                raise optuna.TrialPruned

        tried = objective({name: _suggest(trial, name, one) for name, one in space.items()}, report)
        trial.set_user_attr("max_iter", tried.iterations)
        return tried.loss

    return run


def _suggest(trial: optuna.Trial, name: str, one: Range) -> float | int:
    if one.is_integer:
        return trial.suggest_int(name, int(one.low), int(one.high), log=True)
    return trial.suggest_float(name, one.low, one.high, log=True)


def _summary(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> TrialSummary:
    complete = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    best = min((float(one.value) for one in complete if one.value is not None), default=None)
    is_pruned = trial.state == optuna.trial.TrialState.PRUNED
    loss = list(trial.intermediate_values.values())[-1] if is_pruned else trial.value
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    return TrialSummary(trial.number, float(loss or 0.0), is_pruned, best, seconds)
