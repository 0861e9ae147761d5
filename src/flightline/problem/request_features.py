"""CHANGE ME for your own problem: the features that need nothing but the request itself.

Training and the service both call these functions, so the two cannot differ. They are written for one
request, in plain Python, and `by_row` makes functions of columns of them; where a second for 300,000 rows
is too long, write them for columns (ndarrays from a frame in training, from lists in the service). The file
is apart from `features.py` because the service has no use for that file's engine and contracts, and imports neither.

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
from datetime import UTC
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from flightline.data.by_row import by_row

LOCAL_TIME_ZONE = "America/New_York"
AREA = "NYC"
SLOT_FORMAT = "%Y-%m-%dT%H:%M"
WITHHELD = ("overdue_since",)  # a moment, which only grows: for `on_demand`, not for the model
_LOCAL = ZoneInfo(LOCAL_TIME_ZONE)

Requests: TypeAlias = pd.DataFrame | Mapping[str, Sequence[object]]


@by_row
def request_keys(request: Mapping[str, Any]) -> dict[str, str]:
    """Compute the entity keys that follow from a request, and are not part of it.

    Parameters
    ----------
    request
        With scheduled_departure (UTC).

    Returns
    -------
    dict
        area (all the airports together) and slot (the scheduled minute in UTC, as text).
    """
    return {"area": AREA, "slot": request["scheduled_departure"].astimezone(UTC).strftime(SLOT_FORMAT)}


@by_row
def request_features(request: Mapping[str, Any]) -> dict[str, Any]:
    """Compute the features that need nothing but the request itself.

    Parameters
    ----------
    request
        With origin, dest, carrier (text, None if missing) and scheduled_departure (UTC).

    Returns
    -------
    dict
        origin, dest and carrier as text; scheduled_minute (local minute of the day, 0..1439) and
        day_of_week (local, Monday is 0) as float.
    """
    local = request["scheduled_departure"].astimezone(_LOCAL)
    return {
        **{name: request[name] for name in ("origin", "dest", "carrier")},
        "scheduled_minute": float(local.hour * 60 + local.minute),
        "day_of_week": float(local.weekday()),
    }


def on_demand(requests: Requests, features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Compute how long overdue flights have been so: it grows from minute to minute, so no store holds it.

    Returns
    -------
    dict
        Of shape (n,): overdue_minutes, the mean of the flights overdue at the origin, float64; NaN where none is.
    """
    minute = np.asarray(requests["as_of"], dtype="datetime64[us]").view(np.int64) / 60e6
    return {"overdue_minutes": minute - features["overdue_since"]}
