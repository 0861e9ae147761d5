"""What is wrong with examples is said before anything is learned from them: which rows, and what to change."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest

from flightline.core.errors import FeatureError
from flightline.core.project import Project
from flightline.core.settings import Settings
from flightline.training.example_checks import check_requests, check_rows, encode_label
from tests import toy_multiclass, toy_problem, toy_regression

PROJECTS = {"classification": toy_problem, "multiclass": toy_multiclass, "regression": toy_regression}
ROWS = 6


@pytest.fixture(params=PROJECTS)
def project(request: pytest.FixtureRequest) -> Project:
    return PROJECTS[request.param].make_project(Settings())


@pytest.fixture
def examples(project: Project) -> pd.DataFrame:
    """Six days of a shop; it was closed on the last but one, and the last is not over."""
    opens = pd.Series(pd.date_range("2020-06-01T06:00Z", periods=ROWS, freq="D"))
    label = pd.Series([0.0, 1.0, 0.0, 1.0, None, None])
    return pd.DataFrame(
        {
            "shop": "S01",
            "city": "Bergen",
            "opens": opens,
            "example_id": [f"e{number}" for number in range(ROWS)],
            "event_timestamp": opens - project.problem.prediction_horizon,
            "outcome": ["open"] * 4 + ["closed", None],
            "label_known_at": (opens + timedelta(hours=9)).where(label.notna()),
            project.problem.label: label,
        }
    )


def test_what_is_right_is_taken(project: Project, examples: pd.DataFrame) -> None:
    check_rows(examples, project.problem)
    check_requests(project, examples)


def test_a_class_becomes_its_number(project: Project, examples: pd.DataFrame) -> None:
    problem = project.problem
    if problem.task != "multiclass":
        assert encode_label(examples, problem) is examples
        return
    named = examples.assign(left_over=["none", "much", "little", "none", None, None])
    numbers = encode_label(named, problem)["left_over"]
    assert numbers.dtype == float
    assert numbers.fillna(-1).tolist() == [0, 2, 1, 0, -1, -1]
    said = (
        "1 of 6 examples have a left_over that is none of the classes of config.py ('All'; expected none, little, much)"
    )
    with pytest.raises(FeatureError, match=re.escape(said) + ", such as e1: name the class there"):
        encode_label(named.replace({"left_over": {"much": "All"}}), problem)


def naive(name: str) -> Callable[[pd.DataFrame, str], pd.DataFrame]:
    return lambda rows, label: rows.assign(**{name: rows[name].dt.tz_localize(None)})


def at(number: int, name: str, value: object) -> Callable[[pd.DataFrame, str], pd.DataFrame]:
    """Give what sets a cell; the name "label" stands for the label's column."""

    def set_cell(rows: pd.DataFrame, label: str) -> pd.DataFrame:
        rows.loc[number, label if name == "label" else name] = value
        return rows

    return set_cell


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (naive("event_timestamp"), "event_timestamp of the examples has type datetime64[ns], expected a moment with"),
        (naive("label_known_at"), "label_known_at of the examples has type datetime64[ns], expected a moment with"),
        (at(2, "example_id", None), "1 of 6 examples have no example_id"),
        (at(2, "event_timestamp", pd.NaT), "1 of 6 examples have no event_timestamp, such as e2"),
        (at(2, "example_id", "e0"), "2 of 6 examples share their example_id, such as e0, e0"),
        (at(2, "label_known_at", pd.NaT), "and no label_known_at, such as e2"),
        (at(2, "label_known_at", pd.Timestamp("2020-01-01T00:00Z")), "known before their event_timestamp, such as e2"),
        (at(2, "outcome", None), "and no outcome, such as e2"),
        (at(2, "label", None), "have the outcome 'open' and no "),
        (at(4, "label", 1.0), "and no label_known_at, such as e4"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_row_may_be_like_is_named(project: Project, examples: pd.DataFrame, spoil, said: str) -> None:
    with pytest.raises(FeatureError, match=re.escape(said)):
        check_rows(spoil(examples, project.problem.label), project.problem)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (at(3, "event_timestamp", pd.Timestamp("2020-06-04T06:00Z")), "example e3 has event_timestamp 2020-06-04 06:"),
        (at(3, "city", "bergen"), "the service would refuse example e3"),
        (naive("opens"), "the key 'opens' is 2020-06-01T06:00:00 without a time zone; add one"),
    ],
    ids=["another moment", "refused by the schema", "without a zone"],
)
def test_what_the_service_would_not_answer_is_named(project: Project, examples: pd.DataFrame, spoil, said: str) -> None:
    with pytest.raises(FeatureError, match=re.escape(said)):
        check_requests(project, spoil(examples, project.problem.label))


def test_an_example_of_the_schema_that_it_refuses_itself_is_named(project: Project, examples: pd.DataFrame) -> None:
    wrong = replace(project, schemas=replace(project.schemas, example=dict(project.schemas.example) | {"moon": 1}))
    with pytest.raises(FeatureError, match=r"the service would refuse EXAMPLE, .*: moon: Extra inputs"):
        check_requests(wrong, examples)


def test_a_column_that_the_schema_does_not_have_is_named(project: Project, examples: pd.DataFrame) -> None:
    problem = replace(project.problem, request_columns=("opens", "moon"))
    with pytest.raises(FeatureError, match=r"api_schema\.py has no field moon"):
        check_requests(replace(project, problem=problem), examples.assign(moon=1))


def test_without_an_example_it_is_said(project: Project, examples: pd.DataFrame) -> None:
    with pytest.raises(FeatureError, match="there are no examples as of the event clock"):
        check_requests(project, examples.head(0))
