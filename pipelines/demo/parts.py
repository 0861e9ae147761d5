"""What a demo lives through besides ordinary days: which instances are asked about, a broken feature, a challenger."""

import io
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.mlflow import registry
from flightline.adapters.model_store.canary_setting import canary_folder
from flightline.adapters.model_store.manifest import MANIFEST_FILE
from flightline.adapters.model_store.model_file import MODEL_FILE, digest_of_file, save_model
from flightline.adapters.model_store.served_model import ServedModel, load_served_model, write_served_model
from flightline.adapters.model_store.signatures import SIGNATURE_FILE, SignedVersion, sign_files
from flightline.adapters.model_store.signing_keys import open_signer, read_trusted_keys
from flightline.core.errors import FeatureError, ModelFileError, RegistryError
from flightline.core.project import Project
from flightline.evaluation.sampling import spread_positions
from flightline.monitoring.replay_plan import DAY, Plan
from flightline.promotion.canary import CanarySetting
from flightline.training.fit import fit_pipeline
from flightline.training.row_checks import as_target, feature_columns
from flightline.training.zoo import find_model

ROWS_A_DAY = 60
CHALLENGER, CHALLENGER_MODEL, LEARNED_ROWS = "demo", "decision_tree", 20_000


def days_of(examples: pd.DataFrame, plan: Plan, rows: int = ROWS_A_DAY) -> Iterator[pd.DataFrame]:
    """Give for each day so many examples, spread evenly over all of its, as a day of training is.

    Parameters
    ----------
    examples
        With event_timestamp (the prediction time, UTC) and example_id.
    plan
        Whose days are meant, each counted from its start.
    """
    ordered = examples.sort_values(["event_timestamp", "example_id"])
    times = ordered["event_timestamp"]
    for number in range(math.ceil((plan.end - plan.start) / DAY)):
        begins = plan.start + number * DAY
        of_day = ordered[(times >= begins) & (times < min(begins + DAY, plan.end))]
        if len(of_day):
            yield of_day.iloc[spread_positions(len(of_day), rows)]


def most_important_feature(project: Project, version: registry.ModelVersion) -> tuple[str, str]:
    """Give the view and the name of the stored feature that a version goes by most, of those it takes.

    Raises
    ------
    FeatureError
        If it takes none of the store.
    """
    views = feast_store.stored_views(project.settings, project.problem.feature_service)
    view_of = {name: view.name for view in views for name in view.features}
    taken = [name for name, _ in registry.input_columns(project.settings, version)]
    try:
        text = registry.read_text(project.settings, version, "evaluation/importance.csv")
        ranked = pd.read_csv(io.StringIO(text))["feature"].tolist()
    except RegistryError:
        ranked = taken
    for name in ranked:
        if name in view_of and name in taken:
            return view_of[name], name
    raise FeatureError("the champion takes no feature of the store, so there is none to break")


def break_feature(project: Project, view: str, feature: str, since: datetime) -> None:
    """Let a feature have no value in rows from a moment on, in tables of the root's own: the rest stays linked."""
    tables = project.settings.features_dir
    own = tables / "broken"
    own.mkdir()
    linked = (tables / "current").resolve()
    for entry in linked.iterdir():
        if entry.name != f"{view}.parquet":
            (own / entry.name).symlink_to(entry)
    rows = pd.read_parquet(linked / f"{view}.parquet")
    rows[feature] = rows[feature].astype("float64").mask(rows["event_timestamp"] >= since, np.nan)
    rows.to_parquet(own / f"{view}.parquet", index=False)
    feast_store.activate(project.settings, own)


def put_challenger(project: Project, training_set: Path, learned_until: pd.Timestamp, since: datetime) -> CanarySetting:
    """Fit a small tree on the champion's columns and newest rows, and lay it beside it; no registry knows it.

    Parameters
    ----------
    training_set
        The folder of the champion's.
    learned_until
        The newest prediction time that the champion learned from.
    since
        When it is to run in shadow; `canary_setting.write_setting` lets it.

    Raises
    ------
    ModelFileError
        If no champion lies in the root, or there is no key to sign with.
    """
    champion = load_served_model(project.settings.serving_models_dir, project)
    if champion is None:
        raise ModelFileError("there is no champion to run a challenger beside; run `make train`")
    examples = pd.read_parquet(training_set / "examples.parquet")
    learned = (examples["event_timestamp"] <= learned_until).to_numpy()
    features = pd.read_parquet(training_set / "features.parquet", columns=list(champion.kinds))[learned]
    features, label = features.tail(LEARNED_ROWS), examples.loc[learned, project.problem.label].tail(LEARNED_ROWS)
    model = find_model(project.problem.task, CHALLENGER_MODEL)
    target = as_target(project.problem.task, label)
    leaf = {"min_samples_leaf": max(5, len(features) // 100)}
    pipeline = fit_pipeline(model, feature_columns(features), 0, leaf, features, target)
    _deliver(project, champion, pipeline)
    version = champion.manifest.version
    return CanarySetting(version=CHALLENGER, champion=version, mode="shadow", since=since, begun="demo")


def _deliver(project: Project, champion: ServedModel, pipeline: Pipeline) -> None:
    settings = project.settings
    with TemporaryDirectory(prefix="challenger-") as temporary:
        folder = Path(temporary)
        digest = save_model(pipeline, folder / MODEL_FILE)
        changes = {"version": CHALLENGER, "run_id": CHALLENGER, "sha256": digest, "reference_predictions": ()}
        manifest = champion.manifest.model_copy(update=changes)
        (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        signed = SignedVersion(model=manifest.name, version=CHALLENGER, run_id=CHALLENGER, signed_by="person:demo")
        digests = {MODEL_FILE: digest, MANIFEST_FILE: digest_of_file(folder / MANIFEST_FILE)}
        (folder / SIGNATURE_FILE).write_bytes(sign_files(open_signer(settings), signed, digests))
        keys = read_trusted_keys(settings)
        write_served_model(canary_folder(settings), CHALLENGER, folder, keys, project.problem, "shadow")


def last_weeks(clock: datetime, least: datetime, weeks: int) -> Plan:
    """Plan the last whole weeks before the clock, but none before the test window."""
    start = max(clock - timedelta(weeks=weeks), least)
    return Plan(start, clock, DAY)
