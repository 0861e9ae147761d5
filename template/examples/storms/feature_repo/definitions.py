"""CHANGE ME for your own problem: what Feast knows of the features. Declarations only.

Feast imports this file on its own; nothing else does, and nothing here may have a side
effect. Each view's source is the table of the same name in `flightline.problem.features`; its ttl is
how old a value may be and still count.
"""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

OWNER = "mlops@flightline.example"

STORM = Entity(name="storm", value_type=ValueType.STRING, description="Serial number of the storm.")
BASIN = Entity(name="basin", value_type=ValueType.STRING, description="The part of the oceans it is in.")


def _view(name: str, entities: list[Entity], ttl: timedelta, features: dict[str, str], description: str) -> FeatureView:
    return FeatureView(
        name=name,
        entities=entities,
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
        owner=OWNER,
    )


STORM_TRACK = _view(
    "storm_track",
    [STORM],
    timedelta(days=2),
    {
        "last_wind": "Wind at the newest published fix, knots.",
        "last_pressure": "Pressure there, hectopascals.",
        "wind_change_12h": "Wind there less that of two fixes before, knots.",
        "max_wind": "Highest wind so far, knots.",
        "last_latitude": "Latitude there, degrees to the north.",
        "last_longitude": "Longitude there, degrees to the east.",
        "first_fix_at": "Moment of the storm's first fix, seconds since 1970.",
    },
    "The storm when it was last heard of.",
)

BASIN_RECENT = _view(
    "basin_recent",
    [BASIN],
    timedelta(days=14),
    {
        "basin_recent_14d_count": "Fixes of the last 14 days.",
        "basin_recent_14d_mean_wind": "Their mean wind, knots.",
    },
    "How busy the basin is.",
)

STORM_CLASS_V1 = FeatureService(
    name="storm_class_v1",
    features=[STORM_TRACK, BASIN_RECENT],
    description="What the model storm-class is trained and served on.",
    owner=OWNER,
    tags={"model": "storm-class"},
)
