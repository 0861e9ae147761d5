"""Tasks from raw files to a training set: validate, features, apply, training set, materialise."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from flightline.adapters import duckdb_engine as engine
from flightline.adapters import raw_files
from flightline.adapters.dvc.data_version import DataVersion
from flightline.adapters.dvc.repository import hash_folder
from flightline.adapters.engines import open_engine
from flightline.adapters.event_clock import read_clock
from flightline.adapters.feast import feature_store as feast_store
from flightline.adapters.files.atomic_write import atomic_write, atomic_write_text
from flightline.adapters.files.parquet_rows import write_parts
from flightline.core.errors import DataVersionError, LeakError
from flightline.core.lineage import digest_of
from flightline.core.problem_spec import Problem
from flightline.core.project import FeatureCode, Project, RawTables, RequestCode
from flightline.core.settings import Settings
from flightline.data.contract import check_dataset
from flightline.training.example_checks import check_columns, check_rows, encode_label
from flightline.training.splits import windows_of
from pipelines.common.artifacts import MADE_OF_FILE, FeatureTables, TrainingSet
from pipelines.common.cached_step import cached_step
from pipelines.common.progress import Stage, stage
from pipelines.common.source_closure import source_digest

LEAK_TEST_REACH = timedelta(days=35)  # further than schedules are known ahead
LEAK_TEST_AHEAD = timedelta(days=3)
JOINED_AT_A_TIME = 200_000  # rows of the training set
KEPT_FOLDERS = 4  # by the time of day each hour leaves one
LOADED_FILE = "loaded.json"  # the data version of the online store, and since when it holds that


def declared(project: Project) -> dict[str, object]:
    """Give what the feature service means and the store it is joined by, in plain values."""
    return {
        "service": feast_store.describe_service(project.settings, project.problem.feature_service),
        "store": feast_store.store_file(project.settings).read_text(encoding="utf-8"),
        # Named in that file and imported by Feast, so no import of ours leads to it.
        "join": source_digest(feast_store.offline_store_module(project.settings)),
    }


def feature_definitions_digest(project: Project) -> str:
    """Hash the feature declarations and the code that computes them, for lineage."""
    code = source_digest(*project.features.modules, *project.requests.modules, build_features.function)
    return digest_of(feast_store.describe_service(project.settings, project.problem.feature_service), code)


def feature_views_digest(project: Project) -> str:
    """Hash what the feature service means; the running service compares it with what is registered."""
    return digest_of(feast_store.describe_service(project.settings, project.problem.feature_service))


@cached_step
def validate(key: str, settings: Settings, raw: RawTables, data: DataVersion) -> dict[str, int]:
    """Check every raw table against its contract."""
    return check_dataset(raw_files.RawFiles(settings.data_dir), raw.contracts)


@cached_step
def build_features(
    key: str,
    settings: Settings,
    problem: Problem,
    raw: RawTables,
    code: FeatureCode,
    keys: Sequence[str],
    data: DataVersion,
    clock: datetime,
    progress: Stage,
) -> FeatureTables:
    """Build the feature tables as of the clock, after they have passed the leak test.

    Parameters
    ----------
    keys
        What requests can be joined by (`Project.key_names`).
    """
    folder = features_folder(settings, key)
    with open_engine(settings) as connection:
        groups = _read_groups(connection, settings, raw, code, data, clock)
        progress.note("raw tables read and put in UTC")
        known = _known_examples(groups, problem, code)
        progress.note(f"leak test passed{check_leaks(groups, code, problem, known)}")
        with atomic_write(folder) as unfinished:
            rows = engine.write_feature_tables(
                groups,
                code.tables,
                unfinished,
                lambda name, count: progress.note(f"{name} {count:,} rows"),
                keys=keys,
                limits=settings.duckdb_limits,
            )
            (unfinished / "examples").mkdir()
            known.to_parquet(unfinished / "examples" / "examples.parquet")
            made_of = {"clock": clock.isoformat(), "data_md5": data.md5}
            (unfinished / MADE_OF_FILE).write_text(json.dumps(made_of) + "\n", encoding="utf-8")
    return FeatureTables(key, folder, rows, len(known))


def _read_groups(
    connection: ibis.BaseBackend,
    settings: Settings,
    raw: RawTables,
    code: FeatureCode,
    data: DataVersion,
    clock: datetime,
) -> dict[str, ibis.Table]:
    tables = engine.load_raw(connection, settings.data_dir, raw.contracts)
    held = hash_folder(settings.data_dir)
    if held is None or held.md5 != data.md5:
        raise DataVersionError(
            f"data/ is no longer at version {data}, with which this run began: another process, such as `make ingest`, "
            "has replaced it meanwhile; run it again"
        )
    return engine.build_groups(connection, tables, code, clock)


def _known_examples(groups: Mapping[str, ibis.Table], problem: Problem, code: FeatureCode) -> pd.DataFrame:
    """Give the checked examples, each with its label as a number."""
    examples = code.examples(groups, problem)
    check_columns(examples.columns, problem)
    known = encode_label(engine.to_frame(examples.order_by("event_timestamp", "example_id")), problem)
    check_rows(known, problem)
    return known


def features_folder(settings: Settings, key: str) -> Path:
    """Say where the feature tables of a key lie."""
    return settings.features_dir / key[:16]


def check_leaks(groups: Mapping[str, ibis.Table], code: FeatureCode, problem: Problem, examples: pd.DataFrame) -> str:
    """Run the leak test on every feature table.

    Parameters
    ----------
    examples
        With event_timestamp and label_known_at: the test looks back further by the longest wait for a label, and as
        far ahead, or what a feature took from an outcome would lie outside what it looks at.

    Returns
    -------
    str
        Where it was run, if not at a moment of `leak_test_moments`; else nothing.

    Raises
    ------
    LeakError
        Naming table, moment, rows and a sample.
    """
    longest = (examples["label_known_at"] - examples["event_timestamp"]).max()
    wait = timedelta(0) if pd.isna(longest) else longest.to_pytimedelta()
    moments = engine.moments_inside(groups, problem.leak_test_moments)
    leaks = engine.find_leaks(
        groups, code.tables, moments, before=LEAK_TEST_REACH + wait, after=max(wait, LEAK_TEST_AHEAD)
    )
    if leaks:
        found = "\n".join(f"  {leak}" for leak in leaks)
        raise LeakError(
            f"{len(leaks)} leak(s): a feature uses what was not yet known; no feature was written.\n{found}\n"
            "Stamp the row with the moment its last input becomes known (problem/availability.py says when)."
        )
    if set(moments) <= set(problem.leak_test_moments):
        return ""
    return (
        f" at {moments[0]:%Y-%m-%d %H:%M} UTC, the middle of the data: leak_test_moments in "
        "src/flightline/problem/config.py names no moment well inside it"
    )


@task(cache_policy=NO_CACHE)
def apply_features(settings: Settings, tables: FeatureTables) -> list[str]:
    """Point Feast's sources at this version of the tables, and register the declarations."""
    feast_store.check_sources(settings, tables.folder)
    feast_store.activate(settings, tables.folder)
    return feast_store.apply(settings)


