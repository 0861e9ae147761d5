"""Model files: every model of the zoo comes back the same; altered and untrusted ones do not."""

import os
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from flightline.adapters.model_store.model_file import MODEL_FILE, digest_of_file, load_model, save_model, trusted_types
from flightline.core.errors import ModelFileError
from flightline.core.problem_spec import Task
from flightline.inference.predict import predict
from flightline.training.calibration import fit_map, with_map
from flightline.training.preprocessing import Columns
from flightline.training.zoo import ZOO, find_model


def _features() -> pd.DataFrame:
    number = np.linspace(0, 1, 600)
    number[::50] = np.nan
    return pd.DataFrame({"number": number, "word": np.array(["a", "b", "c"] * 200, dtype=object)})


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("model") / MODEL_FILE
    save_model(_fitted("classification", "hist_gradient_boosting"), file)
    return file


EVERY_MODEL = [(task, name) for task, models in ZOO.items() for name in models if not models[name].reads_series]
ENCODED = "numpy.dtype"  # of the encoders, which most models have
STEPS = {"pca_components": 1, "kmeans_segments": 3}


@cache
def _fitted(task: Task, name: str) -> Pipeline:
    model = find_model(task, name)
    steps = {step: size for step, size in STEPS.items() if step in model.steps}
    pipeline = model.build(Columns(("number",), ("word",)), 0, **steps)
    label = {"classification": np.arange(600) % 2, "multiclass": np.arange(600) % 3, "regression": np.arange(600) / 7}
    return pipeline.fit(_features(), label[task])


def _assert_the_same_after_loading(task: Task, pipeline: Pipeline, file: Path) -> None:
    loaded = load_model(file, save_model(pipeline, file))
    asked = _features().assign(word=lambda frame: frame["word"].where(frame.index % 3 != 0, None))
    np.testing.assert_array_equal(predict(task, loaded, asked), predict(task, pipeline, asked))


@pytest.mark.parametrize(("task", "name"), EVERY_MODEL)
def test_every_model_of_the_zoo_predicts_the_same_after_loading(task: Task, name: str, tmp_path: Path) -> None:
    _assert_the_same_after_loading(task, _fitted(task, name), tmp_path / MODEL_FILE)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_a_calibrated_model_predicts_the_same_after_loading(method: str, tmp_path: Path) -> None:
    probability_map = fit_map(method, np.linspace(0.1, 0.9, 600), np.arange(600) % 2)
    calibrated = with_map(_fitted("classification", "hist_gradient_boosting"), probability_map)
    _assert_the_same_after_loading("classification", calibrated, tmp_path / MODEL_FILE)
    boosted = _fitted("multiclass", "hist_gradient_boosting")
    maps = fit_map(method, boosted.predict_proba(_features()), np.arange(600) % 3)
    _assert_the_same_after_loading("multiclass", with_map(boosted, maps), tmp_path / "of several classes.skops")


def _untrusted_types(pipeline: Pipeline, file: Path) -> set[str]:
    save_model(pipeline, file)
    return set(skops.io.get_untrusted_types(file=file))


@pytest.mark.parametrize(("task", "name"), EVERY_MODEL)
def test_an_entry_names_the_types_of_its_file_and_no_others(task: Task, name: str, tmp_path: Path) -> None:
    assert _untrusted_types(_fitted(task, name), tmp_path / name) - {ENCODED} == set(
        find_model(task, name).trusted_types
    )


def test_no_type_is_trusted_without_need(tmp_path: Path) -> None:
    probability_map = fit_map("sigmoid", np.linspace(0.1, 0.9, 600), np.arange(600) % 2)
    needed = _untrusted_types(with_map(_fitted("classification", "base_rate"), probability_map), tmp_path / "map")
    needed |= {ENCODED} | {name for task, model in EVERY_MODEL for name in ZOO[task][model].trusted_types}
    # template from here
    needed.add("flightline.calibration.CalibratedModel")  # in files that were registered before a move
    # template to here
    assert set(trusted_types()) == needed


def test_saving_leaves_nothing_but_the_file(tmp_path: Path) -> None:
    digest = save_model(_fitted("classification", "base_rate"), tmp_path / "new" / MODEL_FILE)
    assert [file.name for file in (tmp_path / "new").iterdir()] == [MODEL_FILE]
    assert digest == digest_of_file(tmp_path / "new" / MODEL_FILE)


def test_refuses_one_flipped_byte(file: Path, tmp_path: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / MODEL_FILE).write_bytes(content)
    with pytest.raises(ModelFileError, match="was altered or cut short"):
        load_model(tmp_path / MODEL_FILE, digest_of_file(file))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + bytes(100)])
def test_refuses_what_is_no_skops_file_even_with_the_right_digest(content: bytes, tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_bytes(content)
    with pytest.raises(ModelFileError, match="is not a readable skops file") as caught:
        load_model(tmp_path / MODEL_FILE, digest_of_file(tmp_path / MODEL_FILE))
    assert str(tmp_path) not in str(caught.value)


def test_refuses_a_truncated_file_without_a_digest(file: Path, tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ModelFileError, match="is not a readable skops file"):
        load_model(tmp_path / MODEL_FILE)


def test_refuses_a_zip_with_a_broken_schema(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / MODEL_FILE, "w") as broken:
        broken.writestr("schema.json", '{"__class__": "Pipeline"}')
    with pytest.raises(ModelFileError, match="is not a readable skops file"):
        load_model(tmp_path / MODEL_FILE)


def test_refuses_a_function_that_would_run_on_load(tmp_path: Path) -> None:
    skops.io.dump(Pipeline([("call", FunctionTransformer(os.system))]), tmp_path / MODEL_FILE)
    with pytest.raises(ModelFileError, match=r"outside the allow-list.*posix\.system"):
        load_model(tmp_path / MODEL_FILE)


@pytest.mark.parametrize("other", [StandardScaler(), TransformedTargetRegressor()])
def test_refuses_what_is_no_pipeline(other: object, tmp_path: Path) -> None:
    skops.io.dump(other, tmp_path / MODEL_FILE)
    with pytest.raises(ModelFileError, match="expected a scikit-learn Pipeline"):
        load_model(tmp_path / MODEL_FILE)


def test_a_file_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no readable model file model\.skops; fetch or train"):
        load_model(tmp_path / MODEL_FILE)
