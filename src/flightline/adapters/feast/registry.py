"""Opening Feast's registry, wherever it is: checked before anything of it is used (`registry_guard`)."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from flightline.adapters.feast.registry_guard import guard_feast, refuse_code
from flightline.core.errors import FeatureError
from flightline.core.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureStore
    from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto

_NO_REGISTRY = "there is no Feast registry yet; run `make train`, which applies and materialises features"
# Feast's offline store of several others, here of none, for whoever reads online alone: ours imports DuckDB and Ibis,
# which are 28 MB of a worker.
NO_OFFLINE_STORE = {"type": "hybrid", "offline_stores": []}
ASOF_STORE = "flightline.adapters.feast.asof_store.AsofOfflineStore"
SPARK_STORE = "flightline.adapters.feast.spark_store.SparkOfflineStore"
STORE_FILES = {"local": "feature_store.yaml", "stack": "feature_store.stack.yaml", "aws": "feature_store.aws.yaml"}


def store_file(settings: Settings) -> Path:
    """Give the YAML file that says where the registry and the stores of this place are."""
    return settings.feature_repo / STORE_FILES[settings.profile]


def open_store(settings: Settings) -> "FeatureStore":
    """Open the feature store of the settings' profile.

    Raises
    ------
    FeatureError
        If its file names variables that the environment does not have; a `StoredCodeError` if its registry holds what
        Feast would run.
    """
    store = _store(settings)
    if not _is_absent(store):
        _checked(store, settings)
    return store


def is_registry(file: Path) -> bool:
    """Say whether a file can be read as a registry of Feast."""
    from feast.protos.feast.core.Registry_pb2 import Registry
    from google.protobuf.message import DecodeError

    try:
        Registry.FromString(file.read_bytes())
    except DecodeError:
        return False
    return True


def read_registry(settings: Settings) -> "RegistryProto":
    """Give all that the registry holds; a file is read without Feast's store, which imports the offline store.

    Raises
    ------
    FeatureError
        As `open_on_snapshot`.
    """
    from feast.protos.feast.core.Registry_pb2 import Registry

    file = store_file(settings)
    _refuse_unset_variables(file)
    named = yaml.safe_load(file.read_text(encoding="utf-8"))["registry"]
    if not isinstance(named, str) or "://" in os.path.expandvars(named):
        return _opened(settings)[1]
    path = settings.feature_repo / os.path.expandvars(named)
    if not path.exists():
        raise FeatureError(_NO_REGISTRY)
    proto = Registry.FromString(path.read_bytes())
    refuse_code(proto, f"the registry that {file.name} names")
    return proto


def store_files(settings: Settings) -> tuple[Path, Path] | None:
    """Give the files of registry and online store, there or not; None unless both are files of this machine."""
    written = yaml.safe_load(store_file(settings).read_text(encoding="utf-8"))
    registry, online = written["registry"], written["online_store"]
    if not isinstance(registry, str) or "://" in registry or "$" in registry or online.get("type") != "sqlite":
        return None
    return settings.feature_repo / registry, settings.feature_repo / online["path"]


def open_on_snapshot(settings: Settings, folder: Path, offline: Mapping[str, Any] | None = None) -> "FeatureStore":
    """Open the store of the settings on a copy of its registry that nothing changes, made in a folder.

    Parameters
    ----------
    offline
        The offline store; None for that of the settings.

    Raises
    ------
    FeatureError
        As `open_store`, and if there is no registry.
    """
    from feast import FeatureStore
    from feast.infra.registry.file import FileRegistryStore
    from feast.protos.feast.core.FeatureView_pb2 import FeatureViewState
    from feast.repo_config import RegistryConfig

    source, proto = _opened(settings, offline)
    if (engine := getattr(source.registry, "write_engine", None)) is not None:
        engine.dispose()  # a registry in a database; it is asked once a minute
    for view in proto.feature_views:
        # Its last values are whole and may be served meanwhile.
        if view.meta.state == FeatureViewState.MATERIALIZING:
            view.meta.state = FeatureViewState.AVAILABLE_ONLINE
    copied = RegistryConfig(path=str(folder / "registry.db"), cache_ttl_seconds=0)
    FileRegistryStore(copied, folder).update_registry_proto(proto)
    # A config keeps the registry it was first asked for, so this takes a new one.
    config = _store(settings, offline).config.model_copy(update={"registry_config": copied})
    return FeatureStore(repo_path=str(settings.feature_repo), config=config)


def _opened(settings: Settings, offline: Mapping[str, Any] | None = None) -> "tuple[FeatureStore, RegistryProto]":
    source = _store(settings, offline)
    if _is_absent(source):
        raise FeatureError(_NO_REGISTRY)  # Feast would make an empty one
    return source, _checked(source, settings)


def _store(settings: Settings, offline: Mapping[str, Any] | None = None) -> "FeatureStore":
    from feast import FeatureStore, RepoConfig

    file = store_file(settings)
    _refuse_unset_variables(file)
    guard_feast()
    if offline is not None:
        written = yaml.safe_load(os.path.expandvars(file.read_text(encoding="utf-8")))
        config = RepoConfig(**{**written, "offline_store": offline})
        config.repo_path = settings.feature_repo
        return FeatureStore(repo_path=str(settings.feature_repo), config=config)
    store = FeatureStore(repo_path=str(settings.feature_repo), fs_yaml_file=file)
    store.config.offline_config = offline_store(settings)
    return store


def offline_store(settings: Settings) -> dict[str, Any]:
    """Give what the YAML file says of the offline store, and where it names ours, what the settings add to that.

    The engine decides which of our two it is; a store of another's stays what it is.
    """
    written = yaml.safe_load(store_file(settings).read_text(encoding="utf-8"))["offline_store"]
    if written["type"] != ASOF_STORE:
        return written
    written = written | {"limits": settings.duckdb_limits}
    if settings.engine == "duckdb":
        return written
    session = {"spark": settings.spark.model_dump(), "threads": settings.threads}
    return written | session | {"type": SPARK_STORE, "folder": str(settings.state_dir / "spark")}


def _checked(store: "FeatureStore", settings: Settings) -> "RegistryProto":
    """Give a copy of all that the registry holds, if it may be read."""
    proto = type(found := store.registry.proto())()
    proto.CopyFrom(found)
    # Its address may hold a password.
    refuse_code(proto, f"the registry that {store_file(settings).name} names")
    return proto


def _is_absent(store: "FeatureStore") -> bool:
    registry = store.config.registry
    is_file = registry.registry_type == "file" and "://" not in registry.path
    return is_file and not (store.repo_path / registry.path).exists()


def _refuse_unset_variables(file: Path) -> None:
    """Name what Feast would leave in its configuration as it stands, and then report as a wrong address."""
    try:
        written = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as err:
        raise FeatureError(f"{file.name} cannot be read ({err.strerror}); it is part of feature_repo/") from err
    unset = re.findall(r"\$\{(\w+)\}", os.path.expandvars(json.dumps(written)))
    if unset:
        raise FeatureError(f"{file.name} needs the variable(s) {', '.join(unset)}; set them as docs/operations.md says")
