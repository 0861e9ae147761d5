"""Feast, as the running service reads it: the newest values of many keys in one call.

Feast's online read applies no ttl and knows no clock, so both are judged here. Declarations,
joins and materialisation are in `feature_store.py`.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flightline.adapters.feast.meaning import meanings_registered
from flightline.adapters.feast.registry import STORE_FILES, open_on_snapshot
from flightline.core.clock import is_stale
from flightline.core.errors import FeatureError
from flightline.core.prediction_record import AFTER_THE_CLOCK, NO_VALUE, STALE
from flightline.core.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore, FeatureView
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey as EntityKeyProto
    from feast.protos.feast.types.Value_pb2 import Value as ValueProto

# When Feast's Redis store says that a key it does not have became known.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class FeatureRow:
    """What the online store knows of one entity row, as of a moment.

    Parameters
    ----------
    values
        Every feature of the service, None where it is missing.
    event_timestamps
        By view, when the value found became known (UTC), used or not; a view for which
        nothing was found is absent.
    missing
        Why a feature has no value: by view if none of its features has one, else by feature.
    """

    values: dict[str, float | None]
    event_timestamps: dict[str, datetime]
    missing: dict[str, str]


@dataclass(frozen=True)
class _View:
    declared: "FeatureView"
    name: str
    ttl: timedelta
    keys: tuple[str, ...]
    features: tuple[str, ...]


_Known = tuple[datetime | None, "Mapping[str, ValueProto] | None"]


class OnlineFeatures:
    """A feature service, opened once for many reads.

    It works on a snapshot of the registry: Feast refuses reads of a view that is being
    materialised (feast issue 6780), and rewrites a registry file in place. What is applied or
    materialised later is seen by the next one that is opened.

    Attributes
    ----------
    definitions_sha256, brief_definitions_sha256
        Digests of what the service and its views mean (`meaning.Meanings`).
    watermarks
        By view, up to when its values were materialised (UTC).
    """

    def __init__(self, store: "FeatureStore", service: "FeatureService", snapshot: tempfile.TemporaryDirectory[str]):
        self._store = store
        self._service = service
        self._snapshot = snapshot
        self._provider = store._get_provider()  # the one way to it; `online_read` is every store's own interface
        self._views = _views(store, service)
        self.definitions_sha256, self.brief_definitions_sha256 = meanings_registered(store, service.name)
        self.watermarks = _watermarks(store, self._views)
        keys = {key for view in self._views for key in view.keys}
        self._absent, self._as_proto = _absent_keys(store, keys), _makers(store, keys)

    @classmethod
    def open(cls, settings: Settings, service: str) -> "OnlineFeatures":
        """Open a feature service and read from it once.

        Raises
        ------
        FeatureError
            If it is not registered or not materialised, or the store cannot be reached.
        """
        snapshot = tempfile.TemporaryDirectory(prefix="feast-registry-")
        try:
            store = open_on_snapshot(settings, Path(snapshot.name))
            opened = cls(store, store.get_feature_service(service), snapshot)
            opened.read([{}], datetime.now(UTC))
        except FeatureError:
            snapshot.cleanup()
            raise
        except Exception as err:
            snapshot.cleanup()
            raise FeatureError(
                f"the feature service {service!r} cannot be opened ({type(err).__name__}); "
                "run `make train`, which registers and materialises it"
            ) from err
        return opened

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in the service's order."""
        return tuple(feature for view in self._views for feature in view.features)

    @property
    def views(self) -> dict[str, tuple[str, ...]]:
        """By view, the names of its features."""
        return {view.name: view.features for view in self._views}

    def read(self, entity_rows: Sequence[Mapping[str, object]], as_of: datetime) -> list[FeatureRow]:
        """Read the features of many entity rows in one call.

        Parameters
        ----------
        entity_rows
            Each with the join keys; others are ignored, and one that is None or absent ends
            as missing features.
        as_of
            The moment (UTC-aware) by which ttl is judged, and after which nothing is known.

        Raises
        ------
        FeatureError
            If the online store cannot be read.
        """
        if not entity_rows:
            return []
        try:
            known = [self._read_view(view, entity_rows) for view in self._views]
        except Exception as err:
            # Feast passes on whatever the store's own client raises: sqlite3, redis, botocore.
            raise FeatureError(
                f"the online store cannot be read ({type(err).__name__}); check that it is up and materialised"
            ) from err
        return [self._row(row, [view[index] for view in known], as_of) for index, row in enumerate(entity_rows)]

    def _read_view(self, view: _View, entity_rows: Sequence[Mapping[str, object]]) -> list[_Known]:
        """Ask the store's own interface, each key once: Feast's way round costs three times the reading."""
        keys = [tuple(_or(row.get(key), self._absent[key]) for key in view.keys) for row in entity_rows]
        unique = dict.fromkeys(keys)
        asked = [self._entity_key(view, key) for key in unique]
        found = self._provider.online_read(self._store.config, view.declared, asked, list(view.features))
        answers = dict(zip(unique, found, strict=True))
        return [answers[key] for key in keys]

    def _entity_key(self, view: _View, key: tuple[object, ...]) -> "EntityKeyProto":
        from feast.protos.feast.types.EntityKey_pb2 import EntityKey

        values = [self._as_proto[name](value) for name, value in zip(view.keys, key, strict=True)]
        return EntityKey(join_keys=view.keys, entity_values=values)

    def _row(self, row: Mapping[str, object], known: Sequence[_Known], as_of: datetime) -> FeatureRow:
        values: dict[str, float | None] = {}
        timestamps: dict[str, datetime] = {}
        missing: dict[str, str] = {}
        for view, (stamp, found) in zip(self._views, known, strict=True):
            # A store that holds rows of a missing key must not answer for every row without one.
            if stamp == _NEVER or any(row.get(key) is None for key in view.keys):
                stamp = None
            if stamp is not None:
                timestamps[view.name] = stamp
            if reason := _why_unusable(stamp, view.ttl, as_of):
                missing[view.name] = reason
                values |= dict.fromkeys(view.features)
                continue
            for feature in view.features:
                values[feature] = _as_float(found, feature)
                if values[feature] is None:
                    missing[feature] = NO_VALUE
        return FeatureRow(values, timestamps, missing)

    def close(self) -> None:
        """Remove the snapshot; the store is not to be read any more."""
        self._snapshot.cleanup()


