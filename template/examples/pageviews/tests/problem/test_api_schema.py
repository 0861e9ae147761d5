"""What a request may hold, and what an answer says."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from flightline.problem.api_schema import EVENT_TIME_FIELD, EXAMPLE, Instance, Outcome, event_time_of


def test_the_example_is_a_request_about_the_beginning_of_its_day():
    assert event_time_of(Instance.model_validate(EXAMPLE)) == datetime(2024, 11, 4, tzinfo=UTC)
    assert EVENT_TIME_FIELD in Instance.model_fields


def test_it_holds_what_the_problem_names(project):
    assert set(Instance.model_fields) == set(project.request_fields)
    assert project.problem.label in Outcome.model_fields


@pytest.mark.parametrize(
    "changed",
    [
        {"day": "2024-02-30"},
        {"day": "4.11.2024"},
        {"page": ""},
        {"page": "Good Friday"},
        {"page": None},
        {"views": 3},
    ],
)
def test_other_requests_are_refused(changed):
    with pytest.raises(ValidationError):
        Instance.model_validate({**EXAMPLE, **changed})


def test_an_answer_gives_the_views_beside_their_logarithm():
    assert Outcome(log_views=7.0).model_dump() == {"log_views": 7.0, "views": 1097}