def features_as_of(
    settings: Settings, problem: Problem, code: RequestCode, examples: pd.DataFrame, meaning: str = ""
) -> pd.DataFrame:
    """Give the model's input for each example as of its `event_timestamp`, in their order and with their index.

    Raises
    ------
    FeatureError
        As `join_features`; `meaning` is the digest that the registered features must have.
    """
    return next(features_in_parts(settings, problem, code, examples, meaning, max(1, len(examples))))


def features_in_parts(
    settings: Settings, problem: Problem, code: RequestCode, examples: pd.DataFrame, meaning: str, rows: int
) -> Iterator[pd.DataFrame]:
    """Give what `features_as_of` gives, of so many examples at a time."""
    # Request features see what a request holds, and so never the label.
    requests = examples[[*problem.entity_keys, *problem.request_columns]]
    keyed = examples.assign(**code.keys(requests))
    for joined in feast_store.join_in_parts(settings, problem.feature_service, keyed, meaning, rows):
        part, moments = requests.loc[joined.index], examples.loc[joined.index, "event_timestamp"]
        yield code.without_withheld(joined.assign(**code.computed_features(part, joined, moments)))


@cached_step
def join_training_set(
    key: str,
    settings: Settings,
    problem: Problem,
    code: RequestCode,
    tables: FeatureTables,
    declarations: Mapping[str, object],
) -> TrainingSet:
    """Join every labelled example with its features as of its prediction time."""
    known = pd.read_parquet(tables.examples_file)
    labelled = known[known[problem.label].notna()].reset_index(drop=True)
    windows = windows_of(labelled, problem.windows)
    outcomes = known.loc[known[problem.label].isna(), "outcome"].fillna("not known by the clock").value_counts()
    del known
    meaning, folder = digest_of(declarations["service"]), settings.state_dir / "training_sets" / key[:16]
    with atomic_write(folder) as unfinished:
        unfinished.mkdir()
        labelled.to_parquet(unfinished / "examples.parquet")
        parts = features_in_parts(settings, problem, code, labelled, meaning, JOINED_AT_A_TIME)
        columns = write_parts(unfinished / "features.parquet", parts)
    return TrainingSet(
        key=key,
        folder=folder,
        rows=len(labelled),
        features=len(columns),
        unlabelled={str(outcome): int(count) for outcome, count in outcomes.items()},
        windows=windows,
    )


