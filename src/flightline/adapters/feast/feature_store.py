"""Feast: declarations, the point-in-time join, and materialisation; `online_features.py` is what the service reads."""

import fcntl
import io
import runpy
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq

from flightline.adapters.databases.sqlite_wal import enter_wal
from flightline.adapters.feast.meaning import describe, meanings_registered
from flightline.adapters.feast.parts import check_rows, parts_of
from flightline.adapters.feast.registry import (  # noqa: F401 store_file is for the flows
    offline_store,
    open_on_snapshot,
    open_store,
    read_registry,
    store_file,
)
from flightline.adapters.feast.registry_guard import refuse_code
from flightline.adapters.files.atomic_write import atomic_write
from flightline.core.errors import FeatureError
from flightline.core.settings import Settings
from flightline.monitoring.parity import StoredView, union_of

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore, FeatureView

_TIMESTAMPS = ("event_timestamp", "created_timestamp")
_LOCK_SECONDS = 30.0
_BEGINNING = datetime(1700, 1, 1, tzinfo=UTC)  # pandas, in which Feast reads a table, counts nanoseconds from 1677 on
_NUMBERS_ONLY = "a store gives numbers; text comes with the request, and of a list each number is a feature of its own"


def offline_store_module(settings: Settings) -> ModuleType:
    """Give the module of the offline store: its code makes the point-in-time join."""
    return import_module(offline_store(settings)["type"].rpartition(".")[0])


def load_declarations(settings: Settings) -> list[Any]:
    """Run every file of feature_repo/ and give the Feast objects in it, each once; a view needs an entity among them.

    Not imported: Python would take the compiled file of before for one that was changed within the same second.
    """
    from feast import Entity, FeatureService, FeatureView

    found: dict[int, Any] = {}
    for file in sorted(settings.feature_repo.glob("*.py")):
        for value in runpy.run_path(str(file), run_name=f"_feature_repo_{file.stem}").values():
            if isinstance(value, Entity | FeatureView | FeatureService):
                found[id(value)] = value
    declarations = list(found.values())
    entities = {item.name for item in declarations if isinstance(item, Entity)}
    for view in _views(declarations):
        if unknown := [name for name in view.entities if name not in entities]:
            raise FeatureError(
                f"the view {view.name} names as entities {', '.join(unknown)} (__dummy: none at all), and no variable "
                "of feature_repo/ is that Entity; make it one. What is the same for all rows has one too, whose key "
                "request_keys of problem/request_features.py computes"
            )
    return declarations


def _views(declarations: list[Any]) -> list["FeatureView"]:
    from feast import FeatureView

    return [item for item in declarations if isinstance(item, FeatureView)]


def describe_service(settings: Settings, name: str) -> dict[str, object]:
    """Describe a feature service, as it is declared, in plain values that change only when a meaning changes.

    Returns
    -------
    dict
        See `meaning.describe`.
    """
    return describe(load_declarations(settings), name)


def check_sources(settings: Settings, folder: Path) -> None:
    """Refuse declarations that the feature tables do not keep.

    `feast apply` accepts a feature its source does not have and fails only at retrieval.

    Raises
    ------
    FeatureError
        Naming view and columns.
    """
    from feast.types import Float64

    declarations = load_declarations(settings)
    join_keys = {item.name: item.join_key for item in declarations if hasattr(item, "join_key")}
    problems = []
    for view in _views(declarations):
        file = folder / f"{view.name}.parquet"
        if not file.is_file():
            problems.append(f"view {view.name} has no table; features.FEATURE_TABLES lacks it")
            continue
        types = {field.name: str(field.type) for field in pq.read_schema(file)}
        keys = {join_keys[entity] for entity in view.entities}
        declared = {field.name for field in view.schema if field.name not in keys}
        absent = sorted((declared | keys | set(_TIMESTAMPS)) - set(types))
        undeclared = sorted(set(types) - declared - keys - set(_TIMESTAMPS))
        wrong = [
            f"{field.name} as {field.dtype}: declare Float64 ({_NUMBERS_ONLY})"
            for field in view.schema
            if field.name in declared and field.dtype != Float64
        ]
        wrong += [
            f'Float64 but {name} is {types[name]} in its table: .cast("float64") it there ({_NUMBERS_ONLY})'
            for name in sorted(declared & set(types))
            if types[name] != "double"
        ]
        if absent:
            problems.append(f"view {view.name} declares {', '.join(absent)}, which its table lacks")
        if undeclared:
            problems.append(f"the table of view {view.name} has {', '.join(undeclared)}, which it does not declare")
        problems += [f"view {view.name} declares {item}" for item in wrong]
    if problems:
        raise FeatureError("feature_repo/ and src/flightline/problem/features.py disagree: " + "; ".join(problems))


