"""CHANGE ME for your own problem: what Feast knows of the features. Declarations only.

Feast imports this file on its own; nothing else does, and nothing here may have a side
effect. Each view's source is the table of the same name in `flightline.features`; its ttl is
how old a value may be and still count.
"""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

OWNER = "mlops@flightline.example"

ORIGIN = Entity(name="origin", value_type=ValueType.STRING, description="Airport of departure (IATA code).")
CARRIER = Entity(name="carrier", value_type=ValueType.STRING, description="Airline (IATA code).")
AIRCRAFT = Entity(
    name="aircraft", join_keys=["tailnum"], value_type=ValueType.STRING, description="Aircraft, by tail number."
)


def _view(
    name: str, entities: list[Entity], ttl: timedelta, features: dict[str, str], description: str, group: str
) -> FeatureView:
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
        tags={"group": group},
    )


def _delays(prefix: str, windows: dict[str, str], what: str) -> dict[str, str]:
    features = {}
    for window, span in windows.items():
        features[f"{prefix}_{window}_count"] = f"{what} in the last {span}."
        features[f"{prefix}_{window}_mean_delay"] = (
            f"Mean delay of {what.lower()} in the last {span}, minutes, -30..240."
        )
        features[f"{prefix}_{window}_share_late"] = (
            f"Share of {what.lower()} in the last {span} late by 15 minutes or more."
        )
    return features


ORIGIN_WEATHER = _view(
    "origin_weather",
    [ORIGIN],
    timedelta(hours=6),
    {
        "temp": "Temperature, degrees Fahrenheit.",
        "dewp": "Dew point, degrees Fahrenheit.",
        "humid": "Relative humidity, percent.",
        "wind_speed": "Wind speed, mph.",
        "wind_gust": "Gust speed, mph.",
        "precip": "Precipitation in the hour, inches.",
        "pressure": "Sea level pressure, millibars.",
        "visib": "Visibility, miles.",
    },
    "Weather at the origin in the last full hour, known at the hour's end.",
    "weather",
)

_ORIGIN_WINDOWS = {"1h": "hour", "3h": "3 hours", "24h": "24 hours"}
ORIGIN_DEPARTURES = _view(
    "origin_departures",
    [ORIGIN],
    timedelta(hours=24),
    _delays("origin_departures", _ORIGIN_WINDOWS, "Departures and cancellations")
    | {
        f"origin_departures_{window}_share_cancelled": f"Share cancelled in the last {span}."
        for window, span in _ORIGIN_WINDOWS.items()
    },
    "Recent departures, delays and cancellations at the origin.",
    "congestion",
)

CARRIER_ARRIVALS = _view(
    "carrier_arrivals",
    [CARRIER],
    timedelta(days=7),
    _delays("carrier_arrivals", {"6h": "6 hours", "7d": "7 days"}, "Landings of the carrier"),
    "Recent punctuality of the carrier, known at each landing.",
    "performance",
)

AIRCRAFT_LAST_DEPARTURE = _view(
    "aircraft_last_departure",
    [AIRCRAFT],
    timedelta(days=2),
    {"last_departure_delay": "Departure delay of the aircraft's last leg, minutes."},
    "The aircraft's last leg, known at its departure.",
    "rotation",
)

AIRCRAFT_LAST_ARRIVAL = _view(
    "aircraft_last_arrival",
    [AIRCRAFT],
    timedelta(days=2),
    {"last_arrival_delay": "Arrival delay of the aircraft's last leg, minutes."},
    "The aircraft's last leg, known at its landing.",
    "rotation",
)

FLIGHT_DELAY_V1 = FeatureService(
    name="flight_delay_v1",
    features=[ORIGIN_WEATHER, ORIGIN_DEPARTURES, CARRIER_ARRIVALS, AIRCRAFT_LAST_DEPARTURE, AIRCRAFT_LAST_ARRIVAL],
    description="What the model flight-delay is trained and served on, besides the request itself.",
    owner=OWNER,
    tags={"model": "flight-delay"},
)
