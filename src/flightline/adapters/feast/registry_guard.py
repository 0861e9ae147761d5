"""What may stand in Feast's registry, checked before Feast makes an object of it.

Feast runs what it finds there: the source (`exec`) or the pickle (dill) of a transformation or a profiler, and the
import of any class that a data source, a saved dataset or a piece of infrastructure names. `skip_udf` covers a part of
the list methods only. So everything is refused that this project does not use: what a later Feast adds, too, until it
is listed here.
"""

from collections.abc import Callable, Iterator
from functools import cache, wraps
from typing import Any

from google.protobuf.message import Message

from flightline.core.errors import StoredCodeError

# Kinds of messages that hold names, numbers and times, and nothing that is run or imported.
PLAIN = frozenset(
    {
        "feast.core.Registry",
        *(f"feast.core.{name}" for name in ("Entity", "EntitySpecV2", "EntityMeta", "FeatureSpecV2")),
        *(f"feast.core.FeatureView{part}" for part in ("", "Spec", "Meta", "Projection")),
        *(f"feast.core.FeatureViewVersion{part}" for part in ("History", "Record")),
        "feast.core.MaterializationInterval",
        *(f"feast.core.FeatureService{part}" for part in ("", "Spec", "Meta")),
        *(f"feast.core.DataSource{part}" for part in ("", ".FileOptions", ".SourceMeta")),
        *(f"feast.core.FileFormat{part}" for part in ("", ".ParquetFormat")),
        *(f"feast.core.Project{part}" for part in ("", "Spec", "Meta", "Metadata")),
        *(f"feast.core.{name}" for name in ("Infra", "InfraObject", "SqliteTable")),
        "google.protobuf.Duration",
        "google.protobuf.Timestamp",
    }
)
# Fields whose text Feast imports as a class.
CLASSES = {
    "data_source_class_type": "feast.infra.offline_stores.file_source.FileSource",
    "infra_object_class_type": "feast.infra.online_stores.sqlite.SqliteTable",
}


def refuse_code(message: Message, where: str = "Feast's registry") -> None:
    """Refuse a message with anything in it that is not plain.

    Parameters
    ----------
    message
        A whole registry, or one object of it.
    where
        The registry, for the error.

    Raises
    ------
    StoredCodeError
        Naming what was found, and in which view.
    """
    found = "; ".join(_not_plain(message, ""))
    if found:
        raise StoredCodeError(
            f"{where} holds what Feast would run or import: {found}. Nothing of it is read. Features of this project "
            "are columns of tables and code of features.py and request_features.py, so feature_repo/ declares nothing "
            "of this kind: take it out there, or, if it is not there, find out who else can write to the registry, "
            "put the registry back from a backup or empty it, and run `make train` (docs/security.md)"
        )


def _not_plain(message: Message, path: str) -> Iterator[str]:
    """Name each part that is not plain, by the way to it."""
    name = getattr(getattr(message, "spec", message), "name", "")
    path = path + (f" {name!r}" if name else "")
    if message.DESCRIPTOR.full_name not in PLAIN:
        yield f"{path} (of kind {message.DESCRIPTOR.name})".lstrip(" .")
        return
    for field, value in message.ListFields():
        here = f"{path}.{field.name}"
        if value != CLASSES.get(field.name, value):
            yield f"{here} = {value!r}".lstrip(" .")
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            parts = [part for part in value.values() if isinstance(part, Message)]
        else:
            parts = [value] if isinstance(value, Message) else value
        for part in parts:
            yield from _not_plain(part, here)


@cache
def guard_feast() -> None:
    """Let Feast make an object of a message only if that is plain.

    A registry may change after it was checked, and parts of one in a database are read before the whole can be.
    """
    for kind in guarded_classes():
        method = vars(kind)["from_proto"]
        kind.from_proto = type(method)(_guarded(method.__func__))


def _guarded(make: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(make)
    def guarded(*args: Any, **options: Any) -> Any:
        for message in (*args, *options.values()):
            if isinstance(message, Message):
                refuse_code(message)
        return make(*args, **options)

    return guarded


def guarded_classes() -> list[Any]:
    """Give Feast's classes of what a registry holds; a test compares them with Feast's own list."""
    from feast import Entity, FeatureService, FeatureView, OnDemandFeatureView, Project, StreamFeatureView
    from feast.data_source import DataSource
    from feast.infra.infra_object import Infra
    from feast.labeling.label_view import LabelView
    from feast.permissions.permission import Permission
    from feast.saved_dataset import SavedDataset, ValidationReference

    views = [FeatureView, StreamFeatureView, OnDemandFeatureView, LabelView]
    return [*views, Entity, FeatureService, DataSource, Project, Infra, Permission, SavedDataset, ValidationReference]
