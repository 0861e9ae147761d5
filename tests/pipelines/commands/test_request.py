"""What `make predict` asks about: the next example, or EXAMPLE where nobody knows what comes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from flightline.adapters.event_clock import set_clock
from flightline.core.errors import FeatureError
from flightline.core.project import Project
from flightline.core.settings import Settings
from pipelines.commands.request import next_instance
from tests.toy_problem import EXAMPLE, PROBLEM, Instance, make_project, opens_of

ASKED_AT = opens_of(Instance.model_validate(EXAMPLE)) - PROBLEM.prediction_horizon
DAY = timedelta(days=1)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A root that knows one example, of the day before EXAMPLE's."""
    project = make_project(Settings(root=tmp_path, problem_package="tests.toy_problem"))
    opens = pd.Timestamp(datetime(2020, 7, 1, 6, microsecond=7, tzinfo=UTC))
    row = {"shop": "S02", "city": "Bergen", "opens": opens, "event_timestamp": ASKED_AT - DAY, "example_id": "1"}
    file = project.settings.features_dir / "current" / "examples" / "examples.parquet"
    file.parent.mkdir(parents=True)
    pd.DataFrame([row]).to_parquet(file)
    return project


def test_the_next_example_is_asked_about_to_the_microsecond(project: Project) -> None:
    set_clock(project.settings, ASKED_AT - DAY)
    assert next_instance(project) == {"shop": "S02", "city": "Bergen", "opens": "2020-07-01T06:00:00.000007+00:00"}


def test_where_no_example_is_known_ahead_it_is_the_schemas_own(project: Project) -> None:
    set_clock(project.settings, ASKED_AT)
    assert next_instance(project) == EXAMPLE


def test_with_neither_ahead_of_the_clock_there_is_nothing_to_ask(project: Project) -> None:
    set_clock(project.settings, ASKED_AT + timedelta(microseconds=1))
    with pytest.raises(FeatureError, match="no example lies after the event clock, nor does EXAMPLE"):
        next_instance(project)
