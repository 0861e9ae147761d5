"""The training flow, from pull to the gate: `python -m pipelines.training --model NAME`."""

import argparse
import sys
from collections.abc import Sequence

from prefect import flow

from flightline.adapters import provenance
from flightline.adapters.dvc.data_version import DataVersion
from flightline.adapters.event_clock import ensure_clock
from flightline.core.lineage import Lineage
from flightline.core.project import Project, open_project
from flightline.evaluation.metrics import LOWER_IS_BETTER
from flightline.promotion.gate import Decision
from flightline.training.fit import TrainingParameters
from flightline.training.zoo import ZOO
from pipelines.common.command_line import run_command
from pipelines.common.events import announce_verdict
from pipelines.common.progress import stage
from pipelines.common.retries import SCHEDULED
from pipelines.common.servers.by_hand import by_hand
from pipelines.common.training_options import add_options, parameters_of
from pipelines.promotion_steps.gate import gate, warnings_of
from pipelines.promotion_steps.refit import refit
from pipelines.promotion_steps.servable import check_servable
from pipelines.steps import compare as comparison
from pipelines.steps import features, models
from pipelines.steps.behind import months_beyond
from pipelines.steps.preparation import prepare_features, prepare_training_set, pull
from pipelines.steps.summary import TrainingResult, print_result


def lineage_of(project: Project, data: DataVersion, seed: int) -> Lineage:
    """Collect what made the model that is being trained."""
    commit, is_dirty = provenance.git_state(project.settings)
    return Lineage(
        git_commit=commit,
        git_dirty=is_dirty,
        data_md5=data.md5,
        feature_service=project.problem.feature_service,
        features_sha256=features.feature_definitions_digest(project),
        lock_sha256=provenance.lock_digest(project.settings),
        seed=seed,
        feature_views_sha256=features.feature_views_digest(project),
    )


def run_training(project: Project, parameters: TrainingParameters) -> TrainingResult:
    """Tell the story of a training; call it inside a flow."""
    asked = comparison.models_asked(project.problem, parameters)
    clock = ensure_clock(project.settings, project.problem.first_clock)
    data = pull(project)
    if beyond := months_beyond(project.settings, clock):
        print(f"{'clock':14}  {beyond}", flush=True)
    tables = prepare_features(project, data, clock)
    training_set = prepare_training_set(project, tables)
    ranked = comparison.train_each(project, asked, training_set, comparison.feature_groups(project, training_set))
    best = ranked[0]
    lineage = lineage_of(project, data, parameters.seed)
    with stage("register") as progress:
        registered = models.register_model(project, best.parameters, lineage, training_set, best.model, best.evaluation)
        progress.say(f"{project.problem.model_name} version {registered.version}, run {registered.run_id[:8]}")
        if len(ranked) > 1:
            parent = comparison.log_comparison(project, training_set, ranked, registered.run_id)
            progress.say(f"comparison of {len(ranked)} models, run {parent[:8]}")
    with stage("materialise") as progress:
        views = features.materialise(project.settings, clock)
        as_of = f"{len(views)} views into the online store as of {clock:%Y-%m-%d %H:%M} UTC"
        progress.say(as_of if views else "the online store was loaded as of a later clock meanwhile, and stays so")
    check_servable(project, tables.examples_file, registered)
    warnings = warnings_of(project, training_set, best.evaluation)
    verdict, champion = gate(project, training_set, best.evaluation, registered, warnings)
    if project.problem.refit and verdict.decision is Decision.PROMOTE:
        refit(project, best.parameters, lineage, training_set, best.model, registered)
    return TrainingResult(data, clock, training_set, best.model, best.evaluation, registered, champion, verdict)


@flow(name="training", validate_parameters=False, **{**SCHEDULED, "retries": 1})
def training(
    model: str = TrainingParameters.model,
    seed: int = TrainingParameters.seed,
    parameters: TrainingParameters | None = None,
) -> TrainingResult:
    """Train, evaluate, register and judge a model, or the best of all, on data up to the event clock.

    Parameters
    ----------
    model, seed
        What a schedule or a trigger may name.
    parameters
        All that is to be learned, in place of the two.
    """
    project = open_project()
    result = run_training(project, parameters or TrainingParameters(model=model, seed=seed))
    print_result(result, project.problem, LOWER_IS_BETTER)
    champion = result.champion.version if result.champion else None
    announce_verdict(project.problem, result.verdict, result.registered.version, champion)
    return result


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and run the flow."""
    return run_command(lambda: train_by_hand(arguments))


def train_by_hand(arguments: Sequence[str] | None) -> TrainingResult:
    """Read the options and run the flow as a person does."""
    return by_hand(training)(parameters=_read(arguments))


def _read(arguments: Sequence[str] | None) -> TrainingParameters:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, f"{comparison.ALL}, or one of: {', '.join(ZOO[open_project().problem.task])}")
    return parameters_of(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
