"""CHANGE ME for your own problem: what Feast knows of the features. Declarations only.

Feast imports this file on its own; nothing else does, and nothing here may have a side
effect. Each view's source is the table of the same name in `flightline.problem.features`; its ttl is
how old a value may be and still count.
"""

from datetime import timedelta
from functools import partial

from feast import Entity, FeatureService, ValueType

from flightline.adapters.feast.declaring import declare_view
from flightline.data.rolling import rolled

OWNER = "mlops@flightline.example"
view = partial(declare_view, owner=OWNER)

STORM = Entity(name="storm", value_type=ValueType.STRING, description="Serial number of the storm.")
BASIN = Entity(name="basin", value_type=ValueType.STRING, description="The part of the oceans it is in.")

STORM_TRACK = view(
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

BASIN_RECENT = view(
    "basin_recent",
    [BASIN],
    timedelta(days=14),
    rolled("basin_recent", (timedelta(days=14),), {"mean_wind": "Mean wind of fixes, knots,"}),
    "How busy the basin is.",
)

STORM_CLASS_V1 = FeatureService(
    name="storm_class_v1",
    features=[STORM_TRACK, BASIN_RECENT],
    description="What the model storm-class is trained and served on.",
    owner=OWNER,
    tags={"model": "storm-class"},
)
