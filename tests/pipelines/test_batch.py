"""Batch scoring: files are read in the project's types, and answers are those of the service's own code."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flightline.adapters.event_clock import set_clock
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.errors import RequestError
from flightline.core.settings import Settings
from flightline.problem.config import PROBLEM
from pipelines import batch
from pipelines.common.progress import Stage
from serving.prediction.predictor import Predictor
from tests.support.small_service import KINDS, NOON, HandMadeFeatures, fitted, manifest_of

REQUEST = {"origin": "JFK", "dest": "LAX", "carrier": "B6", "flight": 23, "tailnum": None}
KEYS = [*PROBLEM.entity_keys, *PROBLEM.request_columns]


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A root that knows three examples, the last of them after the clock."""
    settings = Settings(root=tmp_path)
    folder = settings.features_dir / "current" / "examples"
    folder.mkdir(parents=True)
    rows = [
        REQUEST | {"scheduled_departure": at(hours + 2), "event_timestamp": at(hours), "example_id": f"e{hours}"}
        for hours in (-5, 0, 3)
    ]
    pd.DataFrame(rows).to_parquet(folder / "examples.parquet")
    set_clock(settings, NOON)
    return settings


def write_csv(settings: Settings, *rows: dict, name: str = "asked.csv") -> Path:
    file = settings.root / name
    pd.DataFrame(rows).to_csv(file, index=False, na_rep="NA")
    return file


ASKED = REQUEST | {"scheduled_departure": "2013-12-31T15:00:00+00:00"}


def test_a_range_gives_what_lies_in_it_up_to_the_clock(settings: Settings) -> None:
    assert list(batch.examples_between(settings, at(-9), at(9))["example_id"]) == ["e-5", "e0"]
    assert list(batch.examples_between(settings, at(-5), at(0))["example_id"]) == ["e-5"]


def test_a_range_without_examples_says_where_they_are(settings: Settings) -> None:
    with pytest.raises(RequestError, match=r"they run from 2013-12-31 07:00 to 2013-12-31 12:00"):
        batch.examples_between(settings, at(1), at(9))


def test_a_csv_is_read_in_the_types_of_the_examples(settings: Settings) -> None:
    rows = batch.requests_of(settings, PROBLEM, write_csv(settings, ASKED, ASKED | {"carrier": None}))
    known = pd.read_parquet(settings.features_dir / "current" / "examples" / "examples.parquet")
    assert rows[KEYS].dtypes.to_dict() == known[KEYS].dtypes.to_dict()
    assert rows["carrier"].tolist() == ["B6", None]
    assert rows["event_timestamp"].tolist() == [NOON, NOON]
    assert rows["example_id"].is_unique


def test_a_parquet_file_gives_what_a_csv_gives(settings: Settings) -> None:
    parquet = settings.root / "asked.parquet"
    pd.DataFrame([ASKED]).assign(scheduled_departure=at(3)).to_parquet(parquet)
    from_csv = batch.requests_of(settings, PROBLEM, write_csv(settings, ASKED))
    pd.testing.assert_frame_equal(batch.requests_of(settings, PROBLEM, parquet), from_csv)


def test_a_row_may_say_as_of_when_it_is_asked(settings: Settings) -> None:
    rows = batch.requests_of(settings, PROBLEM, write_csv(settings, ASKED | {"prediction_time": at(-1).isoformat()}))
    assert rows["event_timestamp"].tolist() == [at(-1)]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"origin": "JFK"}, r"asked\.csv lacks the columns dest, carrier"),
        (ASKED | {"flight": "many"}, "the column flight is not all int64"),
        (ASKED | {"scheduled_departure": "soon"}, "the column scheduled_departure is not all datetime64"),
        (ASKED | {"prediction_time": at(1).isoformat()}, "prediction_time after the event clock"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(settings: Settings, row: dict, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        batch.requests_of(settings, PROBLEM, write_csv(settings, row))


@pytest.mark.parametrize("name", ["absent.csv", "asked.xlsx", "asked.parquet"])
def test_a_file_that_is_none_is_refused(settings: Settings, name: str) -> None:
    if name.startswith("asked"):
        (settings.root / name).write_bytes(b"\x00\xff")
    with pytest.raises(RequestError, match=r"cannot be read|lacks the columns"):
        batch.requests_of(settings, PROBLEM, settings.root / name)


def test_answers_are_those_of_the_services_other_door(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    features = pd.DataFrame({"delay": [60.0, np.nan, -5.0], "carrier": ["B6", None, "ZZ"], "gust": np.nan})
    features = features.assign(scheduled_minute=540.0)[list(KINDS)]
    monkeypatch.setattr(batch, "features_as_of", lambda settings, problem, part: features.loc[part.index])
    monkeypatch.setattr(batch, "ROWS_AT_ONCE", 2)
    model = ServedModel(manifest_of(KINDS), fitted(KINDS, "hist_gradient_boosting"))
    examples = pd.read_parquet(settings.features_dir / "current" / "examples" / "examples.parquet")
    scored = batch.score(settings, PROBLEM, model, examples, Stage("score"))
    rows = features.astype(object).where(features.notna(), None).to_dict("records")
    assert scored["prediction"].tolist() == [one.value for one in Predictor(model, HandMadeFeatures()).score(rows)]
    assert scored["prediction_id"].is_unique
    assert scored["model_version"].unique().tolist() == ["3"]
    assert scored["clock"].unique().tolist() == [NOON.astimezone(UTC)]
