"""CHANGE ME for your own problem: what Feast knows of the features. Declarations only.

Feast imports this file on its own; nothing else does, and nothing here may have a side
effect. Each view's source is the table of the same name in `flightline.problem.features`; its ttl is
how old a value may be and still count.
"""

from datetime import timedelta
from functools import partial

from feast import Entity, FeatureService, FeatureView, ValueType

from flightline.adapters.feast.declaring import declare_view

OWNER = "mlops@flightline.example"
view = partial(declare_view, owner=OWNER)
WEATHER, CONGESTION, PERFORMANCE, SCHEDULE, ROTATION = (
    {"group": name} for name in ("weather", "congestion", "performance", "schedule", "rotation")
)

ORIGIN = Entity(name="origin", value_type=ValueType.STRING, description="Airport of departure (IATA code).")
CARRIER = Entity(name="carrier", value_type=ValueType.STRING, description="Airline (IATA code).")
AIRCRAFT = Entity(
    name="aircraft", join_keys=["tailnum"], value_type=ValueType.STRING, description="Aircraft, by tail number."
)
DESTINATION = Entity(
    name="destination", join_keys=["dest"], value_type=ValueType.STRING, description="Airport of arrival (IATA code)."
)
FLIGHT_NUMBER = Entity(
    name="flight_number", join_keys=["flight"], value_type=ValueType.INT64, description="Flight number of a carrier."
)
AREA = Entity(name="area", value_type=ValueType.STRING, description="All the airports of departure together.")
SLOT = Entity(name="slot", value_type=ValueType.STRING, description="Scheduled minute of departure, UTC.")


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


ORIGIN_WEATHER = view(
    "origin_weather",
    [ORIGIN],
    timedelta(hours=6),
    {
        "temp": "Temperature, degrees Fahrenheit.",
        "dewp": "Dew point, degrees Fahrenheit.",
        "humid": "Relative humidity, percent.",
        "wind_dir": "Where the wind comes from, degrees, 0..360; none in a calm.",
        "wind_speed": "Wind speed, mph.",
        "wind_gust": "Gust speed, mph.",
        "precip": "Precipitation in the hour, inches.",
        "pressure": "Sea level pressure, millibars.",
        "visib": "Visibility, miles.",
        "temp_change_3h": "Change of temperature over 3 hours, degrees Fahrenheit.",
        "wind_speed_change_3h": "Change of wind speed over 3 hours, mph.",
        "pressure_change_3h": "Change of pressure over 3 hours, millibars.",
        "visib_change_3h": "Change of visibility over 3 hours, miles.",
    },
    "Weather at the origin in the last full hour and how it changed, known at the hour's end.",
    tags=WEATHER,
)


def _departures(name: str, entities: list[Entity], windows: dict[str, str], ttl: timedelta, where: str) -> FeatureView:
    features = _delays(name, windows, "Departures and cancellations")
    for window, span in windows.items():
        features[f"{name}_{window}_share_cancelled"] = f"Share cancelled in the last {span}."
    return view(name, entities, ttl, features, f"Recent departures, delays and cancellations {where}.", tags=CONGESTION)


def _arrivals(name: str, entities: list[Entity], windows: dict[str, str], ttl: timedelta, what: str) -> FeatureView:
    features = _delays(name, windows, "Landings")
    for window, span in windows.items():
        features[f"{name}_{window}_mean_lost"] = f"Mean minutes lost on the way in the last {span}, -60..120."
    return view(
        name, entities, ttl, features, f"Recent punctuality of {what}, known at each landing.", tags=PERFORMANCE
    )


_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_H1, _H3, _H6, _H12, _H24 = ({f"{n}h": "hour" if n == 1 else f"{n} hours"} for n in (1, 3, 6, 12, 24))
_D7, _D30, _D90 = ({f"{n}d": f"{n} days"} for n in (7, 30, 90))

