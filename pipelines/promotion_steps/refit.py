"""The last step before serving, where the problem asks for it: what was promoted, fitted anew up to the newest label.

What the gate judged is the procedure: its model learned from what lies before the test window. Here the same settings
learn from everything that is labelled. Nothing is left to judge that model on, so it is tried one step earlier: learned
up to the middle of the test window, is it worse on the rest than the model that was judged? Then that one stays.
"""

from dataclasses import asdict, dataclass, replace
from datetime import datetime

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from flightline.adapters.files.parquet_rows import read_rows
from flightline.adapters.model_store.model_file import MODEL_FILE, load_model, save_model
from flightline.core.lineage import Lineage
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.evaluation.bootstrap import Improvement, daily_losses, paired_improvement
from flightline.evaluation.losses import row_losses
from flightline.inference.predict import predict_with
from flightline.training.fit import TrainingParameters
from flightline.training.splits import split_until
from pipelines.common.artifacts import EvaluationFile, FittedFile, Registered, TrainingSet
from pipelines.common.cached_step import cached_step
from pipelines.common.progress import stage
from pipelines.promotion_steps.champion import fetch_champion, promote_version
from pipelines.steps.folds import fit_on
from pipelines.steps.models import read_held_out, register_model
from pipelines.steps.profile import write_profile
from pipelines.steps.reference_predictions import write_reference_predictions


@dataclass(frozen=True)
class Trial:
    """What newer rows were worth in the later half of the test window.

    Parameters
    ----------
    learned_until
        Where the half that the trial learned from ends.
    rows
        Of the half it was judged on.
    improvement
        On the model that the gate judged, on the same rows.
    """

    learned_until: datetime
    rows: int
    improvement: Improvement

    @property
    def is_worse(self) -> bool:
        """Whether newer rows made it credibly worse."""
        return self.improvement.upper < 0

    def __str__(self) -> str:
        gain = self.improvement
        return (
            f"learned up to {self.learned_until:%Y-%m-%d}, its mean loss on the {self.rows:,} test rows after that is "
            f"lower by {gain.estimate:+.5f} ({gain.lower:+.5f} to {gain.upper:+.5f})"
        )


@cached_step
def try_newer_rows(
    key: str,
    settings: Settings,
    problem: Problem,
    parameters: TrainingParameters,
    model: FittedFile,
    training_set: TrainingSet,
    confidence: float,
) -> Trial:
    """Learn up to the middle of the test window, and compare on the rest with the model that was judged."""
    rows = read_held_out(problem, training_set)
    times = rows.examples["event_timestamp"]
    middle = times.min() + (times.max() - times.min()) / 2
    later = rows.after(middle)
    del rows
    examples = pd.read_parquet(training_set.examples_file)
    before = split_until(examples, training_set.windows, middle, known_before=middle)
    chosen = _as_chosen(parameters, model)
    tried = fit_on(settings, problem, chosen, training_set, examples, before).pipeline
    label = later.examples[problem.label].to_numpy(float)
    losses = [
        daily_losses(
            later.examples["event_timestamp"],
            row_losses(problem.task, problem.primary_metric, label, predict_with(pipeline, problem, later.features)),
        )
        for pipeline in (tried, load_model(model.file, model.sha256))
    ]
    return Trial(middle.to_pydatetime(), len(label), paired_improvement(losses[0], losses[1], confidence))


@cached_step
def fit_newest(
    key: str,
    settings: Settings,
    problem: Problem,
    parameters: TrainingParameters,
    model: FittedFile,
    training_set: TrainingSet,
) -> FittedFile:
    """Fit with the settings of a model on everything that is labelled, and write the file."""
    examples = pd.read_parquet(training_set.examples_file)
    masks = split_until(examples, training_set.windows, pd.Timestamp(training_set.windows.test.end))
    fitted = fit_on(settings, problem, _as_chosen(parameters, model), training_set, examples, masks)
    file = settings.state_dir / "models" / key[:16] / MODEL_FILE
    learned = examples.loc[masks["refit"], "event_timestamp"]
    return replace(
        model,
        key=key,
        file=file,
        sha256=save_model(fitted.pipeline, file),
        rows={"refit": len(learned)},
        validation_losses=dict(fitted.validation_losses),
        validation_loss=fitted.validation_loss,
        calibration=fitted.calibration,
        calibration_losses=dict(fitted.calibration_losses),
        learned_until=learned.max().isoformat(),
    )


def _as_chosen(parameters: TrainingParameters, model: FittedFile) -> TrainingParameters:
    calibrations = () if model.calibration == "none" else (model.calibration,)
    return replace(parameters, settings=tuple(model.chosen.items()), calibrations=calibrations)


@task(cache_policy=NO_CACHE)
def refit(
    project: Project,
    parameters: TrainingParameters,
    lineage: Lineage,
    training_set: TrainingSet,
    model: FittedFile,
    judged: Registered,
) -> Registered | None:
    """Fit the promoted model anew up to the newest label, register it and move `champion` to it.

    Returns
    -------
    Registered or None
        None if newer rows made the trial credibly worse; then the judged model stays.
    """
    settings, problem = project.settings, project.problem
    with stage("refit") as progress:
        confidence = problem.thresholds.confidence
        trial = try_newer_rows(settings, problem, parameters, model, training_set, confidence)
        progress.note(f"a trial: {trial}")
        if trial.is_worse:
            progress.say(f"newer rows make it worse: version {judged.version} stays")
            return None
        newest = fit_newest(settings, problem, parameters, model, training_set)
        tags = {
            "refit_of": judged.version,
            "verdict": "PROMOTE",
            "verdict_reasons": f"version {judged.version}: {trial}",
        }
        evaluation = _without_evaluation(project, newest, training_set)
        made = register_model(project, parameters, lineage, training_set, newest, evaluation, tags)
        promote_version(
            project,
            made.version,
            by="gate",
            why=f"version {judged.version} was promoted, and is fitted anew up to {newest.learned_until}; {trial}",
            verdict="PROMOTE",
            evidence={"refit_of": judged.version, "trial": asdict(trial)},
            instead_of=judged.version,
        )
        fetch_champion(project)
        progress.say(f"version {made.version} learned from {newest.rows['refit']:,} rows up to {newest.learned_until}")
    return made


def _without_evaluation(project: Project, model: FittedFile, training_set: TrainingSet) -> EvaluationFile:
    """Keep reference predictions and profile, as for every model, but no metric: it has learned from all rows."""
    folder = project.settings.state_dir / "evaluations" / model.key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    rows = read_held_out(project.problem, training_set)
    predicted = predict_with(load_model(model.file, model.sha256), project.problem, rows.features)
    write_reference_predictions(project.problem, folder, rows.examples, rows.features, predicted)
    del rows
    examples, windows = pd.read_parquet(training_set.examples_file), training_set.windows
    learned = split_until(examples, windows, pd.Timestamp(windows.test.end))["refit"]
    features = read_rows(training_set.features_file, learned.to_numpy())
    write_profile(project.problem, folder, examples[learned], features, None)
    return EvaluationFile(model.key, folder, {}, {}, 0, "")
