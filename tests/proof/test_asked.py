"""What the proof asks the service of a copy about, and what it logs there."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel, StringConstraints

from flightline.adapters.event_clock import set_clock
from flightline.core.settings import Settings
from tests import toy_problem
from tests.proof.inside.ask_service import last_instance
from tests.proof.inside.fill_log import can_breach


class ByMinute(BaseModel):
    """A request whose moment is text of a form of its own."""

    shop: str
    city: str
    opens: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\dZ$")]


@pytest.mark.parametrize(
    ("schema", "opens", "expected"),
    [
        (toy_problem.Instance, pd.Timestamp("2020-06-01T06:00Z"), "2020-06-04T06:00:00+00:00"),
        (ByMinute, "2020-06-01T06:00Z", "2020-06-04T06:00Z"),
    ],
    ids=["a moment", "text"],
)
def test_the_last_example_is_moved_to_after_the_clock_in_its_own_form(
    tmp_path: Path, schema: type[BaseModel], opens: object, expected: str
) -> None:
    toy = toy_problem.make_project(Settings(root=tmp_path))
    project = replace(toy, schemas=replace(toy.schemas, instance=schema))
    asked_at = datetime(2020, 5, 31, 18, tzinfo=UTC)
    file = project.settings.features_dir / "current" / "examples" / "examples.parquet"
    file.parent.mkdir(parents=True)
    row = {"shop": "S01", "city": "Bergen", "opens": opens, "event_timestamp": asked_at, "example_id": "1"}
    pd.DataFrame([row]).to_parquet(file)
    set_clock(project.settings, asked_at.replace(month=6, day=2, hour=19))
    assert last_instance(project)["opens"] == expected


@pytest.mark.parametrize(("days", "a_day", "expected"), [(56, 60, True), (7, 60, False), (56, 20, False)])
def test_labels_are_shifted_where_windows_have_enough_of_them(days: int, a_day: int, expected: bool) -> None:
    """Half of them are drawn: 210 a week, or 70, where a window of a week needs 100."""
    monitoring = replace(toy_problem.PROBLEM.monitoring, min_labels=100, windows=4, breaches=2)
    problem = replace(toy_problem.PROBLEM, monitoring=monitoring)
    moments = pd.Series(pd.date_range("2020-01-01", periods=days * a_day, freq=f"{1440 // a_day}min", tz="UTC"))
    examples = pd.DataFrame({"event_timestamp": moments, problem.label: np.arange(len(moments)) % 4 == 0})
    assert can_breach(examples.astype({problem.label: float}), problem) is expected
