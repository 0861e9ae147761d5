"""What `make predict` asks about: the next example, or EXAMPLE where nobody knows what comes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from flightline.adapters.event_clock import set_clock
from flightline.adapters.upcoming import upcoming_instances
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


def test_of_years_to_come_only_the_first_are_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    file = project.settings.features_dir / "current" / "examples" / "examples.parquet"
    coming = pd.concat([pd.read_parquet(file)] * 900, ignore_index=True)
    number = coming.index.to_series()
    coming = coming.assign(shop="S" + number.astype(str), example_id=number.astype(str).str.zfill(3))
    coming["event_timestamp"] += (number // 4) * DAY  # four at once
    coming.sample(frac=1, random_state=0).to_parquet(file)
    read, cells = pq.read_table, list[int]()

    def counted(*arguments: object, **options: object) -> object:
        table = read(*arguments, **options)
        cells.append(table.num_rows * table.num_columns)
        return table

    monkeypatch.setattr(pq, "read_table", counted)
    found = upcoming_instances(project, ASKED_AT + DAY, 6)
    assert [each["shop"] for each in found] == ["S8", "S9", "S10", "S11", "S12", "S13"]
    assert sum(cells) < 2 * len(coming), "a column of times and a few rows, not all that comes"
