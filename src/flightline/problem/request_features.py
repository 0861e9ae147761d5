"""CHANGE ME for your own problem: the features that need nothing but the request itself.

Training and the service both call these functions, so the two cannot differ. They take columns
and give columns: training passes a frame, the service plain lists, because for one row a frame
takes longer than the model. The file is apart from `features.py` because the service has no use
for that file's engine and contracts, and imports neither.

Features that need the request and the feature store together are computed by a third function, which may be
left out: `on_demand(requests, features)`.

- `requests` has the columns that the others get, and `as_of` (DatetimeIndex, UTC, microseconds): the
  moment that the stored features were asked as of. In training that is the prediction time, in a
  batch the row's prediction_time, in the service the event clock, which is before the prediction
  time if a request comes early. No stored value became known after it.
- `features` has the stored features by name: float64, of shape (n,), read-only. They are what the
  point-in-time join or the online read gave; missing or older than its ttl is NaN.
- It gives ndarrays of shape (n,) by name: float64 (NaN where there is no value; training refuses
  infinite ones) or text. No name may be that of a stored feature or of one of `request_features`.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

LOCAL_TIME_ZONE = "America/New_York"
AREA = "NYC"
SLOT_FORMAT = "%Y-%m-%dT%H:%M"
WITHHELD = ("overdue_since",)  # a moment, which only grows: for `on_demand`, not for the model

Requests: TypeAlias = pd.DataFrame | Mapping[str, Sequence[object]]


def request_keys(requests: Requests) -> dict[str, np.ndarray]:
    """Compute the entity keys that follow from a request, and are not part of it.

    Parameters
    ----------
    requests
        Column scheduled_departure (UTC), of length n.

    Returns
    -------
    dict
        Of shape (n,): area (all the airports together) and slot (the scheduled minute in UTC,
        as text).
    """
    departure = pd.DatetimeIndex(requests["scheduled_departure"]).tz_convert("UTC")
    return {
        "area": np.full(len(departure), AREA, dtype=object),
        "slot": np.asarray(departure.strftime(SLOT_FORMAT), dtype=object),
    }


def request_features(requests: Requests) -> dict[str, np.ndarray]:
    """Compute the features that need nothing but the request itself.

    Parameters
    ----------
    requests
        Columns origin, dest, carrier (text, None if missing) and scheduled_departure (UTC), of
        length n.

    Returns
    -------
    dict
        Of shape (n,): origin, dest and carrier as text; scheduled_minute (local minute of the
        day, 0..1439) and day_of_week (local, Monday is 0) as float64.
    """
    local = pd.DatetimeIndex(requests["scheduled_departure"]).tz_convert(LOCAL_TIME_ZONE)
    return {
        **{name: np.asarray(requests[name], dtype=object) for name in ("origin", "dest", "carrier")},
        "scheduled_minute": np.asarray(local.hour * 60 + local.minute, dtype="float64"),
        "day_of_week": np.asarray(local.dayofweek, dtype="float64"),
    }


def on_demand(requests: Requests, features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Compute how long overdue flights have been so: it grows from minute to minute, so no store holds it.

    Returns
    -------
    dict
        Of shape (n,): overdue_minutes, the mean of the flights overdue at the origin, float64; NaN where none is.
    """
    minute = pd.DatetimeIndex(requests["as_of"]).asi8 / 60e6
    return {"overdue_minutes": minute - features["overdue_since"]}
