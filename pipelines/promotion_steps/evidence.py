"""Gathers what the gate decides on: the registered models, what they cost, and how they did on the test rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from sklearn.pipeline import Pipeline

from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.manifest import check_classes
from flightline.adapters.model_store.model_file import load_model
from flightline.core.errors import ChampionMoveError, FlightlineError, SignatureError
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.evaluation.bootstrap import DailyLosses, daily_losses
from flightline.inference.predict import predict_with
from flightline.promotion.evidence import (
    Cost,
    EvaluationSummary,
    Evidence,
    ExpectedModels,
    Gathered,
    RegisteredModel,
    Role,
    read_summary,
)
from pipelines.common.artifacts import EvaluationFile, TrainingSet
from pipelines.promotion_steps.champion import find_champion
from pipelines.promotion_steps.latency import measure_seconds
from pipelines.steps.models import BASELINE_FILE, SUMMARY_FILE, HeldOut, judge, losses_of, read_held_out
from pipelines.steps.signing import read_signed


@dataclass(frozen=True)
class LoadedModel:
    """A model as the registry gives it."""

    registered: RegisteredModel
    pipeline: Pipeline
    size_bytes: int
    learned_until: datetime | None


def gather_evidence(project: Project, training_set: TrainingSet, evaluation: EvaluationFile, version: str) -> Gathered:
    """Load both models from the registry, judge the champion on the challenger's rows, and time them in turns."""
    rows = read_held_out(project.problem, training_set)
    challenger = load_registered(project, version, rows)
    champion, shared, unjudged = load_champion(project, rows)
    loaded = {Role.CHALLENGER: challenger} | ({Role.CHAMPION: champion} if champion else {})
    costs = _measure_costs(project.problem, loaded, rows)
    own = _evidence(Role.CHALLENGER, challenger, _read(evaluation, SUMMARY_FILE), costs)
    if len(shared.examples) < len(rows.examples):
        own = replace(own, shared=_judge(project, challenger, shared))
    return Gathered(
        challenger=own,
        baseline=Evidence(Role.BASELINE, "", "baseline", _read(evaluation, BASELINE_FILE)),
        champion=_evidence(Role.CHAMPION, champion, _judge(project, champion, shared), costs) if champion else None,
        expected=ExpectedModels(
            challenger.registered, champion.registered if champion else None, training_set.windows.test
        ),
        champion_unjudged=unjudged,
    )


def load_registered(project: Project, version: str, rows: HeldOut) -> LoadedModel:
    """Load a version from the registry as it was signed, and judge its pipeline by itself on the same rows.

    Raises
    ------
    ModelFileError
        If it is not what was signed, or of a problem with other classes.
    RegistryError
        If the registry does not give its file.
    """
    found = registry.get_version(project.settings, project.problem.model_name, version)
    manifest = read_signed(project, found, "shadow")
    check_classes(manifest, project.problem)  # another feature service may have the same features
    file = registry.download_model(project.settings, found)
    pipeline = load_model(file, manifest.sha256)
    return LoadedModel(
        RegisteredModel(version, manifest.sha256, own_losses(project.problem, pipeline, rows)),
        pipeline,
        file.stat().st_size,
        _learned_until(found),
    )


def own_losses(problem: Problem, pipeline: Pipeline, rows: HeldOut) -> DailyLosses:
    """Let a pipeline predict all rows, and sum its losses by day: what evidence of it has to come to."""
    prediction = predict_with(pipeline, problem, rows.features)
    return daily_losses(rows.examples["event_timestamp"], losses_of(problem, rows, prediction))


def load_champion(project: Project, rows: HeldOut) -> tuple[LoadedModel | None, HeldOut, str]:
    """Load the champion, if there is one, to be compared; or say why it cannot be.

    Returns
    -------
    tuple
        The champion, the rows that it has not learned from, and the reason.
    """
    try:
        current = find_champion(project)
        if current is None:
            return None, rows, ""
        read_signed(project, current)
    except (ChampionMoveError, SignatureError) as err:
        return None, rows, f"the champion is no standard to compare with: {err}"
    learned = _learned_until(current)
    if learned is None:
        return (
            None,
            rows,
            f"the champion, version {current.version}, has no tag learned_until: what is later is not known",
        )
    shared = rows.after(learned)
    if shared.examples.empty:
        seen = f"the champion, version {current.version}, learned from rows up to {learned:%Y-%m-%d %H:%M}"
        return None, rows, f"{seen}, and no labelled row is later: there is nothing to compare on"
    try:
        return load_registered(project, str(current.version), shared), shared, ""
    except (FlightlineError, KeyError, ValueError) as err:
        return None, rows, f"the champion, version {current.version}, cannot be judged on these rows: {err}"


def _learned_until(found: registry.ModelVersion) -> datetime | None:
    learned_until = found.tags.get("learned_until")
    return datetime.fromisoformat(learned_until) if learned_until else None


def _judge(project: Project, model: LoadedModel, rows: HeldOut) -> EvaluationSummary:
    return judge(project.problem, model.pipeline, rows, project.problem.thresholds.min_slice_rows).summary


def _measure_costs(problem: Problem, loaded: Mapping[Role, LoadedModel], rows: HeldOut) -> dict[Role, Cost]:
    predictors = {role: partial(predict_with, model.pipeline, problem) for role, model in loaded.items()}
    seconds = measure_seconds(predictors, rows.features)
    return {role: Cost(*seconds[role], model.size_bytes) for role, model in loaded.items()}


def _evidence(role: Role, model: LoadedModel, summary: EvaluationSummary, costs: Mapping[Role, Cost]) -> Evidence:
    named = model.registered
    return Evidence(role, named.version, named.model, summary, costs[role], model.learned_until)


def _read(evaluation: EvaluationFile, name: str) -> EvaluationSummary:
    return read_summary((evaluation.folder / name).read_text(encoding="utf-8"))
