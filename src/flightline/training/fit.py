"""Fitting: choose on the validation window, then refit on everything before the test window."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from flightline.core.errors import TrainingError
from flightline.core.problem_spec import Task
from flightline.evaluation.metrics import primary_loss
from flightline.inference.predict import answer_of, predict
from flightline.training.calibration import NONE, check_calibration, fit_map, with_map
from flightline.training.cut_rows import Features, Rows, Window
from flightline.training.early_stopping import check_stopping
from flightline.training.preprocessing import Columns
from flightline.training.row_checks import as_target, check_finite, check_labels, check_values, feature_columns
from flightline.training.zoo import FEW_ROWS, find_model
from flightline.training.zoo.entry import Setting, Stages, ZooModel

STAGES_APART = 10


Loss = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class TrainingParameters:
    """What is to be learned, apart from where it runs; logged to MLflow as it is.

    Parameters
    ----------
    model
        A name of `models.ZOO` for the problem's task.
    seed
        Seeds everything random.
    max_iterations
        The most boosting iterations tried on the validation window.
    patience
        Boosting goes no further after so many iterations without a better loss on the
        validation window.
    settings
        Name and value of settings that are given, for example by `make tune`; they take the
        place of those the zoo would try.
    pca_components
        Put so many principal components in the place of the scaled numbers; None: off.
    kmeans_segments
        Add the distances to so many k-means centres as features; None: off.
    calibrations
        Maps of the probabilities to try: sigmoid, isotonic; none is always one of them.
    """

    model: str = "hist_gradient_boosting"
    seed: int = 0
    max_iterations: int = 140
    patience: int = 30
    settings: tuple[tuple[str, Setting], ...] = ()
    pca_components: int | None = None
    kmeans_segments: int | None = None
    calibrations: tuple[str, ...] = ("sigmoid", "isotonic")

    def steps(self) -> dict[str, int]:
        """Give the steps that are switched on, with their sizes."""
        asked = {"pca_components": self.pca_components, "kmeans_segments": self.kmeans_segments}
        return {name: size for name, size in asked.items() if size}


@dataclass(frozen=True)
class FittedModel:
    """A fitted pipeline, and how it came to its settings.

    Parameters
    ----------
    pipeline
        Fitted on everything before the test window.
    chosen
        The settings chosen on the validation window.
    validation_losses
        By the settings tried, the primary metric on the validation window, uncalibrated;
        models without a choice have one.
    validation_loss
        Of what was chosen, calibrated if it is: what models are compared by.
    calibration
        none, sigmoid or isotonic.
    calibration_losses
        On the later half of the validation window, by calibration learned on the earlier; see
        `calibration.check_calibration`.
    """

    pipeline: Pipeline
    chosen: Mapping[str, Setting]
    validation_losses: Mapping[str, float]
    validation_loss: float
    calibration: str
    calibration_losses: Mapping[str, float]


@dataclass(frozen=True)
class _Trial:
    settings: Mapping[str, Setting]
    loss: float
    predicted: np.ndarray  # of the validation rows


@dataclass(frozen=True)
class _Plan:
    task: Task
    parameters: TrainingParameters
    model: ZooModel
    columns: Columns
    loss: Loss

    def candidates(self, rows: int) -> list[Mapping[str, Setting]]:
        if self.parameters.settings:
            return [dict(self.parameters.settings)]
        return [*self.model.tried, *(self.model.tried_on_few_rows if rows < FEW_ROWS else ())]

    def build(self, settings: Mapping[str, Setting]) -> Pipeline:
        return _build(self.model, self.columns, self.parameters.seed, self._all(settings))

    def fit(self, settings: Mapping[str, Setting], window: Window) -> Pipeline:
        seed = self.parameters.seed
        return fit_pipeline(self.model, self.columns, seed, self._all(settings), window.features, window.target)

    def _all(self, settings: Mapping[str, Setting]) -> Mapping[str, Setting]:
        return {**settings, **self.parameters.steps()}


def fit(
    parameters: TrainingParameters,
    features: Features,
    label: pd.Series,
    masks: Mapping[str, pd.Series],
    *,
    task: Task,
    metric: str,
    classes: Sequence[str] = (),
) -> FittedModel:
    """Choose the settings on the validation window and refit with them.

    Parameters
    ----------
    parameters
        What to fit.
    features
        One row an example, in the order of their prediction times; float64 and text columns. Windows are cut out one
        at a time, so that what reads them of a file holds no more than it must.
    label
        0 or 1 in a classification, the number of the class in a multiclass problem, a number in a regression; missing
        where unknown.
    masks
        Rows by name, as `windows.split` gives them; the test rows are not looked at.
    task, metric, classes
        Of the problem: its kind, the metric in which settings are compared, and the classes it names.

    Raises
    ------
    TrainingError
        If the model, a step or the metric is not of the task, a window to learn from has no
        labels to learn from, or a feature has no value in it.
    """
    model, loss = find_model(task, parameters.model), primary_loss(task, metric)
    check_steps(parameters, model)
    rows = Rows(task, features, label)
    plan = _Plan(task, parameters, model, _checked_columns(rows, masks, classes), loss)
    tried = list(_try_settings(plan, rows.of(masks["fit"]), rows.of(masks["validation"])))
    best = min(tried, key=lambda trial: trial.loss)
    pipeline = plan.fit(best.settings, rows.of(masks["refit"]))
    losses = {_in_words(trial.settings): trial.loss for trial in tried}
    if task == "regression" or model.is_baseline:
        return FittedModel(pipeline, best.settings, losses, best.loss, NONE, {})
    truth = as_target(task, label[masks["validation"]]).to_numpy()
    check = check_calibration(
        parameters.calibrations,
        best.predicted,
        truth,
        loss,
        partial(_refitted_on_half, plan, best.settings, rows, masks["fit"], masks["validation"]),
    )
    if check.method != NONE:
        pipeline = with_map(pipeline, fit_map(check.method, best.predicted, truth))
    calibrated = loss(truth, check.calibrated)
    return FittedModel(pipeline, best.settings, losses, calibrated, check.method, check.losses)


def _checked_columns(rows: Rows, masks: Mapping[str, pd.Series], classes: Sequence[str]) -> Columns:
    columns = feature_columns(rows.of(masks["fit"]).features)
    check_finite(rows.of(masks["refit"]).features)
    check_values(rows.of(masks["fit"]).features)
    for window in ("fit", "refit"):
        check_labels(rows.task, rows.label[masks[window]], window, classes)
    return columns


def _refitted_on_half(
    plan: _Plan,
    settings: Mapping[str, Setting],
    rows: Rows,
    before: pd.Series,
    validation: pd.Series,
    earlier: np.ndarray,
    later: np.ndarray,
) -> np.ndarray:
    """Predict the later rows of the validation window by what is learned of the earlier ones and all before."""
    known, asked = before.to_numpy(copy=True), np.zeros(len(before), dtype=bool)
    positions = np.flatnonzero(validation)
    known[positions[earlier]] = asked[positions[later]] = True
    return predict(plan.task, plan.fit(settings, rows.of(known)), rows.of(asked).features)


def validation_losses(
    parameters: TrainingParameters,
    features: Features,
    label: pd.Series,
    before: pd.Series,
    later: pd.Series,
    *,
    task: Task,
    metric: str,
    classes: Sequence[str] = (),
) -> list[tuple[Mapping[str, Setting], float]]:
    """Fit on some rows and give the loss on later ones, for all settings tried, without a refit.

    Parameters
    ----------
    parameters, features, label, task, metric, classes
        As for `fit`.
    before, later
        Which rows to fit on, and which to judge on.

    Raises
    ------
    TrainingError
        As `fit`.
    """
    model, loss = find_model(task, parameters.model), primary_loss(task, metric)
    check_steps(parameters, model)
    check_labels(task, label[before], "earlier", classes)
    rows = Rows(task, features, label)
    known = rows.of(before)
    plan = _Plan(task, parameters, model, feature_columns(known.features), loss)
    return [(trial.settings, trial.loss) for trial in _try_settings(plan, known, rows.of(later))]


def fit_pipeline(
    model: ZooModel,
    columns: Columns,
    seed: int,
    settings: Mapping[str, Setting],
    features: pd.DataFrame,
    target: pd.Series,
) -> Pipeline:
    """Build a model of the zoo and fit it on rows in the order of time, or on the newest of them.

    Raises
    ------
    TrainingError
        If it would stop early by a random split of them, or a class is not among the newest.
    """
    rows = model.newest_rows or len(target)
    pipeline, encoded, learned = _build(model, columns, seed, settings), features.tail(rows), target.tail(rows)
    del features
    for _, step in pipeline.steps[:-1]:
        encoded = step.fit_transform(encoded, learned)  # frees the frame, where the caller has not kept it
    pipeline[-1].fit(encoded, learned)
    if len(getattr(pipeline, "classes_", ())) not in (0, target.nunique()):
        raise TrainingError(
            f"a class has no row among the newest {rows:,}, which is all that this model learns from; train another, "
            "or leave the class out"
        )
    return pipeline


def _build(model: ZooModel, columns: Columns, seed: int, settings: Mapping[str, Setting]) -> Pipeline:
    pipeline = model.build(columns, seed, **settings)
    check_stopping(pipeline)
    return pipeline


def check_steps(parameters: TrainingParameters, model: ZooModel) -> None:
    """Refuse steps that a model cannot take.

    Raises
    ------
    TrainingError
        Naming them.
    """
    wrong = sorted(set(parameters.steps()) - model.steps)
    if wrong:
        raise TrainingError(
            f"{parameters.model} cannot take {', '.join(wrong)}, only: {', '.join(sorted(model.steps)) or 'no step'}"
        )


def _in_words(settings: Mapping[str, Setting]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items()) or "default"


def _try_settings(plan: _Plan, before: Window, later: Window) -> Iterator[_Trial]:
    truth = later.target.to_numpy()
    for settings in plan.candidates(len(before.target)):
        if plan.model.stages and "max_iter" not in settings:
            for iterations, predicted in _stages(plan, plan.model.stages, settings, before, later):
                yield _Trial({**settings, "max_iter": iterations}, plan.loss(truth, predicted), predicted)
        else:
            predicted = predict(plan.task, plan.fit(settings, before), later.features)
            yield _Trial(settings, plan.loss(truth, predicted), predicted)


def _stages(
    plan: _Plan, stages: Stages, settings: Mapping[str, Setting], before: Window, later: Window
) -> Iterator[tuple[int, np.ndarray]]:
    """Fit once and give the predictions of the later rows after every tenth iteration, and after the last."""
    pipeline = plan.build({**settings, "max_iter": plan.parameters.max_iterations})
    encode, estimator = pipeline[:-1], pipeline[-1]
    encoded, later_encoded = encode.fit_transform(before.features, before.target), encode.transform(later.features)
    rows, held = (encoded, before.target), (later_encoded, later.target.to_numpy())
    for iteration, output in stages(estimator, rows, held, plan.parameters.patience, STAGES_APART):
        yield iteration, answer_of(plan.task, output)
