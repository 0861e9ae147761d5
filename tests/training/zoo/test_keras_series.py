"""Networks of Keras that read series: what they learn of the order of values, and that their files answer the same."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from flightline.adapters.model_store.manifest import ModelManifest
from flightline.adapters.model_store.model_file import load_model, save_model
from flightline.adapters.model_store.served_model import ServedModel
from flightline.core.errors import TrainingError
from flightline.inference.predict import predict
from flightline.training.fit import fit_pipeline
from flightline.training.preprocessing import Columns, series_of
from flightline.training.zoo import ZOO, find_model
from serving.prediction.predictor import predict_with
from tests.support.small_service import manifest_of

LAGS = 6
NAMES = [f"{series}_lag_{lag}" for series in ("sold", "returned") for lag in range(1, LAGS + 1)]
COLUMNS = Columns(("seats", *NAMES), ("shop",))
MODELS = ("keras_cnn", "keras_gru")


def make_frame(rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    numbers = {name: random.normal(100, 20, rows) for name in ("seats", *NAMES)}
    frame = pd.DataFrame(numbers | {"shop": random.choice(["S01", "S02", None], rows)})
    frame.loc[random.random(rows) < 0.1, "sold_lag_2"] = np.nan
    return frame


def rise(frame: pd.DataFrame) -> pd.Series:
    return (frame["sold_lag_1"] - frame["sold_lag_6"]) / 20


TRAIN, LATER = make_frame(2_000, 0), make_frame(300, 1)
LABELS = {
    "classification": (rise(TRAIN) > 0).astype(int),
    "multiclass": pd.Series(np.digitize(rise(TRAIN), [-1, 1])),
    "regression": rise(TRAIN),
}


@cache
def fitted(task: str, name: str) -> Pipeline:
    settings = {"units": 16, "dropout": 0.1, "max_iter": 10}
    return fit_pipeline(find_model(task, name), COLUMNS, 0, settings, TRAIN, LABELS[task])


@pytest.mark.parametrize("task", ZOO)
@pytest.mark.parametrize("name", MODELS)
def test_it_learns_what_the_first_and_the_last_value_say_together(task: str, name: str) -> None:
    middle = LATER.assign(**dict.fromkeys(NAMES, 100.0))
    rising = middle.assign(sold_lag_1=130.0, sold_lag_6=70.0)
    falling = middle.assign(sold_lag_1=70.0, sold_lag_6=130.0)
    high, low = (
        predict(task, fitted(task, name), frame).reshape(len(LATER), -1)[:, -1].mean() for frame in (rising, falling)
    )
    assert high > low + 0.5


@pytest.mark.parametrize("task", ZOO)
@pytest.mark.parametrize("name", MODELS)
def test_its_file_answers_the_same_and_the_service_too(task: str, name: str, tmp_path) -> None:
    pipeline = fitted(task, name)
    loaded = load_model(tmp_path / "model.skops", save_model(pipeline, tmp_path / "model.skops"))
    expected = predict(task, pipeline, LATER)
    assert np.array_equal(predict(task, loaded, LATER), expected)
    kinds = {column: "str" if column == "shop" else "float64" for column in TRAIN}
    manifest: ModelManifest = manifest_of(kinds)
    rows = LATER.head(3).astype(object).where(LATER.head(3).notna(), None).to_dict("records")
    assert np.allclose(predict_with(ServedModel(manifest, loaded, task), rows), expected[:3], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_series_are_read_by_name_whatever_the_order_of_the_columns(name: str) -> None:
    turned = fit_pipeline(
        find_model("regression", name),
        Columns(("seats", *reversed(NAMES)), ("shop",)),
        0,
        {"units": 16, "dropout": 0.1, "max_iter": 10},
        TRAIN[list(reversed(TRAIN.columns))],
        LABELS["regression"],
    )
    for pipeline in (turned, fitted("regression", name)):
        assert [column.rpartition("_")[2] for column in pipeline[0].transformers[-1][2]] == list("665544332211")


@pytest.mark.parametrize(("task", "name"), [(task, name) for task in ZOO for name in ("cnn", "gru")])
def test_without_series_it_is_not_built(task: str, name: str) -> None:
    with pytest.raises(TrainingError, match=r"reads series, and no feature is one: .* NAME_lag_1, NAME_lag_2"):
        ZOO[task][f"keras_{name}"].build(Columns(("seats",), ("shop",)), 0)


def test_a_series_that_lacks_a_lag_is_refused_with_the_lag() -> None:
    with pytest.raises(TrainingError, match="returned_lag_1 is no feature, and another series has that lag"):
        series_of(Columns(("sold_lag_1", "sold_lag_2", "returned_lag_2"), ()))
