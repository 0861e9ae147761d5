"""Batch scoring: files are read in the project's types, and answers are those of the service's own code."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.event_clock import set_clock
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.errors import RequestError
from flightline.core.problem_spec import Task
from flightline.core.project import Project
from flightline.core.settings import Settings
from pipelines import batch
from pipelines.common.progress import Stage
from serving.prediction.predictor import Predictor
from tests import toy_multiclass
from tests.support.small_service import KINDS, NOON, HandMadeFeatures, fitted, manifest_of
from tests.toy_problem import make_project

REQUEST = {"shop": "S01", "city": "Bergen", "guests": 23}
COLUMNS = ["shop", "city", "opens", "guests"]


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A root that knows three examples, the last of them after the clock; a request holds a whole number too."""
    settings = Settings(root=tmp_path)
    folder = settings.features_dir / "current" / "examples"
    folder.mkdir(parents=True)
    rows = [
        REQUEST | {"opens": at(hours + 12), "event_timestamp": at(hours), "example_id": f"e{hours}"}
        for hours in (-5, 0, 3)
    ]
    pd.DataFrame(rows).to_parquet(folder / "examples.parquet")
    set_clock(settings, NOON)
    project = make_project(settings)
    return replace(project, problem=replace(project.problem, request_columns=("opens", "guests")))


def write_csv(project: Project, *rows: dict, name: str = "asked.csv") -> Path:
    file = project.settings.root / name
    pd.DataFrame(rows).to_csv(file, index=False, na_rep="NA")
    return file


ASKED = REQUEST | {"opens": at(3).isoformat()}


def test_a_range_gives_what_lies_in_it_up_to_the_clock(project: Project) -> None:
    assert list(batch.examples_between(project.settings, at(-9), at(9))["example_id"]) == ["e-5", "e0"]
    assert list(batch.examples_between(project.settings, at(-5), at(0))["example_id"]) == ["e-5"]


def test_a_range_without_examples_says_where_they_are(project: Project) -> None:
    with pytest.raises(RequestError, match=r"they run from 2020-07-01 07:00 to 2020-07-01 12:00"):
        batch.examples_between(project.settings, at(1), at(9))


def test_a_csv_is_read_in_the_types_of_the_examples(project: Project) -> None:
    rows = batch.requests_of(project, write_csv(project, ASKED, ASKED | {"shop": None}))
    known = pd.read_parquet(project.settings.features_dir / "current" / "examples" / "examples.parquet")
    assert rows[COLUMNS].dtypes.to_dict() == known[COLUMNS].dtypes.to_dict()
    assert rows["shop"].tolist() == ["S01", None]
    assert rows["event_timestamp"].tolist() == [NOON, NOON]
    assert rows["example_id"].is_unique


def test_a_parquet_file_gives_what_a_csv_gives(project: Project) -> None:
    parquet = project.settings.root / "asked.parquet"
    pd.DataFrame([ASKED]).assign(opens=at(3)).to_parquet(parquet)
    from_csv = batch.requests_of(project, write_csv(project, ASKED))
    pd.testing.assert_frame_equal(batch.requests_of(project, parquet), from_csv)


def test_a_row_may_say_as_of_when_it_is_asked(project: Project) -> None:
    rows = batch.requests_of(project, write_csv(project, ASKED | {"prediction_time": at(-1).isoformat()}))
    assert rows["event_timestamp"].tolist() == [at(-1)]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"shop": "S01"}, r"asked\.csv lacks the columns city, opens, guests"),
        (ASKED | {"guests": "many"}, "the column guests is not all int64"),
        (ASKED | {"opens": "soon"}, "the column opens is not all datetime64"),
        (
            ASKED | {"opens": "2020-07-01T15:00:00"},
            "opens is not all datetime64.*: a moment has no time zone",
        ),
        (ASKED | {"opens": None}, "has no opens in row 1"),
        (ASKED | {"prediction_time": None}, "has no prediction_time in row 1"),
        (ASKED | {"prediction_time": at(1).isoformat()}, "prediction_time after the event clock"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(project: Project, row: dict, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        batch.requests_of(project, write_csv(project, row))


@pytest.mark.parametrize("name", ["absent.csv", "asked.xlsx", "asked.parquet"])
def test_a_file_that_is_none_is_refused(project: Project, name: str) -> None:
    if name.startswith("asked"):
        (project.settings.root / name).write_bytes(b"\x00\xff")
    with pytest.raises(RequestError, match=r"cannot be read|lacks the columns"):
        batch.requests_of(project, project.settings.root / name)


@pytest.mark.parametrize("task", ["classification", "multiclass"])
def test_answers_are_those_of_the_services_other_door(
    project: Project, monkeypatch: pytest.MonkeyPatch, task: Task
) -> None:
    project = replace(project, problem=toy_multiclass.PROBLEM) if task == "multiclass" else project
    features = pd.DataFrame({"mean_units": [60.0, np.nan, -5.0], "shop": ["S01", None, "S99"], "seats": np.nan})
    features = features.assign(opening_hour=9.0)[list(KINDS)]
    monkeypatch.setattr(
        batch, "features_in_parts", lambda *_: (features.loc[:1], features.loc[2:])
    )  # fmt: skip
    model = ServedModel(manifest_of(KINDS), fitted(KINDS, "hist_gradient_boosting", task=task), task)
    examples = pd.read_parquet(project.settings.features_dir / "current" / "examples" / "examples.parquet")
    scored = batch.score(project, model, examples, Stage("score"))
    rows = features.astype(object).where(features.notna(), None).to_dict("records")
    expected = [one.value for one in Predictor(project, model, HandMadeFeatures()).score(rows)]
    if task == "multiclass":
        assert [list(row.values()) for row in scored["probabilities"]] == expected
        assert list(scored["probabilities"][0]) == list(project.problem.classes)
        expected = [max(value) for value in expected]
    assert scored["prediction"].tolist() == expected
    assert scored["prediction_id"].is_unique
    assert scored["model_version"].unique().tolist() == ["3"]
    assert scored["clock"].unique().tolist() == [NOON.astimezone(UTC)]


def test_a_moment_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert batch.main(["--start", "soon", "--end", "later"]) == 1
    assert capsys.readouterr().err.startswith("ClockError: got 'soon'; expected an ISO 8601 moment such as")
