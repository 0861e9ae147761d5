"""What a request may hold, and what an answer says."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from flightline.problem.api_schema import EVENT_TIME_FIELD, EXAMPLE, Instance, Outcome, event_time_of


def test_the_example_is_a_request_about_the_moment_of_its_fix():
    assert event_time_of(Instance.model_validate(EXAMPLE)) == datetime(2024, 9, 1, 18, tzinfo=UTC)
    assert EVENT_TIME_FIELD in Instance.model_fields


def test_it_holds_what_the_problem_names(project):
    assert set(Instance.model_fields) == set(project.request_fields)
    assert project.problem.label in Outcome.model_fields


def test_a_wind_that_nobody_measured_may_be_left_out():
    assert Instance.model_validate({name: EXAMPLE[name] for name in EXAMPLE if name != "wind"}).wind is None


@pytest.mark.parametrize(
    "changed",
    [
        {"fixed_at": "2024-09-01T17:00Z"},
        {"fixed_at": "2024-02-30T18:00Z"},
        {"fixed_at": "2024-09-01T18:00"},
        {"fixed_at": 1725213600},
        {"basin": "NA"},
        {"storm": "Yagi"},
        {"latitude": 91},
        {"wind": 1000},
        {"wind": "40"},
        {"status": None},
        {"name": "Yagi"},
    ],
)
def test_other_requests_are_refused(changed):
    with pytest.raises(ValidationError):
        Instance.model_validate({**EXAMPLE, **changed})
