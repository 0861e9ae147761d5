"""Feast: declarations, the point-in-time join, and materialisation; `online_features.py` is what the service reads."""

import importlib.util
import io
import json
import os
import re
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
import yaml

from flightline.adapters.atomic_write import atomic_write
from flightline.core.errors import FeatureError
from flightline.core.settings import Settings
from flightline.monitoring.parity import StoredView, union_of

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore, FeatureView

STORE_FILES = {"local": "feature_store.yaml", "stack": "feature_store.stack.yaml", "aws": "feature_store.aws.yaml"}
_TIMESTAMPS = ("event_timestamp", "created_timestamp")


def store_file(settings: Settings) -> Path:
    """Give the YAML file that says where the registry and the stores of this place are."""
    return settings.feature_repo / STORE_FILES[settings.profile]


def offline_store_module(settings: Settings) -> ModuleType:
    """Give the module of the offline store that the YAML file names: its code makes the point-in-time join."""
    named = yaml.safe_load(store_file(settings).read_text(encoding="utf-8"))["offline_store"]["type"]
    return import_module(named.rpartition(".")[0])


def open_store(settings: Settings) -> "FeatureStore":
    """Open the feature store of the settings' profile.

    Raises
    ------
    FeatureError
        If its file names variables that the environment does not have.
    """
    from feast import FeatureStore

    file = store_file(settings)
    _refuse_unset_variables(file)
    return FeatureStore(repo_path=str(settings.feature_repo), fs_yaml_file=file)


def _refuse_unset_variables(file: Path) -> None:
    """Name what Feast would leave in its configuration as it stands, and then report as a wrong address."""
    try:
        written = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as err:
        raise FeatureError(f"{file.name} cannot be read ({err.strerror}); it is part of feature_repo/") from err
    unset = re.findall(r"\$\{(\w+)\}", os.path.expandvars(json.dumps(written)))
    if unset:
        raise FeatureError(f"{file.name} needs the variable(s) {', '.join(unset)}; set them as docs/operations.md says")


