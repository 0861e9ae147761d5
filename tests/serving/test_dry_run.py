"""Examples answered without a service: by its own code, in every way that it answers."""

from dataclasses import replace

import numpy as np
import pytest

from flightline.adapters.feast.online_features import OnlineFeatures
from flightline.core.errors import FlightlineError, ModelFileError, RequestError
from flightline.core.project import Project
from serving.dry_run import answer
from tests.support.small_service import INSTANCE, NOON, HandMadeFeatures, put_model

OTHER = INSTANCE | {"shop": "S02"}


@pytest.fixture(autouse=True)
def features(monkeypatch: pytest.MonkeyPatch) -> HandMadeFeatures:
    found = HandMadeFeatures()
    monkeypatch.setattr(OnlineFeatures, "open", lambda *_: found)
    return found


def ask(project: Project, *requests: dict[str, object]) -> list[dict[str, object]]:
    return answer(project, project.settings.serving_models_dir, {"clock": NOON.isoformat(), "requests": requests})


def with_requests(project: Project, features: object) -> Project:
    return replace(project, requests=replace(project.requests, features=features))


def test_each_request_is_answered_with_what_it_rests_on(project, features):
    put_model(project.settings, "3")
    first, second = ask(project, INSTANCE, OTHER)
    assert (first["inputs"]["mean_units"], second["inputs"]["mean_units"]) == (60.0, -10.0)
    assert first["prediction"] > 0.5 > second["prediction"]
    assert features.is_closed


def test_without_a_model_there_is_no_answer(project):
    with pytest.raises(ModelFileError, match="there is no model in"):
        ask(project, INSTANCE)


def test_an_error_in_the_problems_code_names_its_line(project):
    def broken(columns: dict[str, list[object]]) -> dict[str, np.ndarray]:
        if columns["shop"][0] == "S02":
            columns["opens"][0].weekday_name  # noqa: B018
        return project.requests.features(columns)

    put_model(project.settings, "3")
    with pytest.raises(
        RequestError, match=r'"S02".* cannot be answered: AttributeError.*test_dry_run\.py, line \d+, in broken'
    ):
        ask(with_requests(project, broken), OTHER)


def test_an_answer_that_depends_on_its_neighbours_is_refused(project):
    def relative(columns: dict[str, list[object]]) -> dict[str, np.ndarray]:
        return {
            **project.requests.features(columns),
            "seats": np.full(len(columns["shop"]), float(len(columns["shop"]))),
        }

    put_model(project.settings, "3")
    with pytest.raises(RequestError, match="many requests at once"):
        ask(with_requests(project, relative), INSTANCE, OTHER)


def test_a_request_that_the_schema_refuses_names_its_field(project):
    put_model(project.settings, "3")
    with pytest.raises(RequestError, match=r"refuses .*: opens: "):
        ask(project, INSTANCE | {"opens": "soon"})


def test_the_self_test_is_part_of_it(project, monkeypatch):
    put_model(project.settings, "3")
    monkeypatch.setattr("serving.dry_run.run_self_test", refuse)
    with pytest.raises(FlightlineError, match="never"):
        ask(project, INSTANCE)


def refuse(_: object) -> None:
    raise ModelFileError("never")
