"""What a request may hold, and what an answer says."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from flightline.problem.api_schema import EVENT_TIME_FIELD, EXAMPLE, Instance, Outcome, event_time_of


def test_the_example_is_a_request_about_the_beginning_of_its_monday():
    assert event_time_of(Instance.model_validate(EXAMPLE)) == datetime(1998, 4, 6, tzinfo=UTC)
    assert EVENT_TIME_FIELD in Instance.model_fields


def test_it_holds_what_the_problem_names(project):
    assert set(Instance.model_fields) == set(project.request_fields)
    assert project.problem.label in Outcome.model_fields


@pytest.mark.parametrize(
    "changed",
    [
        {"week": "1998-04-07"},
        {"week": "1998-02-30"},
        {"week": "6.4.1998"},
        {"customer": 0},
        {"customer": "4"},
        {"customer": 4.0},
        {"customer": True},
        {"customer": None},
        {"amount": 3},
    ],
)
def test_other_requests_are_refused(changed):
    with pytest.raises(ValidationError):
        Instance.model_validate({**EXAMPLE, **changed})