def activate(settings: Settings, folder: Path) -> None:
    """Make a version of the feature tables the one that Feast's sources point at."""
    link = settings.features_dir / "current"
    with atomic_write(link) as unfinished:
        unfinished.symlink_to(folder.name, target_is_directory=True)


@contextmanager
def hold_sources(settings: Settings) -> Iterator[None]:
    """Let nobody else who holds them point the sources at other tables; waits for who does, and ends with the process.

    Not for a block within another: it would wait for itself.
    """
    settings.features_dir.mkdir(parents=True, exist_ok=True)
    with (settings.features_dir / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_registered(settings: Settings, service: str) -> bool:
    """Say whether the registry knows a feature service, whatever it means there."""
    return service in {found.name for found in open_store(settings).list_feature_services()}


def apply(settings: Settings) -> list[str]:
    """Register the declarations, and remove what is declared no more; give the names of the feature views."""
    store = open_store(settings)
    declarations = load_declarations(settings)
    for item in declarations:
        refuse_code(item.to_proto(), "feature_repo/")
    names = {(type(item).__name__, item.name) for item in declarations}
    registered: list[Any] = [*store.list_feature_services(), *store.list_feature_views()]
    gone = [item for item in registered if (type(item).__name__, item.name) not in names]
    (settings.state_dir / "feast").mkdir(parents=True, exist_ok=True)
    store.apply(declarations, objects_to_delete=gone, partial=not gone)
    _let_readers_pass(store)
    return [view.name for view in _views(declarations)]


def _let_readers_pass(store: "FeatureStore") -> None:
    """Bring an online store that is a SQLite file to WAL mode, in which nobody who writes holds up a read.

    The file keeps it. In its default mode a service waits for seconds, and then fails, while a
    large view is written or somebody locks the file.
    """
    online = store.config.online_store
    if online.type == "sqlite":
        with closing(sqlite3.connect(store.repo_path / online.path)) as connection:
            enter_wal(connection, _LOCK_SECONDS)


def join_features(settings: Settings, service: str, examples: pd.DataFrame, meaning: str = "") -> pd.DataFrame:
    """Join each example with its features as of its event timestamp, on a snapshot of the registry.

    Parameters
    ----------
    examples
        With example_id, event_timestamp (UTC) and the entity keys; other columns are kept out
        of the join.
    meaning
        The digest that what is registered must have; empty: any.

    Returns
    -------
    DataFrame
        The features, float64, with the index of `examples`.

    Raises
    ------
    FeatureError
        If a key is not there, the join gives other rows, or another order, than it was given, or what is registered
        means something else.
    """
    return next(join_in_parts(settings, service, examples, meaning, max(1, len(examples))))


def join_in_parts(
    settings: Settings, service: str, examples: pd.DataFrame, meaning: str, rows: int
) -> Iterator[pd.DataFrame]:
    """Join as `join_features` does, and give the features of so many examples at a time, in their order."""
    with TemporaryDirectory(prefix="feast-registry-") as snapshot:
        store = open_on_snapshot(settings, Path(snapshot))
        _refuse_other_meaning(store, service, meaning)
        feature_service = store.get_feature_service(service)
        keys = _join_keys(store, feature_service)
        if absent := [key for key in keys if key not in examples]:
            raise FeatureError(
                f"views of {service} are joined by {', '.join(absent)}, which no request gives: name it in entity_keys "
                "of problem/config.py, or let request_keys of problem/request_features.py compute it"
            )
        entity_rows = examples[["example_id", "event_timestamp", *keys]]
        job = store.get_historical_features(entity_df=entity_rows.copy(), features=feature_service)
        for number, joined in enumerate(parts_of(job, rows)):
            given = examples.iloc[number * rows : (number + 1) * rows]
            check_rows(given["example_id"], joined["example_id"])
            yield joined.drop(columns=entity_rows.columns).set_axis(given.index)


def _refuse_other_meaning(store: "FeatureStore", service: str, meaning: str) -> None:
    if meaning not in ("", *(here := meanings_registered(store, service))):
        raise FeatureError(
            f"the feature views that are registered mean something else than expected (digest {here.whole[:12]}, "
            f"expected {meaning[:12]}): feature_repo/ has changed since, or somebody has written to the registry; "
            "train a model on today's definitions, or put the registry back"
        )


def check_registered(settings: Settings, service: str, meaning: str) -> None:
    """Demand that a feature service is registered, and means what a digest says.

    Raises
    ------
    FeatureError
        If it is not, or there is no registry.
    """
    with TemporaryDirectory(prefix="feast-registry-") as snapshot:
        store = open_on_snapshot(settings, Path(snapshot))
        if service not in {found.name for found in store.list_feature_services()}:
            raise FeatureError(f"the feature service {service} is not registered; run `make train`")
        _refuse_other_meaning(store, service, meaning)


def loaded_until(settings: Settings) -> datetime | None:
    """Say up to when every view has been loaded into the online store; None if there is one that never was.

    Raises
    ------
    FeatureError
        If the registry cannot be read, or is not there.
    """
    ends = [
        [interval.end_time.ToDatetime(UTC) for interval in view.meta.materialization_intervals]
        for view in read_registry(settings).feature_views
    ]
    return min(map(max, ends)) if ends and all(ends) else None


def _join_keys(store: "FeatureStore", service: "FeatureService") -> list[str]:
    views = [store.get_feature_view(projection.name) for projection in service.feature_view_projections]
    return sorted({column.name for view in views for column in view.entity_columns})


@contextmanager
def _without_feast_talking() -> Iterator[None]:
    """Keep Feast's own progress lines, and the deprecations it trips over, off the screen."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def materialise(
    settings: Settings, clock: datetime, report: Callable[[str], None] = lambda line: None
) -> dict[str, int]:
    """Load the newest value of every key, as of the clock, into the online store.

    Values older than their view's ttl would not be served, so nothing older is loaded; without a ttl, all are.

    Returns
    -------
    dict
        By view, the hours it was materialised over.
    """
    store = open_store(settings)
    starts = {view.name: clock - view.ttl if view.ttl else _BEGINNING for view in store.list_feature_views()}
    for name, start in starts.items():
        with _without_feast_talking():
            store.materialize(start, clock, feature_views=[name])
        report(name)
    return {name: (clock - start) // timedelta(hours=1) for name, start in starts.items()}


def materialise_since(settings: Settings, start: datetime, clock: datetime) -> None:
    """Load what became known from `start` to the clock, both included, over what was loaded before.

    Only for an online store that holds everything up to `start` and nothing later: some stores
    let an older value take the place of a newer one.
    """
    store = open_store(settings)
    with _without_feast_talking():
        store.materialize(start, clock, feature_views=[view.name for view in store.list_feature_views()])


def stored_views(settings: Settings, service: str) -> list[StoredView]:
    """Describe, in the service's order, its views and what of them was materialised."""
    store = open_store(settings)
    views = []
    for projection in store.get_feature_service(service).feature_view_projections:
        view = store.get_feature_view(projection.name)
        keys = tuple(column.name for column in view.entity_columns)
        features = tuple(field.name for field in projection.features)
        spans = union_of((_in_utc(start), _in_utc(end)) for start, end in view.materialization_intervals)
        views.append(StoredView(view.name, keys, features, view.ttl or timedelta(0), spans))
    return views


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
