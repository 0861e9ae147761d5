"""The materialisation flow, from data/ to the online store as of the event clock: `python -m pipelines.materialise`.

It trains nothing and registers nothing: what features mean is changed by a training alone.
"""

import sys
from datetime import datetime

from prefect import flow

from flightline.adapters.event_clock import read_clock
from flightline.adapters.feast import feature_store as feast_store
from flightline.core.project import Project, open_project
from pipelines.common.command_line import run_command
from pipelines.common.progress import stage
from pipelines.common.retries import SCHEDULED
from pipelines.common.servers.by_hand import by_hand
from pipelines.steps import features
from pipelines.steps.preparation import build_tables, pull


def run_materialise(project: Project) -> datetime:
    """Tell the story of a materialisation, and give as of when the store is loaded; call it inside a flow.

    All that its ttl allows is loaded each time, not only what became known since: a late or
    corrected row became known before.

    Raises
    ------
    FeatureError
        If nothing was trained yet, or the declarations have changed since.
    """
    settings, problem = project.settings, project.problem
    clock = read_clock(settings)
    feast_store.check_registered(settings, problem.feature_service, features.feature_views_digest(project))
    tables = build_tables(project, pull(project), clock)
    with stage("materialise") as progress:
        views = features.materialise(settings, clock, tables.folder)
        progress.say(f"{len(views)} views into the online store as of {clock:%Y-%m-%d %H:%M} UTC")
    simulated = settings.state_dir.glob("simulations/*/.state/features/current")
    features.remove_old(settings.features_dir, settings.features_dir / "current", *simulated)
    return clock


@flow(name="materialise", validate_parameters=False, **SCHEDULED)
def materialise() -> datetime:
    """Bring features and online store up to the event clock and the data version that data.dvc names."""
    return run_materialise(open_project())


def main() -> int:
    """Run the flow."""
    return run_command(by_hand(materialise))


if __name__ == "__main__":
    sys.exit(main())
