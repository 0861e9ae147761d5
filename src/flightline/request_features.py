"""CHANGE ME for your own problem: the features that need nothing but the request itself.

Training and the service both call `request_features`, so the two cannot differ. It is apart
from `features.py` because the service has no use for that file's engine and contracts, and
imports neither.
"""

import numpy as np
import pandas as pd

LOCAL_TIME_ZONE = "America/New_York"
AREA = "NYC"
SLOT_FORMAT = "%Y-%m-%dT%H:%M"


def request_keys(requests: pd.DataFrame) -> pd.DataFrame:
    """Add the entity keys that follow from a request, and are not part of it.

    Parameters
    ----------
    requests
        With scheduled_departure (UTC).

    Returns
    -------
    DataFrame
        The same rows with area (all the airports together) and slot (the scheduled minute in
        UTC, as text).
    """
    departure = pd.DatetimeIndex(requests["scheduled_departure"]).tz_convert("UTC")
    return requests.assign(area=AREA, slot=np.asarray(departure.strftime(SLOT_FORMAT), dtype=object))


def request_features(requests: pd.DataFrame) -> pd.DataFrame:
    """Compute the features that need nothing but the request itself.

    Parameters
    ----------
    requests
        Columns origin, dest, carrier (text, None if missing) and scheduled_departure (UTC).

    Returns
    -------
    DataFrame
        Same index. origin, dest and carrier as text; scheduled_minute (local minute of the
        day, 0..1439) and day_of_week (local, Monday is 0) as float64.
    """
    local = pd.DatetimeIndex(requests["scheduled_departure"]).tz_convert(LOCAL_TIME_ZONE)
    return pd.DataFrame(
        {
            **{name: requests[name].to_numpy(dtype=object) for name in ("origin", "dest", "carrier")},
            "scheduled_minute": np.asarray(local.hour * 60 + local.minute, dtype="float64"),
            "day_of_week": np.asarray(local.dayofweek, dtype="float64"),
        },
        index=requests.index,
    )
