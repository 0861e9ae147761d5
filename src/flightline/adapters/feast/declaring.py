"""Declares a feature view as the machine keeps it: for `feature_repo/definitions.py`."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource
from feast.types import Float64


def declare_view(
    name: str,
    entities: Sequence[Entity],
    ttl: timedelta,
    features: Mapping[str, str],
    description: str,
    *,
    owner: str,
    tags: Mapping[str, str] | None = None,
) -> FeatureView:
    """Declare the view of a feature table.

    Parameters
    ----------
    name
        Of the table in `problem/features.py`, and of the view.
    entities
        What its rows are about.
    ttl
        How old a value may be and still count.
    features
        By name, what each means; all are float64.
    """
    return FeatureView(
        name=name,
        entities=list(entities),
        ttl=ttl,
        schema=[Field(name=feature, dtype=Float64, description=meaning) for feature, meaning in features.items()],
        source=FileSource(
            name=f"{name}_table",
            path=f"../.state/features/current/{name}.parquet",
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
        ),
        online=True,
        description=description,
        owner=owner,
        tags=dict(tags or {}),
    )