ORIGIN_DEPARTURES = _departures("origin_departures", [ORIGIN], _H1 | _H3 | _H24, 24 * _HOUR, "at the origin")
AREA_DEPARTURES = _departures("area_departures", [AREA], _H1 | _H3, 3 * _HOUR, "at all origins together")
CARRIER_ORIGIN_DEPARTURES = _departures(
    "carrier_origin_departures", [CARRIER, ORIGIN], _H3 | _H12, 12 * _HOUR, "of the carrier at the origin"
)
ORIGIN_OVERDUE = view(
    "origin_overdue",
    [ORIGIN],
    24 * _HOUR,
    {
        "overdue_count": "Flights that should have left, have not, and are not cancelled.",
        "overdue_since": "Mean minute, since 1970, that they are due since; for on_demand, not for the model.",
    },
    "Flights overdue at the origin.",
    tags=CONGESTION,
)
ORIGIN_ARRIVALS = _arrivals("origin_arrivals", [ORIGIN], _H3 | _H24, 24 * _HOUR, "flights from the origin")
CARRIER_ARRIVALS = _arrivals("carrier_arrivals", [CARRIER], _H6 | _D7, 7 * _DAY, "the carrier")
ROUTE_ARRIVALS = _arrivals("route_arrivals", [ORIGIN, DESTINATION], _H24 | _D30, 30 * _DAY, "the route")
DESTINATION_ARRIVALS = _arrivals(
    "destination_arrivals", [DESTINATION], _H6 | _H24 | _D30, 30 * _DAY, "flights to the destination"
)
FLIGHT_NUMBER_ARRIVALS = _arrivals(
    "flight_number_arrivals", [CARRIER, FLIGHT_NUMBER], _D30 | _D90, 90 * _DAY, "the flight number"
)

# Known 28 days ahead, so a flight may be asked about from then until it leaves.
_SCHEDULE_TTL = timedelta(days=30)
COMING_SCHEDULE = view(
    "coming_schedule",
    [ORIGIN, SLOT],
    _SCHEDULE_TTL,
    {
        "scheduled_around": "Flights scheduled at the origin within 30 minutes of this one.",
        "scheduled_3h_before": "Flights scheduled at the origin in the 3 hours up to this one.",
    },
    "How busy the origin is scheduled to be around the departure.",
    tags=SCHEDULE,
)

SCHEDULED_FLIGHT = view(
    "scheduled_flight",
    [CARRIER, FLIGHT_NUMBER, ORIGIN, SLOT],
    _SCHEDULE_TTL,
    {
        "distance": "Distance, miles.",
        "scheduled_minutes": "Scheduled time from gate to gate, minutes.",
        "scheduled_arrival_minute": "Scheduled arrival, local minute of the day at the destination, 0..1440.",
    },
    "What the schedule says of the flight itself.",
    tags=SCHEDULE,
)

AIRCRAFT_TURNS = view(
    "aircraft_turns",
    [AIRCRAFT, SLOT],
    timedelta(days=2),
    {
        "turn_slack": "Minutes between the aircraft's leg before, there and back by plan, and this departure, 45..720.",
        "turn_delay": "Delay of that leg, minutes: at the departure, then at the landing.",
    },
    "The aircraft's turn to this flight, known once the leg before has left.",
    tags=ROTATION,
)

FLIGHT_DELAY_V1 = FeatureService(
    name="flight_delay_v1",
    features=[
        ORIGIN_WEATHER,
        ORIGIN_DEPARTURES,
        AREA_DEPARTURES,
        CARRIER_ORIGIN_DEPARTURES,
        ORIGIN_OVERDUE,
        ORIGIN_ARRIVALS,
        CARRIER_ARRIVALS,
        ROUTE_ARRIVALS,
        DESTINATION_ARRIVALS,
        FLIGHT_NUMBER_ARRIVALS,
        AIRCRAFT_TURNS,
        COMING_SCHEDULE,
        SCHEDULED_FLIGHT,
    ],
    description="What the model flight-delay is trained and served on, besides the request itself.",
    owner=OWNER,
    tags={"model": "flight-delay"},
)
