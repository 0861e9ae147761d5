"""A monitor that does not run is told by `make status`."""

import json
import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.event_clock import set_clock
from flightline.core.settings import Settings
from pipelines.monitoring_steps.due import LATEST, monitoring_status
from tests.support.filled_log import fill, logged_rows
from tests.support.small_training_set import START, small_problem, small_project

PROBLEM = small_problem("classification")


@pytest.fixture
def served(tmp_path: Path) -> Settings:
    """A log of thirty days, one prediction a day, at noon."""
    settings = Settings(root=tmp_path)
    days = pd.Series(pd.date_range(START + timedelta(hours=12), periods=30, freq="D"))
    examples = pd.DataFrame({"side": "left", "event_timestamp": days})
    settings.prediction_log_file.parent.mkdir(parents=True)
    fill(settings, logged_rows(PROBLEM, examples, pd.DataFrame({"first": [1.0] * 30}), np.full(30, 0.5), "1"))
    set_clock(settings, START + timedelta(days=30))
    return settings


def ran(settings: Settings, day: float) -> None:
    folder = settings.state_dir / "monitoring"
    folder.mkdir(parents=True)
    record = {"decision": {"action": "ok", "summary": "ok: all is well"}, "clock": str(START + timedelta(days=day))}
    (folder / LATEST).write_text(json.dumps(record), encoding="utf-8")


def test_a_monitor_that_never_ran_is_overdue(served):
    told = monitoring_status(small_project(served, "classification"))
    assert told["decision"] is None
    assert told["overdue"].startswith("23 predictions have waited for the monitor for more than 7 days: it never ran")


def test_a_monitor_that_stopped_is_overdue(served):
    ran(served, 10)
    told = monitoring_status(small_project(served, "classification"))
    assert told["overdue"].startswith("13 predictions have waited")
    assert "it last ran at 2020-01-11 00:00:00+00:00; run `make monitor`" in told["overdue"]


def test_what_was_predicted_when_the_monitor_ran_has_been_seen(served):
    ran(served, 10.5)
    told = monitoring_status(small_project(served, "classification"))
    assert told["overdue"].startswith("12 predictions have waited")


def test_what_was_logged_after_it_ran_has_not_though_the_clock_stood_still(served):
    ran(served, 10.5)
    os.utime(served.state_dir / "monitoring" / LATEST, (0, 0))
    told = monitoring_status(small_project(served, "classification"))
    assert told["overdue"].startswith("13 predictions have waited")


@pytest.mark.parametrize("day", [23, 30])
def test_a_monitor_that_ran_within_the_week_is_not(served, day):
    ran(served, day)
    told = monitoring_status(small_project(served, "classification"))
    assert (told["decision"], told["overdue"]) == ("ok", None)


def test_where_nothing_was_predicted_nothing_is_overdue(tmp_path):
    settings = Settings(root=tmp_path)
    set_clock(settings, START)
    assert monitoring_status(small_project(settings, "classification"))["overdue"] is None
