"""CHANGE ME for your own problem: the features that need nothing but the request itself.

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


def request_keys(requests: Requests) -> dict[str, np.ndarray]:
    """Compute the entity keys that follow from a request, and are not part of it: here there are none."""
    return {}


def request_features(requests: Requests) -> dict[str, np.ndarray]:
    """Compute the features that need nothing but the request itself.

    Parameters
    ----------
    requests
        Columns page and day (text, YYYY-MM-DD), of length n.

    Returns
    -------
    dict
        Of shape (n,): page as text; day_of_week (Monday is 0) and day_of_year (1..366) as float64.
    """
    day = pd.DatetimeIndex(pd.to_datetime(list(requests["day"]), format="%Y-%m-%d"))
    return {
        "page": np.asarray(requests["page"], dtype=object),
        "day_of_week": np.asarray(day.dayofweek, dtype="float64"),
        "day_of_year": np.asarray(day.dayofyear, dtype="float64"),
    }
