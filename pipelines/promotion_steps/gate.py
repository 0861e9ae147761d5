"""The gate's task: decide on the challenger, keep the verdict with every number, and move `champion`."""

from dataclasses import asdict, replace

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from flightline.adapters.feast import feature_store as feast_store
from flightline.core.project import Project
from flightline.evaluation.single_feature import MAX_ROWS, find_suspect
from flightline.promotion.evidence import Evidence
from flightline.promotion.gate import Decision, Verdict
from pipelines.common.artifacts import EvaluationFile, Registered, TrainingSet
from pipelines.common.progress import stage
from pipelines.evaluation_steps.held_out import SLOPES_FILE
from pipelines.promotion_steps.champion import fetch_champion, promote_version
from pipelines.promotion_steps.evidence import gather_evidence
from pipelines.promotion_steps.verdicts import decide, keep_verdict, reasons_of
from pipelines.steps.models import ALONE_FILE


@task(cache_policy=NO_CACHE)
def gate(
    project: Project,
    training_set: TrainingSet,
    evaluation: EvaluationFile,
    registered: Registered,
    warnings: tuple[str, ...] = (),
) -> tuple[Verdict, Evidence | None]:
    """Decide on the challenger, store the verdict and warnings with its version, and move `champion` if it passed."""
    with stage("gate") as progress:
        given = gather_evidence(project, training_set, evaluation, registered.version)
        verdict = replace(decide(project, given), warnings=warnings, notes=(slope_note(evaluation),))
        keep_verdict(project, registered, given, verdict)
        if verdict.decision is Decision.PROMOTE:
            promote_version(
                project,
                registered.version,
                by="gate",
                why=reasons_of(verdict),
                verdict=str(verdict.decision),
                evidence={"verdict": asdict(verdict), **given.as_record()},
                instead_of=given.champion.version if given.champion else "",
            )
        if not given.champion_unjudged:  # what cannot be judged stays where it is
            fetch_champion(project)
        progress.say(f"version {registered.version}: {verdict.decision}")
    return verdict, given.champion


def warnings_of(project: Project, training_set: TrainingSet, evaluation: EvaluationFile) -> tuple[str, ...]:
    """Warn of a feature that alone predicts far better than those of all other views: it may be a leak."""
    requests = pd.read_parquet(training_set.examples_file, columns=list(project.request_fields))
    suspect = suspect_of(project, pd.read_csv(evaluation.folder / ALONE_FILE), requests)
    return (suspect,) if suspect else ()


def suspect_of(project: Project, table: pd.DataFrame, requests: pd.DataFrame) -> str | None:
    """Say which feature may be a leak, by what each reaches alone (`judge_features`); None if none may."""
    views = feast_store.stored_views(project.settings, project.problem.feature_service)
    view_of = {name: view.name for view in views for name in view.features}
    on_demand = set(table["feature"]) - view_of.keys() - project.request_features if project.requests.on_demand else ()
    seen = requests.sample(min(len(requests), MAX_ROWS), random_state=0)
    return find_suspect(table, view_of, on_demand, project.moment_features(seen))


def slope_note(evaluation: EvaluationFile) -> str:
    """Say how calibration moved within the test window."""
    slopes = [
        f"{each.month} {each.value:.2f}"
        + (f" ({each.lower:.2f} to {each.upper:.2f})" if each.lower == each.lower else "")
        for each in pd.read_csv(evaluation.folder / SLOPES_FILE).itertuples()
    ]
    return f"calibration slope by month: {', '.join(slopes)}; 1 is right, below it predictions are too bold"
