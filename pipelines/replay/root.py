"""A root for a simulation: its own clock, store, model and log; data and feature tables are only read."""

import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pandas as pd

from flightline.adapters.event_clock import read_clock, set_clock
from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.model_store.signing_keys import KEY_FILE, PUBLIC_FILE
from flightline.core.errors import ClockError, FeatureError, ModelFileError
from flightline.core.project import Project
from flightline.core.settings import PredictionLogSettings, ServingSettings, Settings, SigningSettings
from flightline.monitoring.replay_plan import Plan
from pipelines.promotion_steps.champion import fetch_champion

BringModel = Callable[[Project], str | None]
POLL_SECONDS = 0.1


def make_root(
    project: Project, plan: Plan, port: int, bring_model: BringModel = fetch_champion, root: Path | None = None
) -> Project:
    """Make the root of a simulation, in place of an earlier one of the same span.

    Parameters
    ----------
    project
        The one to simulate; nothing of its state is changed.
    port
        For the simulation's service.
    bring_model
        Puts a model into the serving folder of the project it is given, and gives its version.
    root
        Where, without anything of an earlier one; None: a folder named by the span, which is emptied.

    Returns
    -------
    Project
        At the root of the simulation, its clock at the plan's start, the store materialised as of it.

    Raises
    ------
    FeatureError, ClockError
        If the project's feature tables are not there or end before the plan does.
    ModelFileError
        If there is no champion.
    """
    tables = current_tables(project.settings, plan.end)
    check_known_when_stamped(tables)
    if root is None:
        root = project.settings.state_dir / "simulations" / plan.name
        shutil.rmtree(root, ignore_errors=True)
    simulated = simulated_settings(project.settings, root, port)
    elsewhere = project.at(simulated)
    simulated.features_dir.mkdir(parents=True)
    # A link would lead Feast's relative paths back into the project's own state.
    shutil.copytree(project.settings.feature_repo, simulated.feature_repo, ignore=shutil.ignore_patterns("__pycache__"))
    links = {
        simulated.features_dir / "current": tables,
        simulated.data_dir: project.settings.data_dir.resolve(),
        _sets(simulated): _sets(project.settings).resolve(),
    }
    for link, target in links.items():  # relative, so that the clone may move
        link.symlink_to(os.path.relpath(target, link.parent.resolve()))
    if bring_model(elsewhere) is None:
        raise ModelFileError("there is no champion to simulate with; run `make train`")
    set_clock(simulated, plan.start)
    feast_store.apply(simulated)
    feast_store.materialise(simulated, plan.start)
    return elsewhere


def current_tables(settings: Settings, end: datetime) -> Path:
    """Give the folder of the project's feature tables, if they reach up to a moment."""
    current = settings.features_dir / "current"
    if not (current / "examples" / "examples.parquet").is_file():
        raise FeatureError("there are no feature tables yet; run `make train`")
    clock = read_clock(settings)
    if end > clock:
        raise ClockError(
            f"the simulation would end at {end.isoformat()}, but the event clock, up to which features and labels "
            f"are known, stands at {clock.isoformat()}; let it end there at the latest"
        )
    return current.resolve()


def check_known_when_stamped(tables: Path) -> None:
    """Demand that each row was known at its event timestamp, by which alone the store is filled.

    Raises
    ------
    FeatureError
        Naming the tables with rows that were made later.
    """
    late = {}
    for file in sorted(tables.glob("*.parquet")):
        rows = pd.read_parquet(file, columns=["event_timestamp", "created_timestamp"])
        if count := int((rows["created_timestamp"] > rows["event_timestamp"]).sum()):
            late[file.stem] = count
    if late:
        found = ", ".join(f"{name} ({count:,})" for name, count in late.items())
        raise FeatureError(
            f"feature tables hold rows created after their event timestamp: {found}; materialised by the event "
            "timestamp they would be used before they were known. Stamp a row with when its last input became known"
        )


def simulated_settings(settings: Settings, root: Path, port: int) -> Settings:
    """Derive the settings of a simulation: embedded in its root, whatever the project's own place is."""
    serving = ServingSettings().model_copy(
        update={"port": port, "watch": False, "poll_seconds": POLL_SECONDS, "keep_alive_seconds": 60}
    )
    changes = {
        "root": root,
        "profile": "local",
        "clock": "set",
        "mlflow_tracking_uri": settings.tracking_uri,
        "serving": serving,
        "prediction_log": PredictionLogSettings(),
        "signing": signing_of(settings),
    }
    return settings.model_copy(update=changes)


def signing_of(settings: Settings) -> SigningSettings:
    """Name the project's own keys in full: a model is signed once, wherever it is served."""
    own, named = settings.signing_dir, settings.signing
    return SigningSettings(key=named.key or str(own / KEY_FILE), public_key=named.public_key or str(own / PUBLIC_FILE))


def _sets(settings: Settings) -> Path:
    return settings.state_dir / "training_sets"