def _why_unusable(stamp: datetime | None, ttl: timedelta, as_of: datetime) -> str | None:
    if stamp is None:
        return NO_VALUE
    if stamp > as_of:
        return AFTER_THE_CLOCK
    return STALE if is_stale(stamp, ttl, as_of) else None


def _as_float(found: "Mapping[str, ValueProto] | None", feature: str) -> float | None:
    value = found.get(feature) if found else None
    kind = value.WhichOneof("val") if value is not None else None
    number = getattr(value, kind) if kind and kind != "null_val" else None
    return None if number is None or number != number else float(number)


def _or(key: object, absent: object) -> object:
    return absent if key is None else key


def registry_stamp(settings: Settings) -> tuple[object, ...]:
    """Look cheaply whether the registry has changed: another stamp means that it may have.

    A registry that is no file of this machine counts as changed once a minute.
    """
    import yaml

    try:
        declared = yaml.safe_load((settings.feature_repo / STORE_FILES[settings.profile]).read_text(encoding="utf-8"))
        found = (settings.feature_repo / declared["registry"]).stat()
    except (OSError, KeyError, TypeError):
        return (int(time.time() // 60),)
    return found.st_mtime_ns, found.st_ino, found.st_size


def _views(store: "FeatureStore", service: "FeatureService") -> list[_View]:
    views = []
    for projection in service.feature_view_projections:
        view = store.get_feature_view(projection.name)
        if not view.materialization_intervals:
            # Feast would read it as empty, and every answer would lack its features.
            raise FeatureError(f"the feature view {view.name} was never materialised; run `make train`")
        keys = tuple(column.name for column in view.entity_columns)
        features = tuple(field.name for field in projection.features)
        views.append(_View(view, view.name, view.ttl or timedelta(0), keys, features))
    return views


def _watermarks(store: "FeatureStore", views: Sequence[_View]) -> dict[str, datetime]:
    ends = {
        view.name: max(end for _, end in store.get_feature_view(view.name).materialization_intervals) for view in views
    }
    return {name: end if end.tzinfo else end.replace(tzinfo=UTC) for name, end in ends.items()}


def _absent_keys(store: "FeatureStore", keys: set[str]) -> dict[str, object]:
    """Give, by join key, what to ask for where a row has none: Feast raises TypeError for None."""
    from feast import ValueType

    least = {ValueType.INT32: -(2**31), ValueType.INT64: -(2**63)}
    types = {entity.join_key: entity.value_type for entity in store.list_entities()}
    return {key: least.get(types[key], "") for key in sorted(keys)}


def _makers(store: "FeatureStore", keys: set[str]) -> "dict[str, Callable[[Any], ValueProto]]":
    """Give, by join key, what turns a value into Feast's own."""
    from feast import ValueType
    from feast.protos.feast.types.Value_pb2 import Value
    from feast.type_map import python_values_to_proto_values

    quick: dict[ValueType, Callable[[Any], Value]] = {
        ValueType.STRING: lambda value: Value(string_val=value),
        ValueType.INT64: lambda value: Value(int64_val=value),
        ValueType.INT32: lambda value: Value(int32_val=value),
    }
    types = {entity.join_key: entity.value_type for entity in store.list_entities()}
    slow = {kind: partial(_as_feast_does, python_values_to_proto_values, kind) for kind in set(types.values())}
    return {key: quick.get(types[key], slow[types[key]]) for key in keys}


def _as_feast_does(convert: "Callable[..., list[ValueProto]]", kind: object, value: object) -> "ValueProto":
    return convert([value], kind)[0]
