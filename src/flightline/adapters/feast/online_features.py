"""Feast, as the running service reads it: the newest values of many keys in one call.

Feast's online read applies no ttl and knows no clock, so both are judged here. Declarations,
joins and materialisation are in `feature_store.py`.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flightline.adapters.feast.meaning import meanings_registered
from flightline.adapters.feast.registry import NO_OFFLINE_STORE, STORE_FILES, open_on_snapshot
from flightline.adapters.feast.store_readers import NOTHING, Found, Key, View, open_reader
from flightline.core.clock import is_stale
from flightline.core.errors import FeatureError
from flightline.core.prediction_record import AFTER_THE_CLOCK, NO_VALUE, STALE
from flightline.core.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore

# Of each view: what is kept takes some MB, and is read again soon.
MAX_KEPT_KEYS = 1_000


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


class FeatureColumns(Mapping[str, list[float | None]]):
    """The values of some rows by feature; a column is made when it is looked at."""

    def __init__(self, names: Sequence[str], rows: Sequence[FeatureRow]):
        self._names, self._rows = names, rows

    def __getitem__(self, name: str) -> list[float | None]:
        return [row.values[name] for row in self._rows]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class OnlineFeatures:
    """A feature service, opened once for many reads.

    It works on a snapshot of the registry: Feast refuses reads of a view that is being
    materialised (feast issue 6780), and rewrites a registry file in place. What is applied or
    materialised later is seen by the next one that is opened. Until then values that were read are kept; those of
    SQLite only while nothing is written to it.

    Attributes
    ----------
    definitions_sha256, brief_definitions_sha256
        Digests of what the service and its views mean (`meaning.Meanings`).
    watermarks
        By view, up to when its values were materialised (UTC).
    """

    def __init__(self, store: "FeatureStore", service: "FeatureService", snapshot: tempfile.TemporaryDirectory[str]):
        self._snapshot = snapshot
        self._views = _views(store, service)
        self._reader = open_reader(store, self._views)
        self.definitions_sha256, self.brief_definitions_sha256 = meanings_registered(store, service.name)
        self.watermarks = _watermarks(store, self._views)
        self._absent = _absent_keys(store, {key for view in self._views for key in view.keys})
        self._kept: tuple[object, list[dict[Key, Found]]] = (None, [{} for _ in self._views])

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
            store = open_on_snapshot(settings, Path(snapshot.name), NO_OFFLINE_STORE)
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
            known = self._read(entity_rows)
        except Exception as err:
            # Feast passes on whatever the store's own client raises: sqlite3, redis, botocore.
            raise FeatureError(
                f"the online store cannot be read ({type(err).__name__}); check that it is up and materialised"
            ) from err
        return [self._row(found, as_of) for found in zip(*known, strict=True)]

    def _read(self, entity_rows: Sequence[Mapping[str, object]]) -> list[list[Found]]:
        """Give what is stored, by view and then by row; each key is asked for once, and what is kept not at all."""
        keys = [[tuple([row.get(name) for name in view.keys]) for row in entity_rows] for view in self._views]
        kept = self._kept_now()
        known: list[dict[Key, Any]] = [
            {key: have.get(key) for key in of_view} for of_view, have in zip(keys, kept, strict=True)
        ]
        unread = [[key for key, found in of_view.items() if found is None] for of_view in known]
        if any(unread):
            asked = [
                (view, [self._complete(view, key) for key in unknown])
                for view, unknown in zip(self._views, unread, strict=True)
            ]
            for of_view, have, unknown, answers in zip(known, kept, unread, self._reader.read(asked), strict=True):
                # A store that holds rows of a missing key must not answer for every row without one.
                of_view.update(
                    (key, NOTHING if None in key else found) for key, found in zip(unknown, answers, strict=True)
                )
                _keep(have, {key: of_view[key] for key in unknown if None not in key})
        return [[of_view[key] for key in rows] for of_view, rows in zip(known, keys, strict=True)]

    def _kept_now(self) -> list[dict[Key, Found]]:
        """Give what was read, by view, and still holds; another thread may go on with what held before."""
        version = self._reader.version()
        if version != self._kept[0]:
            self._kept = (version, [{} for _ in self._views])
        return self._kept[1]

    def _complete(self, view: View, key: Key) -> Key:
        if None not in key:
            return key
        # Read all the same: so whoever reads without a key learns whether the store is there.
        return tuple(self._absent[name] if value is None else value for name, value in zip(view.keys, key, strict=True))

    def _row(self, found: Sequence[Found], as_of: datetime) -> FeatureRow:
        values: dict[str, float | None] = {}
        timestamps: dict[str, datetime] = {}
        missing: dict[str, str] = {}
        for view, (stamp, numbers) in zip(self._views, found, strict=True):
            if stamp is not None:
                timestamps[view.name] = stamp
            if reason := _why_unusable(stamp, view.ttl, as_of):
                missing[view.name] = reason
                values |= view.missing
                continue
            values.update(zip(view.features, numbers, strict=True))
            if None in numbers:
                missing |= {
                    name: NO_VALUE for name, number in zip(view.features, numbers, strict=True) if number is None
                }
        return FeatureRow(values, timestamps, missing)

    def close(self) -> None:
        """Let go of the store and remove the snapshot; it is not to be read any more."""
        self._reader.close()
        self._snapshot.cleanup()


def _keep(kept: dict[Key, Found], read: Mapping[Key, Found]) -> None:
    if len(kept) + len(read) > MAX_KEPT_KEYS:
        kept.clear()
    kept.update(islice(read.items(), MAX_KEPT_KEYS))


def _why_unusable(stamp: datetime | None, ttl: timedelta, as_of: datetime) -> str | None:
    if stamp is None:
        return NO_VALUE
    if stamp > as_of:
        return AFTER_THE_CLOCK
    return STALE if is_stale(stamp, ttl, as_of) else None


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


def _views(store: "FeatureStore", service: "FeatureService") -> list[View]:
    views = []
    for projection in service.feature_view_projections:
        view = store.get_feature_view(projection.name)
        if not view.materialization_intervals:
            # Feast would read it as empty, and every answer would lack its features.
            raise FeatureError(f"the feature view {view.name} was never materialised; run `make train`")
        keys = tuple(column.name for column in view.entity_columns)
        features = tuple(field.name for field in projection.features)
        views.append(View(view, view.name, view.ttl or timedelta(0), keys, features))
    return views


def _watermarks(store: "FeatureStore", views: Sequence[View]) -> dict[str, datetime]:
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
