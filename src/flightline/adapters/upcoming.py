"""What there is to predict next, where the problem's examples lie at hand."""

from datetime import datetime

import pandas as pd
import pyarrow.parquet as pq

from flightline.core.project import Project

_TIME, _ID = "event_timestamp", "example_id"


def upcoming_instances(project: Project, clock: datetime, count: int) -> list[dict[str, object]]:
    """Give the first examples whose prediction time is not before the clock, as requests, in order of time.

    Parameters
    ----------
    clock
        Where the event clock stands (UTC-aware).

    Raises
    ------
    FileNotFoundError
        If there are no examples here.
    """
    file = project.settings.features_dir / "current" / "examples" / "examples.parquet"
    since = (_TIME, ">=", pd.Timestamp(clock))
    times = pq.read_table(file, columns=[_TIME], filters=[since]).to_pandas()[_TIME].nsmallest(count)
    if times.empty:
        return []
    columns = [*project.request_fields, _TIME, _ID]  # of those few alone: what comes may be years
    coming = pq.read_table(file, columns=columns, filters=[since, (_TIME, "<=", times.max())])
    first = coming.to_pandas().sort_values([_TIME, _ID]).head(count)
    return [dict(request) for request in project.requests_of(first)]
