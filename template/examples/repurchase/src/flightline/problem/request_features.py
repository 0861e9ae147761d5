"""CHANGE ME for your own problem: the features that need nothing but the request itself.

Training and the service both call these functions, so the two cannot differ. They take columns
and give columns: training passes a frame, the service plain lists, because for one row a frame
takes longer than the model. The file is apart from `features.py` because the service has no use
for that file's engine and contracts, and imports neither.

Here a request tells nothing by itself. A customer's number does not speak of the customer, and of
the week only its season would count: the fit window has each season once at most, and what was learned
of one would be what happened in that year.
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
    """Compute the features that need nothing but the request itself: here there are none."""
    return {}
