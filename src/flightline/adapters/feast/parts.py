"""What a point-in-time join gives, some rows at a time. Nothing here imports Feast, which takes seconds."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from flightline.core.errors import FeatureError


def parts_of(job: Any, rows: int) -> Iterator[pd.DataFrame]:
    """Give a retrieval job's rows so many at a time; what can only be computed all at once is cut up.

    That is Feast's own jobs, and a job with on-demand views. Ours (`asof_store.py`) go in parts.
    """
    if (parts := getattr(job, "parts", None)) and not job.on_demand_feature_views:
        for part in parts(rows):
            yield part.to_pandas()
        return
    whole = job.to_df()
    for begin in range(0, max(1, len(whole)), rows):
        yield whole.iloc[begin : begin + rows]


def check_rows(given: pd.Series, joined: pd.Series) -> None:
    """Demand that a join gave back the rows it was given, in their order.

    Raises
    ------
    FeatureError
        With how many rows are missing, extra or out of place.
    """
    if list(given) == list(joined):
        return
    missing, extra = len(set(given) - set(joined)), len(joined) - len(set(joined))
    raise FeatureError(
        f"the point-in-time join was given {len(given)} rows and gave {len(joined)}: {missing} example(s) missing, "
        f"{extra} doubled" + ("" if missing or extra else ", in another order") + "; no model was trained on it. "
        "Check offline_store in feature_repo/feature_store.yaml (Feast's `file` store drops rows)"
    )
