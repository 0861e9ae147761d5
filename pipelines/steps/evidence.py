"""Gathers what the gate decides on: the registered models, what they cost, and how they did on the test rows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial

from sklearn.pipeline import Pipeline

from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.model_file import load_model
from flightline.core.errors import FlightlineError
from flightline.core.problem_spec import Problem
from flightline.core.project import Project
from flightline.promotion.evidence import (
    Candidate,
    Contest,
    Cost,
    Evidence,
    Judgement,
    Role,
    probe_positions,
    read_judgement,
)
from pipelines.common.artifacts import EvaluationFile, TrainingSet
from pipelines.steps.latency import measure_seconds
from pipelines.steps.models import BASELINE_FILE, JUDGEMENT_FILE, HeldOut, judge, predict_with, read_held_out


@dataclass(frozen=True)
class Entrant:
    """A model as the registry gives it."""

    candidate: Candidate
    pipeline: Pipeline
    size_bytes: int
    learned_until: datetime | None


@dataclass(frozen=True)
class Gathered:
    """All that a decision rests on."""

    challenger: Evidence
    baseline: Evidence
    champion: Evidence | None
    contest: Contest
    champion_unjudged: str

    def as_record(self) -> dict[str, object]:
        """Give it in plain values, to be kept."""
        return asdict(self)


def gather_evidence(project: Project, training_set: TrainingSet, evaluation: EvaluationFile, version: str) -> Gathered:
    """Load both models from the registry, judge the champion on the challenger's rows, and time them in turns."""
    rows = read_held_out(project.problem, training_set)
    challenger = enter(project, version, rows)
    champion, judgement, unjudged = _judge_champion(project, rows)
    entrants = {Role.CHALLENGER: challenger} | ({Role.CHAMPION: champion} if champion else {})
    costs = _measure_costs(project.problem, entrants, rows)
    own = _read(evaluation, JUDGEMENT_FILE)
    return Gathered(
        challenger=_evidence(Role.CHALLENGER, challenger, own, costs),
        baseline=Evidence(Role.BASELINE, "", "baseline", _read(evaluation, BASELINE_FILE)),
        champion=_evidence(Role.CHAMPION, champion, judgement, costs) if champion and judgement else None,
        contest=Contest(challenger.candidate, champion.candidate if champion else None, project.problem.windows.test),
        champion_unjudged=unjudged,
    )


def enter(project: Project, version: str, rows: HeldOut) -> Entrant:
    """Load a version from the registry, and ask its pipeline about the probe rows."""
    found = registry.get_version(project.settings, project.problem.model_name, version)
    file = registry.download_model(project.settings, found)
    pipeline = load_model(file, found.tags["model_sha256"])
    probe = predict_with(pipeline, project.problem, rows.features.iloc[probe_positions(len(rows.features))])
    learned_until = found.tags.get("learned_until")
    return Entrant(
        Candidate(version, found.tags["model_sha256"], tuple(probe.tolist())),
        pipeline,
        file.stat().st_size,
        datetime.fromisoformat(learned_until) if learned_until else None,
    )


def _judge_champion(project: Project, rows: HeldOut) -> tuple[Entrant | None, Judgement | None, str]:
    current = registry.version_of(project.settings, project.problem.model_name, registry.CHAMPION)
    if current is None:
        return None, None, ""
    try:
        champion = enter(project, str(current.version), rows)
        return (
            champion,
            judge(project.problem, champion.pipeline, rows, project.problem.thresholds.min_slice_rows).judgement,
            "",
        )
    except (FlightlineError, KeyError, ValueError) as err:
        return None, None, f"the champion, version {current.version}, cannot be judged on these rows: {err}"


def _measure_costs(problem: Problem, entrants: Mapping[Role, Entrant], rows: HeldOut) -> dict[Role, Cost]:
    predictors = {role: partial(predict_with, entrant.pipeline, problem) for role, entrant in entrants.items()}
    seconds = measure_seconds(predictors, rows.features)
    return {role: Cost(*seconds[role], entrant.size_bytes) for role, entrant in entrants.items()}


def _evidence(role: Role, entrant: Entrant, judgement: Judgement, costs: Mapping[Role, Cost]) -> Evidence:
    named = entrant.candidate
    return Evidence(role, named.version, named.model, judgement, costs[role], entrant.learned_until)


def _read(evaluation: EvaluationFile, name: str) -> Judgement:
    return read_judgement((evaluation.folder / name).read_text(encoding="utf-8"))