@cached_step
def build_examples(
    key: str,
    settings: Settings,
    problem: Problem,
    raw: RawTables,
    code: FeatureCode,
    data: DataVersion,
    clock: datetime,
) -> Path:
    """Build the examples alone, with outcomes as they were known by the clock."""
    with open_engine(settings) as connection:
        known = _known_examples(_read_groups(connection, settings, raw, code, data, clock), problem, code)
    file = settings.state_dir / "labels" / key[:16] / "examples.parquet"
    with atomic_write(file) as unfinished:
        known.to_parquet(unfinished)
    return file


def find_examples(project: Project, data: DataVersion, clock: datetime) -> Path:
    """Give the examples as of the clock: those of the feature tables if they are of this clock, else new ones."""
    settings, problem, raw, code = project.settings, project.problem, project.raw_tables, project.features
    with stage("examples") as progress:
        key = build_features.key(settings, problem, raw, code, project.key_names, data, clock, progress)
        of_features = features_folder(settings, key) / "examples" / "examples.parquet"
        if of_features.is_file():
            progress.say(f"those of the feature tables, as of {clock:%Y-%m-%d %H:%M} UTC")
            return of_features
        file = build_examples(settings, problem, raw, code, data, clock)
        progress.say(f"as of {clock:%Y-%m-%d %H:%M} UTC")
    return file


def remove_old(folder: Path, *kept: Path, count: int = KEPT_FOLDERS) -> None:
    """Remove what earlier runs made in folders of their own below this one, but for some paths and the newest."""
    made = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    whole = sorted((path for path in made if not path.name.startswith(".")), key=lambda path: path.stat().st_mtime)
    stay = {path.resolve() for path in kept}
    for path in whole[:-count]:
        if path.resolve() not in stay:
            shutil.rmtree(path, ignore_errors=True)


@task(cache_policy=NO_CACHE)
def materialise(settings: Settings, clock: datetime, folder: Path | None = None) -> dict[str, int]:
    """Load the newest feature values as of the clock into the online store, unless a run after it has loaded more.

    Parameters
    ----------
    clock
        Where the event clock stood when the run began.
    folder
        The feature tables to load; None for those that Feast's sources point at.

    Returns
    -------
    dict
        As `feature_store.materialise`; empty if nothing was loaded.
    """
    with feast_store.hold_sources(settings):
        loaded = feast_store.loaded_until(settings)
        # Newer is what was loaded while a training ran, but not a store that is ahead of the clock itself.
        if loaded is not None and clock < loaded <= read_clock(settings):
            return {}
        if folder is not None:
            feast_store.activate(settings, folder)
        views = feast_store.materialise(settings, clock)
        _note_version(settings)
        return views


def _note_version(settings: Settings) -> None:
    """Keep since when the online store holds the data version of the tables, which parity asks for."""
    made_of = json.loads((settings.features_dir / "current" / MADE_OF_FILE).read_text(encoding="utf-8"))
    file, md5 = settings.features_dir / LOADED_FILE, made_of["data_md5"]
    if not file.is_file() or json.loads(file.read_text(encoding="utf-8"))["data_md5"] != md5:
        note = {"data_md5": md5, "since": datetime.now(UTC).isoformat()}
        atomic_write_text(file, json.dumps(note) + "\n")


def holds_version_since(settings: Settings) -> datetime | None:
    """Say since what time of day the online store holds the data version of the feature tables; None if not known."""
    file = settings.features_dir / LOADED_FILE
    return datetime.fromisoformat(json.loads(file.read_text(encoding="utf-8"))["since"]) if file.is_file() else None
