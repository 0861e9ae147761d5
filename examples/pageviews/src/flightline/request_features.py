"""CHANGE ME for your own problem: the features that need nothing but the request itself.

Training and the service both call `request_features`, so the two cannot differ. It is apart
from `features.py` because the service has no use for that file's engine and contracts, and
imports neither.
"""

import numpy as np
import pandas as pd


def request_keys(requests: pd.DataFrame) -> pd.DataFrame:
    """Add the entity keys that follow from a request, and are not part of it: here there are none."""
    return requests


def request_features(requests: pd.DataFrame) -> pd.DataFrame:
    """Compute the features that need nothing but the request itself.

    Parameters
    ----------
    requests
        Columns page and day (text, YYYY-MM-DD).

    Returns
    -------
    DataFrame
        Same index. page as text; day_of_week (Monday is 0) and day_of_year (1..366) as float64.
    """
    day = pd.DatetimeIndex(pd.to_datetime(requests["day"], format="%Y-%m-%d"))
    return requests[["page"]].assign(
        day_of_week=np.asarray(day.dayofweek, dtype="float64"),
        day_of_year=np.asarray(day.dayofyear, dtype="float64"),
    )
