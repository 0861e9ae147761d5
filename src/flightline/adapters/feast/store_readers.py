"""How values get out of an online store: those of all views at once, where Feast asks for one view after the other.

SQLite is read by a prepared statement for each view over a connection of our own, Redis by one pipeline; any other
store by Feast's own `online_read`, which is what the two are equal to (`tests/adapters/feast/test_store_readers.py`).
"""

import sqlite3
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey as EntityKeyProto
    from feast.protos.feast.types.Value_pb2 import Value as ValueProto

Key: TypeAlias = tuple[Any, ...]  # the value of each join key of a view
# When the values of a key became known (None: there are none), and the values in the order of the view's features.
Found: TypeAlias = tuple[datetime | None, tuple[float | None, ...]]
NOTHING: Found = (None, ())
# When Feast's Redis store says that a key it does not have became known.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class View:
    """A feature view as a service takes it.

    Parameters
    ----------
    declared
        Feast's own.
    keys, features
        Names of its join keys, and of those of its features that the service takes.
    """

    declared: "FeatureView"
    name: str
    ttl: timedelta
    keys: tuple[str, ...]
    features: tuple[str, ...]
    missing: dict[str, None] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "missing", dict.fromkeys(self.features))


Asked: TypeAlias = Sequence[tuple[View, Sequence[Key]]]


class StoreReader:
    """Reads any online store, by Feast's own interface."""

    def __init__(self, store: "FeatureStore"):
        self._config = store.config
        self._store = store._get_provider()  # the one way to it
        self._as_proto = _makers(store)

    def read(self, asked: Asked) -> list[list[Found]]:
        """Give what is stored of the keys of each view; whatever the store's own client raises passes through."""
        return [
            [
                _in_order(view, *answer)
                for answer in self._store.online_read(
                    self._config, view.declared, [self._entity_key(view.keys, key) for key in keys], list(view.features)
                )
            ]
            for view, keys in asked
        ]

    def version(self) -> object:
        """Give what changes with whatever is written to the store; None if only the registry can tell."""
        return None

    def close(self) -> None:
        """Let go of what it holds; the store is not to be read any more."""

    def _entity_key(self, names: Sequence[str], key: Key) -> "EntityKeyProto":
        from feast.protos.feast.types.EntityKey_pb2 import EntityKey

        values = [self._as_proto[name](value) for name, value in zip(names, key, strict=True)]
        return EntityKey(join_keys=names, entity_values=values)

    def _serialised(self, asked: Asked) -> dict[tuple[tuple[str, ...], Key], bytes]:
        """Give each key as stores know it, by join keys and values: several views may have it."""
        from feast.infra.key_encoding_utils import serialize_entity_key

        version = self._config.entity_key_serialization_version
        return {
            which: serialize_entity_key(self._entity_key(*which), version)
            for which in {(view.keys, key) for view, keys in asked for key in keys}
        }


class SqliteReader(StoreReader):
    """Reads Feast's SQLite file, by one prepared statement for each view.

    Threads take turns: a connection that is closed while another thread reads from it ends the process.
    """

    def __init__(self, store: "FeatureStore", views: Sequence[View]):
        from feast.infra.online_stores import sqlite

        super().__init__(store)
        project, versioned = self._config.project, self._config.registry.enable_online_feature_view_versioning
        self._statements = {
            view.name: "SELECT feature_name, value, CAST(event_ts AS TEXT) FROM "  # noqa: S608  # Feast quotes it
            f"{sqlite._quote_id(sqlite._table_id(project, view.declared, versioned))} WHERE entity_key = ?"
            for view in views
        }
        self._moment = sqlite.convert_timestamp
        path = sqlite.SqliteOnlineStore._get_db_path(self._config)
        self._connection, self._turn = sqlite3.connect(path, check_same_thread=False), Lock()

    def read(self, asked: Asked) -> list[list[Found]]:
        """Give what is stored of the keys of each view."""
        stored = self._serialised(asked)
        with self._turn:
            return [[self._read_key(view, stored[view.keys, key]) for key in keys] for view, keys in asked]

    def _read_key(self, view: View, key: bytes) -> Found:
        rows = self._connection.execute(self._statements[view.name], (key,)).fetchall()
        if not rows:
            return NOTHING
        values: dict[str, float | None] = dict(view.missing)
        for name, value, _ in rows:
            if name in values:
                values[name] = _as_float(value)
        stamp = self._moment(rows[-1][2].encode())
        return stamp.astimezone(UTC) if stamp.tzinfo else stamp.replace(tzinfo=UTC), tuple(values.values())

    def version(self) -> object:
        """Give SQLite's own count of what others have committed to the file."""
        with self._turn:
            return self._connection.execute("PRAGMA data_version").fetchone()

    def close(self) -> None:
        """Close the connection, after whoever reads from it; who reads later is told that it is closed."""
        with self._turn:
            self._connection.close()


