"""Optuna: a study kept in one SQLite file, so that a later call goes on where the last one ended.

https://optuna.readthedocs.io/en/stable/tutorial/20_recipes/009_ask_and_tell.html
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import TrialState

from flightline.training.search import Curve, best_iterations
from flightline.training.zoo.entry import Range

Chosen = Mapping[str, float | int]
FitAll = Callable[[Sequence[tuple[Chosen, int]]], Sequence[tuple[Curve, float]]]

UNPRUNED_TRIALS = 5
AT_ONCE = 4


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
        What its fits took, one after another.
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


@dataclass
class _Running:
    """A trial whose folds are being judged, one after another."""

    trial: optuna.Trial
    chosen: Chosen
    curves: list[Curve]
    seconds: float = 0.0


def run_study(
    file: Path,
    name: str,
    space: Mapping[str, Range],
    fit_all: FitAll,
    folds: int,
    trials: int,
    on_trial: Callable[[TrialSummary], None],
    *,
    seed: int,
    first: Chosen,
    at_once: int = AT_ONCE,
) -> StudyResult:
    """Run more trials of a study, made if it is new.

    Trials are drawn some at a time, by the finished ones alone, and given up by those alone. So the same trials come
    out however many fits run side by side; a call that was ended draws again what it had not finished.

    Parameters
    ----------
    file
        The SQLite file; its folder is made.
    name
        Of the study: what the losses depend on, so that only like is compared with like.
    fit_all
        From pairs of settings and the number of a fold to the losses by iterations, and the seconds it took.
    trials
        How many more.
    first
        Settings that a new study begins with: those in use, so that the best is never worse.
    at_once
        How many are drawn before the loss of any of them is known.
    """
    with _opened_study(file, name) as study:
        for begun in range(0, trials, at_once):
            drawn = _draw(study, space, min(at_once, trials - begun), seed, first)
            for finished in _judge(study, drawn, fit_all, folds):
                on_trial(finished)
        best = study.best_trial
        settings = {**best.params, "max_iter": best.user_attrs["max_iter"]}
        return StudyResult(settings, float(study.best_value), len(_finished(study)))


@contextmanager
def _opened_study(file: Path, name: str) -> Iterator[optuna.Study]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file.parent.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    try:
        yield optuna.create_study(
            storage=storage,
            study_name=name,
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS),
        )
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _draw(study: optuna.Study, space: Mapping[str, Range], count: int, seed: int, first: Chosen) -> list[_Running]:
    finished = len(_finished(study))
    # A sampler that began with the same seed again would repeat the trials before.
    study.sampler = optuna.samplers.TPESampler(seed=seed + finished)
    if not finished:
        study.enqueue_trial(dict(first))
    asked = [study.ask() for _ in range(count)]
    return [_Running(trial, {name: _suggest(trial, name, one) for name, one in space.items()}, []) for trial in asked]


def _judge(study: optuna.Study, drawn: Sequence[_Running], fit_all: FitAll, folds: int) -> list[TrialSummary]:
    """Judge trials fold by fold; one that is worse than the median of the finished ones is given up."""
    going = list(drawn)
    for fold in range(folds):
        fits = fit_all([(running.chosen, fold) for running in going])
        for running, (curve, seconds) in zip(going, fits, strict=True):
            running.curves.append(curve)
            running.seconds += seconds
            running.trial.report(best_iterations(running.curves).loss, fold)
        going = [running for running in going if not running.trial.should_prune()]
    return [_tell(study, running, is_pruned=running not in going) for running in drawn]


def _tell(study: optuna.Study, running: _Running, is_pruned: bool) -> TrialSummary:
    best = best_iterations(running.curves)
    running.trial.set_user_attr("max_iter", best.iterations)
    study.tell(running.trial, None if is_pruned else best.loss, TrialState.PRUNED if is_pruned else TrialState.COMPLETE)
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    least = min((float(trial.value) for trial in complete if trial.value is not None), default=None)
    return TrialSummary(running.trial.number, best.loss, is_pruned, least, running.seconds)


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED])


def _suggest(trial: optuna.Trial, name: str, one: Range) -> float | int:
    if one.is_integer:
        return trial.suggest_int(name, int(one.low), int(one.high), log=True)
    return trial.suggest_float(name, one.low, one.high, log=True)
