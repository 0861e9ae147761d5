"""The retention flow, from old rows of the prediction log to parquet files: it runs by its schedule.

By hand it is `make retention`, which needs no Prefect.
"""

from datetime import UTC, datetime

from prefect import flow

from flightline.core.project import open_project
from pipelines.common.retries import SCHEDULED
from pipelines.steps.retention import before_of, export


@flow(name="retention", validate_parameters=False, **SCHEDULED)
def retention() -> int:
    """Move predictions that are older than the setting says, and that monitoring no longer reads; give how many."""
    project, now = open_project(), datetime.now(UTC)
    return export(project, before_of(project.settings.prediction_log.retention_days, now), now)
