"""LightGBM by its entry: kept as text, the same by any number of threads, and refused where its package is not.

That it fits, is saved, loaded, served and learns is tested with every model of the zoo.
"""

import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from flightline.adapters.model_store.model_file import load_model, save_model
from flightline.core.errors import ModelFileError, TrainingError
from flightline.inference.fast_pipeline import FastPipeline
from flightline.inference.predict import METHODS, predict
from flightline.training.fit import fit_pipeline
from flightline.training.preprocessing import Columns
from flightline.training.zoo import ZOO, find_model
from flightline.training.zoo.lightgbm import read_text

COLUMNS = Columns(("units",), ("shop",))
ROWS = pd.DataFrame({"units": np.linspace(-1, 1, 1_200), "shop": np.array(["S01", "S02", None] * 400, dtype=object)})
LABELS = {
    "classification": pd.Series(np.arange(1_200) % 7 < 3).astype(int),
    "multiclass": pd.Series(np.arange(1_200) % 3),
    "regression": ROWS["units"] ** 2,
}


def fitted(task, **settings):
    return fit_pipeline(
        find_model(task, "lightgbm"),
        COLUMNS,
        0,
        {"min_data_in_leaf": 20, "max_iter": 10} | settings,
        ROWS,
        LABELS[task],
    )


@pytest.mark.parametrize("task", ZOO)
def test_its_file_holds_the_text_that_lightgbm_reads(task, tmp_path):
    import lightgbm

    pipeline = fitted(task)
    save_model(pipeline, tmp_path / "model.skops")
    with zipfile.ZipFile(tmp_path / "model.skops") as file:
        assert b"tree\\nversion=v4" in file.read("schema.json").replace(b"\\\\n", b"\\n")
    booster = lightgbm.Booster(model_str=pipeline[-1].text_)
    output = booster.predict(pipeline[:-1].transform(ROWS))
    expected = predict(task, pipeline, ROWS)
    assert np.array_equal(output, expected)


def test_it_takes_the_threads_that_it_is_given(monkeypatch):
    import lightgbm

    train, taken = lightgbm.train, []

    def noted(parameters, *rest, **more):
        taken.append(parameters["num_threads"])
        return train(parameters, *rest, **more)

    monkeypatch.setattr(lightgbm, "train", noted)
    for threads in (1, 2):
        with parallel_config(backend="threading", n_jobs=threads):
            fitted("regression")
    assert taken == [1, 2]


@pytest.mark.parametrize("task", ZOO)
def test_more_threads_make_the_same_model(task):
    with parallel_config(backend="threading", n_jobs=1):
        one = fitted(task)[-1].text_
    with parallel_config(backend="threading", n_jobs=2):
        assert fitted(task)[-1].text_ == one


@pytest.mark.parametrize("task", ZOO)
def test_it_has_the_fast_form(task):
    assert FastPipeline.of(METHODS[task], fitted(task)) is not None


def test_a_class_that_was_not_fitted_keeps_the_numbers_of_the_others():
    label = pd.Series(np.arange(1_200) % 2 * 2)  # 0 and 2
    model = find_model("classification", "lightgbm").build(COLUMNS, 0, max_iter=10).fit(ROWS, label)
    assert model.classes_.tolist() == [0, 2]
    assert set(model.predict(ROWS)) <= {0, 2}


@pytest.fixture
def without_lightgbm(monkeypatch):
    """An environment that has no such package."""
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    monkeypatch.setattr("flightline.training.zoo.entry.find_spec", lambda name: None)


def test_without_its_package_it_is_not_trained(without_lightgbm):
    with pytest.raises(TrainingError, match="lightgbm needs the package lightgbm, which this environment lacks"):
        find_model("classification", "lightgbm")


def test_without_its_package_its_file_is_refused_by_name(tmp_path, monkeypatch):
    save_model(fitted("classification"), tmp_path / "model.skops")
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ModelFileError, match=r"needs what this environment lacks \(.*lightgbm.*\)"):
        load_model(tmp_path / "model.skops")


@pytest.mark.parametrize("text", ["", "no tree", "tree\nversion=v4\nnum_class=1\n"])
def test_a_text_that_is_no_model_is_refused(text, tmp_path):
    pipeline = fitted("classification")
    pipeline[-1].text_ = text
    save_model(pipeline, tmp_path / "model.skops")
    with pytest.raises(ModelFileError, match=r"is not a readable skops file \(LightGBMError\)"):
        load_model(tmp_path / "model.skops")


def test_what_its_file_has_besides_the_estimator_is_not_trusted(tmp_path):
    save_model(Pipeline([("call", FunctionTransformer(read_text))]), tmp_path / "model.skops")
    with pytest.raises(ModelFileError, match=r"outside the allow-list.*zoo\.lightgbm\.read_text"):
        load_model(tmp_path / "model.skops")