def load_declarations(settings: Settings) -> list[Any]:
    """Import every file of feature_repo/ and give the Feast objects in it, each once."""
    from feast import Entity, FeatureService, FeatureView

    found: dict[int, Any] = {}
    for file in sorted(settings.feature_repo.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"_feature_repo_{file.stem}", file)
        if spec is None or spec.loader is None:
            raise FeatureError(f"feature_repo/{file.name} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for value in vars(module).values():
            if isinstance(value, Entity | FeatureView | FeatureService):
                found[id(value)] = value
    return list(found.values())


def _views(declarations: list[Any]) -> list["FeatureView"]:
    from feast import FeatureView

    return [item for item in declarations if isinstance(item, FeatureView)]


def _service(declarations: list[Any], name: str) -> "FeatureService":
    from feast import FeatureService

    services = {item.name: item for item in declarations if isinstance(item, FeatureService)}
    if name not in services:
        raise FeatureError(
            f"feature_repo/ declares no feature service {name!r}, only: {', '.join(services) or 'none'}; "
            "declare it, or change feature_service in src/flightline/problem/config.py"
        )
    return services[name]


def describe_service(settings: Settings, name: str) -> dict[str, object]:
    """Describe a feature service, as it is declared, in plain values that change only when a meaning changes.

    Returns
    -------
    dict
        See `describe`.
    """
    return describe(load_declarations(settings), name)


def describe(declarations: list[Any], name: str) -> dict[str, object]:
    """Describe a feature service among Feast objects, declared or registered.

    Returns
    -------
    dict
        By view: join keys, ttl in seconds, timestamp columns, and the type of each feature
        the service takes.
    """
    views = {view.name: view for view in _views(declarations)}
    entities = {item.name: item.join_key for item in declarations if hasattr(item, "join_key")}
    described: dict[str, object] = {}
    for projection in _service(declarations, name).feature_view_projections:
        view = views[projection.name]
        described[view.name] = {
            "join_keys": sorted(entities[entity] for entity in view.entities),
            "ttl_seconds": view.ttl.total_seconds() if view.ttl else 0,
            "timestamps": _timestamp_columns(view),
            "features": {field.name: str(field.dtype) for field in projection.features},
        }
    return {"service": name, "views": described}


def describe_registered(store: "FeatureStore", name: str) -> dict[str, object]:
    """Describe a feature service as it is registered; equal to `describe_service` if the two agree."""
    registered: list[Any] = [*store.list_entities(), *store.list_feature_views(), store.get_feature_service(name)]
    return describe(registered, name)


def _timestamp_columns(view: "FeatureView") -> list[str]:
    if view.batch_source is None:
        raise FeatureError(f"view {view.name} has no source; give it the table of the same name in features.py")
    return [view.batch_source.timestamp_field, view.batch_source.created_timestamp_column]


def check_sources(settings: Settings, folder: Path) -> None:
    """Refuse declarations that the feature tables do not keep.

    `feast apply` accepts a feature its source does not have and fails only at retrieval.

    Raises
    ------
    FeatureError
        Naming view and columns.
    """
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
        wrong = [f"{name} is {types[name]}" for name in sorted(declared & set(types)) if types[name] != "double"]
        if absent:
            problems.append(f"view {view.name} declares {', '.join(absent)}, which its table lacks")
        if undeclared:
            problems.append(f"the table of view {view.name} has {', '.join(undeclared)}, which it does not declare")
        problems += [f"view {view.name} declares Float64 but {item} in its table" for item in wrong]
    if problems:
        raise FeatureError("feature_repo/ and src/flightline/problem/features.py disagree: " + "; ".join(problems))


def activate(settings: Settings, folder: Path) -> None:
    """Make a version of the feature tables the one that Feast's sources point at."""
    link = settings.features_dir / "current"
    with atomic_write(link) as unfinished:
        unfinished.symlink_to(folder.name, target_is_directory=True)


def is_registered(settings: Settings, service: str) -> bool:
    """Say whether the registry knows a feature service, whatever it means there."""
    return service in {found.name for found in open_store(settings).list_feature_services()}


def apply(settings: Settings) -> list[str]:
    """Register the declarations, and remove what is declared no more.

    Returns
    -------
    list of str
        Names of the feature views registered.
    """
    store = open_store(settings)
    declarations = load_declarations(settings)
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
            connection.execute("PRAGMA journal_mode=WAL")


def join_features(settings: Settings, service: str, examples: pd.DataFrame) -> pd.DataFrame:
    """Join each example with its features as of its event timestamp.

    Parameters
    ----------
    service
        Name of the feature service.
    examples
        With example_id, event_timestamp (UTC) and the entity keys; other columns are kept out
        of the join.

    Returns
    -------
    DataFrame
        The features, float64, with the index of `examples`.

    Raises
    ------
    FeatureError
        If the join gives other rows, or another order, than it was given.
    """
    store = open_store(settings)
    feature_service = store.get_feature_service(service)
    keys = _join_keys(store, feature_service)
    entity_rows = examples[["example_id", "event_timestamp", *keys]]
    joined = store.get_historical_features(entity_df=entity_rows.copy(), features=feature_service).to_df()
    check_rows(entity_rows["example_id"], joined["example_id"])
    return joined.drop(columns=entity_rows.columns).set_axis(examples.index)


def _join_keys(store: "FeatureStore", service: "FeatureService") -> list[str]:
    views = [store.get_feature_view(projection.name) for projection in service.feature_view_projections]
    return sorted({column.name for view in views for column in view.entity_columns})


def check_rows(given: pd.Series, joined: pd.Series) -> None:
    """Demand that a join gave back the rows it was given, in their order.

    Raises
    ------
    FeatureError
        With how many rows are missing, extra or out of place.
    """
    if list(given) == list(joined):
        return
    missing, extra = len(set(given) - set(joined)), len(joined) - len(set(joined))
    raise FeatureError(
        f"the point-in-time join was given {len(given)} rows and gave {len(joined)}: {missing} example(s) missing, "
        f"{extra} doubled" + ("" if missing or extra else ", in another order") + "; no model was trained on it. "
        "Check offline_store in feature_repo/feature_store.yaml (Feast's `file` store drops rows)"
    )


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

    Values older than their view's ttl would not be served, so nothing older is loaded.

    Returns
    -------
    dict
        By view, the ttl in hours it was materialised over.
    """
    store = open_store(settings)
    spans: Mapping[str, timedelta] = {
        view.name: view.ttl or timedelta(days=3650) for view in store.list_feature_views()
    }
    for name, ttl in spans.items():
        with _without_feast_talking():
            store.materialize(clock - ttl, clock, feature_views=[name])
        report(name)
    return {name: int(ttl.total_seconds() // 3600) for name, ttl in spans.items()}


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
