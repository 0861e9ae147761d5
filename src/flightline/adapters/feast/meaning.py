"""What a feature service means, in plain values: the digest of it is signed with each model that was trained on it."""

from typing import TYPE_CHECKING, Any, NamedTuple

from flightline.core.errors import FeatureError
from flightline.core.lineage import digest_of

if TYPE_CHECKING:
    from feast import Entity, FeatureService, FeatureStore, FeatureView
    from feast.field import Field


class Meanings(NamedTuple):
    """Digests of what a feature service means.

    Parameters
    ----------
    whole
        Of `describe`; what models are signed with.
    brief
        Of `describe_briefly`; what models were signed with before.
    """

    whole: str
    brief: str


def describe(declarations: list[Any], name: str) -> dict[str, object]:
    """Describe a feature service among Feast objects, declared or registered.

    Returns
    -------
    dict
        By view, all that decides which values a model gets: the keys with their types, ttl, the table with its
        timestamps and mapped columns, the view's features with their types, and what the service takes of it.
        Descriptions, owners and tags are left out.
    """
    brief: dict[str, Any] = describe_briefly(declarations, name)
    views, entities = _named(declarations)
    for projection in _service(declarations, name).feature_view_projections:
        view = views[projection.name]
        brief["views"][view.name] |= {
            "key_types": _key_types(view, [entities[entity] for entity in view.entities]),
            "table": _table(view),
            "view_features": _types(view.features),
            "is_online": view.online and view.enabled,
            "taken_as": [projection.name_alias, projection.join_key_map, projection.version_tag],
        }
    return brief


def describe_briefly(declarations: list[Any], name: str) -> dict[str, object]:
    """Describe a feature service as models that were registered before December 2026 have it: a part of `describe`."""
    views, entities = _named(declarations)
    described: dict[str, object] = {}
    for projection in _service(declarations, name).feature_view_projections:
        view = views[projection.name]
        described[view.name] = {
            "join_keys": sorted(entities[entity].join_key for entity in view.entities),
            "ttl_seconds": view.ttl.total_seconds() if view.ttl else 0,
            "timestamps": _timestamp_columns(view),
            "features": _types(projection.features),
        }
    return {"service": name, "views": described}


def meanings_registered(store: "FeatureStore", name: str) -> Meanings:
    """Give the digests of a feature service as it is registered; equal to those of the declarations it came from."""
    registered: list[Any] = [*store.list_entities(), *store.list_feature_views(), store.get_feature_service(name)]
    return Meanings(digest_of(describe(registered, name)), digest_of(describe_briefly(registered, name)))


def _named(declarations: list[Any]) -> "tuple[dict[str, FeatureView], dict[str, Entity]]":
    from feast import Entity, FeatureView

    views = {item.name: item for item in declarations if isinstance(item, FeatureView)}
    return views, {item.name: item for item in declarations if isinstance(item, Entity)}


def _service(declarations: list[Any], name: str) -> "FeatureService":
    from feast import FeatureService

    services = {item.name: item for item in declarations if isinstance(item, FeatureService)}
    if name not in services:
        raise FeatureError(
            f"feature_repo/ declares no feature service {name!r}, only: {', '.join(services) or 'none'}; "
            "declare it, or change feature_service in src/flightline/problem/config.py"
        )
    return services[name]


def _types(fields: "list[Field]") -> dict[str, str]:
    return {field.name: str(field.dtype) for field in fields}


def _key_types(view: "FeatureView", entities: "list[Entity]") -> dict[str, str]:
    """Give the type of each key; Feast writes the view's own columns of keys, which reads go by, when it registers."""
    from feast.types import from_value_type

    declared = {entity.join_key: str(from_value_type(entity.value_type)) for entity in entities}
    if (registered := _types(view.entity_columns)) and registered != declared:
        return {f"{name} of the view": kind for name, kind in registered.items()} | declared
    return declared


def _table(view: "FeatureView") -> list[object]:
    source = view.batch_source
    return [
        type(source).__name__,
        getattr(source, "path", ""),
        getattr(source, "date_partition_column", ""),
        getattr(source, "field_mapping", {}),
        [other.name for other in view.source_views or []],
    ]


def _timestamp_columns(view: "FeatureView") -> list[str]:
    if view.batch_source is None:
        raise FeatureError(f"view {view.name} has no source; give it the table of the same name in features.py")
    return [view.batch_source.timestamp_field, view.batch_source.created_timestamp_column]
