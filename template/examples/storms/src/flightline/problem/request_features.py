"""CHANGE ME for your own problem: the features that need the request, alone or with the feature store.

Training and the service both call these functions, so the two cannot differ. They take columns
and give columns: training passes a frame, the service plain lists, because for one row a frame
takes longer than the model. The file is apart from `features.py` because the service has no use
for that file's engine and contracts, and imports neither.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

Requests: TypeAlias = pd.DataFrame | Mapping[str, Sequence[object]]

# A moment that only grows, and a place that the request has newer: for `on_demand`, not for the model.
WITHHELD = ("first_fix_at", "last_latitude", "last_longitude")


def request_keys(requests: Requests) -> dict[str, np.ndarray]:
    """Compute the entity keys that follow from a request, and are not part of it: here there are none."""
    return {}


def request_features(requests: Requests) -> dict[str, np.ndarray]:
    """Compute the features that need nothing but the request itself.

    Parameters
    ----------
    requests
        Columns basin, status and fixed_at (text, YYYY-MM-DDTHH:00Z), latitude and longitude (degrees), wind
        (knots) and pressure (hPa), of length n; the last two may be missing.

    Returns
    -------
    dict
        Of shape (n,): basin and status as text; as float64 from_equator and longitude (degrees, 0..360 to the
        east), wind (knots), pressure (hPa) and day_of_year (1..366).
    """
    days = pd.DatetimeIndex(pd.to_datetime(list(requests["fixed_at"]), format="%Y-%m-%dT%H:00Z"))
    return {
        "basin": np.asarray(requests["basin"], dtype=object),
        "status": np.asarray(requests["status"], dtype=object),
        "from_equator": np.abs(_numbers(requests, "latitude")),
        "longitude": _numbers(requests, "longitude") % 360,
        "wind": _numbers(requests, "wind"),
        "pressure": _numbers(requests, "pressure"),
        "day_of_year": np.asarray(days.dayofyear, dtype="float64"),
    }


def on_demand(requests: Requests, features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Compute what the fix changed against the newest published one, and the storm's age.

    Parameters
    ----------
    requests
        As above, and fixed_at of each.
    features
        Stored features, float64 of shape (n,), NaN where there is none: of a storm's first fix.

    Returns
    -------
    dict
        Of shape (n,), float64: wind_change (knots), pressure_change (hPa), moved_from_equator and moved_east
        (degrees), age_hours (hours).
    """
    seconds = [pd.Timestamp(text).timestamp() for text in requests["fixed_at"]]
    east = _numbers(requests, "longitude") - features["last_longitude"]
    return {
        "wind_change": _numbers(requests, "wind") - features["last_wind"],
        "pressure_change": _numbers(requests, "pressure") - features["last_pressure"],
        "moved_from_equator": np.abs(_numbers(requests, "latitude")) - np.abs(features["last_latitude"]),
        "moved_east": (east + 180) % 360 - 180,
        "age_hours": (np.asarray(seconds, dtype="float64") - features["first_fix_at"]) / 3600,
    }


def _numbers(requests: Requests, name: str) -> np.ndarray:
    return np.asarray(requests[name], dtype="float64")
