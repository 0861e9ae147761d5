"""Days of predictions that are moved to parquet, and a mover that is killed at a step."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from flightline.adapters.prediction_log.exports.day_file import read_export
from flightline.adapters.prediction_log.retention import ArchivedDay, archive
from flightline.core.settings import Settings
from tests.adapters.prediction_log.predictions import LOGGED, prediction

PROJECT = Path(__file__).parents[4]
DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
NOW = LOGGED + 10 * DAY


def move(settings, before: datetime = MIDNIGHT + 2 * DAY, now: datetime = NOW) -> list[ArchivedDay]:
    return list(archive(settings, before, now))


def exported(settings) -> pd.DataFrame:
    files = sorted(settings.prediction_exports_dir.glob("*.parquet"))
    return pd.concat([read_export(file) for file in files], ignore_index=True)


def fill(log, rows: int, start: datetime = MIDNIGHT) -> pd.DataFrame:
    """Write rows, one a second, and give them as they are read."""
    made = [prediction(logged_at=start + timedelta(seconds=n), prediction=n / 7) for n in range(rows)]
    log.write(made)
    return log.read()


def kill_at(settings: Settings, step: str, number: int) -> None:
    """Move days in a process of its own and kill it at a step: see `child`."""
    command = [sys.executable, "-m", "tests.adapters.prediction_log.retention.child", str(settings.root)]
    child = subprocess.Popen(
        [*command, f"{NOW.date()}T00:00:00+00:00", step, str(number)],
        cwd=PROJECT,
        env=os.environ | {"LOG_URL": settings.prediction_log.url.get_secret_value()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout.readline() == b"here\n"
    child.kill()
    child.communicate()