class RedisReader(StoreReader):
    """Reads Feast's Redis, all keys of all views in one pipeline."""

    def read(self, asked: Asked) -> list[list[Found]]:
        """Give what is stored of the keys of each view."""
        from feast.infra.online_stores.helpers import compute_versioned_name

        redis: Any = self._store.online_store
        stored = self._serialised(asked)
        project, versioned = self._config.project.encode(), self._config.registry.enable_online_feature_view_versioning
        names = [compute_versioned_name(view.declared, versioned) for view, _ in asked]
        fields = [
            redis._generate_hset_keys_for_features(view.declared, list(view.features), name)
            for (view, _), name in zip(asked, names, strict=True)
        ]
        commands = [
            (stored[view.keys, key] + project, hashed)
            for (view, keys), (_, hashed) in zip(asked, fields, strict=True)
            for key in keys
        ]
        answers = iter(redis._read_hash_fields(self._config, commands))
        return [
            [_in_order(view, *redis._get_features_for_entity(next(answers), name, plain)) for _ in keys]
            for (view, keys), name, (plain, _) in zip(asked, names, fields, strict=True)
        ]


def open_reader(store: "FeatureStore", views: Sequence[View]) -> StoreReader:
    """Open the reader that fits the online store of a configuration."""
    kind = store.config.online_store.type
    if kind == "sqlite":
        return SqliteReader(store, views)
    return RedisReader(store) if kind == "redis" else StoreReader(store)


def _in_order(view: View, stamp: datetime | None, found: "Mapping[str, ValueProto] | None") -> Found:
    if stamp is None or stamp == _NEVER or not found:
        return NOTHING
    return stamp, tuple(_number(found[name]) if name in found else None for name in view.features)


def _number(value: "ValueProto") -> float | None:
    kind = value.WhichOneof("val")
    number = getattr(value, kind) if kind and kind != "null_val" else None
    return None if number is None or number != number else float(number)


def _as_float(stored: bytes) -> float | None:
    """Read a stored value; most are one double, whose nine bytes take a fifth of the time without protobuf."""
    if len(stored) == _DOUBLE.size and stored[0] == _DOUBLE_TAG:
        number: float = _DOUBLE.unpack(stored)[0]
        return number if number == number else None
    from feast.protos.feast.types.Value_pb2 import Value

    return _number(Value.FromString(stored))


# https://protobuf.dev/programming-guides/encoding: the field's number and wire type, then the eight bytes.
_DOUBLE, _DOUBLE_TAG = struct.Struct("<xd"), 5 << 3 | 1


def _makers(store: "FeatureStore") -> "dict[str, Callable[[Any], ValueProto]]":
    """Give, by join key, what turns a value into Feast's own."""
    from feast import ValueType
    from feast.protos.feast.types.Value_pb2 import Value
    from feast.type_map import python_values_to_proto_values

    quick: dict[ValueType, Callable[[Any], Value]] = {
        ValueType.STRING: lambda value: Value(string_val=value),
        ValueType.INT64: lambda value: Value(int64_val=value),
        ValueType.INT32: lambda value: Value(int32_val=value),
    }
    return {
        entity.join_key: quick.get(
            entity.value_type, partial(_as_feast_does, python_values_to_proto_values, entity.value_type)
        )
        for entity in store.list_entities()
    }


def _as_feast_does(convert: "Callable[..., list[ValueProto]]", kind: object, value: object) -> "ValueProto":
    return convert([value], kind)[0]
