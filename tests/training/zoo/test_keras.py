"""Networks of Keras by their entries: kept as `.keras` files, of which those that may hold code are refused.

That they fit, are saved, loaded, served and learn is tested with every model of the zoo.
"""

import json
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from flightline.adapters.model_store.model_file import load_model, save_model
from flightline.core.errors import ModelFileError, TrainingError
from flightline.inference.predict import METHODS, predict
from flightline.training.fit import fit_pipeline
from flightline.training.preprocessing import Columns
from flightline.training.zoo import ZOO, find_model, keras_file
from flightline.training.zoo.keras import FEW_ROWS, MANY_ROWS, KerasNetwork

COLUMNS = Columns(("units",), ("shop",))
ROWS = pd.DataFrame({"units": np.linspace(-1, 1, 1_200), "shop": np.array(["S01", "S02", None] * 400, dtype=object)})
LABELS = {
    "classification": pd.Series(np.arange(1_200) % 7 < 3).astype(int),
    "multiclass": pd.Series(np.arange(1_200) % 3),
    "regression": 1_000 + 300 * ROWS["units"] ** 2,
}
needs_keras = pytest.mark.keras


def fitted(task: str, **settings: object) -> Pipeline:
    return fit_pipeline(
        find_model(task, "keras_dense"), COLUMNS, 0, {"units": 8, "max_iter": 4} | settings, ROWS, LABELS[task]
    )


def holding(content: bytes) -> Pipeline:
    """A pipeline whose network is of these bytes, as whoever alters a file would make it."""
    network = KerasNetwork("classification", 0, 1, 8, 0.2, 1e-3, 1e-3)
    network.file_, network.n_features_in_, network.classes_ = content, 2, np.array([0, 1])
    return Pipeline([("model", network)])


def zipped(config: object, **more: bytes) -> bytes:
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", json.dumps(config))
        for name, content in more.items():
            file.writestr(name, content)
    return written.getvalue()


def test_what_needs_keras_has_a_name_that_marks_its_tests() -> None:
    for models in ZOO.values():
        assert {name for name, model in models.items() if "keras" in model.packages} == {
            name for name in models if name.startswith("keras_")
        }


@needs_keras
@pytest.mark.parametrize("task", ZOO)
def test_its_file_is_read_by_keras_alone_and_answers_the_same(task, tmp_path):
    pipeline, keras = fitted(task), keras_file.library()
    (tmp_path / "network.keras").write_bytes(pipeline[-1].file_)
    network = keras.saving.load_model(tmp_path / "network.keras", compile=False, safe_mode=True)
    output = np.asarray(network(pipeline[:-1].transform(ROWS)))
    assert output.dtype == np.float64
    assert np.allclose(np.squeeze(output), predict(task, pipeline, ROWS), rtol=0, atol=1e-9)


@needs_keras
@pytest.mark.parametrize("task", ZOO)
@pytest.mark.parametrize("rows", [1, FEW_ROWS, FEW_ROWS + 1, MANY_ROWS, MANY_ROWS + 1])
def test_any_number_of_rows_is_answered_in_their_order(task, rows):
    pipeline = fitted(task)
    answers = predict(task, pipeline, ROWS)
    assert np.allclose(predict(task, pipeline, ROWS.tail(rows)), answers[-rows:], rtol=0, atol=1e-9)


@needs_keras
@pytest.mark.parametrize("task", ZOO)
def test_a_stage_is_what_as_many_iterations_give(task):
    pipeline = find_model(task, "keras_dense").build(COLUMNS, 0, units=8, max_iter=5)
    encoded = pipeline[:-1].fit_transform(ROWS)
    target = LABELS[task].to_numpy()
    for iteration, output in pipeline[-1].stages((encoded, target), (encoded, target), 30, 2):
        expected = getattr(fitted(task, max_iter=iteration), METHODS[task])(ROWS)
        assert np.allclose(output, expected, rtol=0, atol=1e-9)
    assert iteration == 5


@needs_keras
def test_a_fit_stops_where_later_rows_gain_nothing():
    encoded, target = np.random.default_rng(0).normal(size=(600, 3)), np.arange(600) % 2
    network = KerasNetwork("classification", 0, 100, 32, 0.0, 1e-2, 0.0)
    iterations = [iteration for iteration, _ in network.stages((encoded, target), (-encoded, target), 4, 2)]
    assert iterations[-1] < 20


@needs_keras
def test_a_class_that_was_not_fitted_keeps_the_numbers_of_the_others():
    label = pd.Series(np.arange(1_200) % 2 * 2)  # 0 and 2
    model = find_model("classification", "keras_dense").build(COLUMNS, 0, max_iter=2, units=8).fit(ROWS, label)
    assert model.classes_.tolist() == [0, 2]
    assert set(model.predict(ROWS)) <= {0, 2}


@needs_keras
def test_a_fit_leaves_the_random_numbers_of_others_alone():
    np.random.seed(0)  # the one that all share
    before = np.random.get_state()[1].copy()
    fitted("classification")
    assert np.array_equal(np.random.get_state()[1], before)


def foreign_networks() -> dict[str, object]:
    keras = keras_file.library()
    layers = keras.layers
    run = keras.Sequential([keras.Input((2,)), layers.Lambda(lambda rows: rows), layers.Dense(1, "sigmoid")])

    @keras.saving.register_keras_serializable("planted")
    class Own(layers.Dense):
        pass

    own = keras.Sequential([keras.Input((2,)), Own(1)])
    fetched = keras.Sequential([keras.Input((2,)), layers.Reshape((2, 1)), layers.GlobalMaxPooling1D()])
    return {"Lambda": run, "Own": own, "GlobalMaxPooling1D": fetched}


def saved(network: object, folder: Path) -> bytes:
    network.save(folder / "network.keras")
    return (folder / "network.keras").read_bytes()


@needs_keras
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`:UserWarning")
@pytest.mark.parametrize("kind", ["Lambda", "Own", "GlobalMaxPooling1D"])
def test_a_network_with_a_part_that_may_be_code_is_refused_by_name(kind, tmp_path):
    save_model(holding(saved(foreign_networks()[kind], tmp_path)), tmp_path / "model.skops")
    with pytest.raises(ModelFileError, match=f"the .keras file holds .*{kind}.*, expected only: .*Dense"):
        load_model(tmp_path / "model.skops")


@pytest.mark.parametrize("kind", ["__lambda__", "function", "TFSMLayer"])
def test_a_config_that_names_code_is_refused_before_keras_sees_it(kind, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    named = {"module": "builtins", "class_name": kind, "config": "eval", "registered_name": "eval"}
    layer = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1, "activation": [named]}}
    content = zipped({"module": "keras", "class_name": "Functional", "config": {"layers": [layer]}})
    save_model(holding(content), tmp_path / "model.skops")
    with pytest.raises(ModelFileError, match=f"the .keras file holds {kind}, expected only: .*Dense"):
        load_model(tmp_path / "model.skops")


@needs_keras
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`:UserWarning")
def test_behind_the_list_the_safe_mode_of_keras_refuses_code_too(tmp_path, monkeypatch):
    content = saved(foreign_networks()["Lambda"], tmp_path)
    monkeypatch.setattr(keras_file, "CLASSES", keras_file.CLASSES | {"Sequential", "Lambda", "__lambda__"})
    with pytest.raises(ValueError, match=r"(?i)lambda.*arbitrary code execution"):
        keras_file.read_file(content)


def test_a_network_that_would_be_too_large_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_file, "MAX_UNPACKED_BYTES", 1_000)
    save_model(holding(zipped({}, weights=bytes(2_000))), tmp_path / "model.skops")
    with pytest.raises(ModelFileError, match=r"the .keras file unpacks to 2,002 bytes, expected at most 1,000"):
        load_model(tmp_path / "model.skops")


@pytest.mark.parametrize("content", [b"", b"no zip", zipped({})[:-10]])
def test_bytes_that_are_no_keras_file_are_refused(content, tmp_path):
    save_model(holding(content), tmp_path / "model.skops")
    with pytest.raises(ModelFileError, match=r"is not a readable skops file \(BadZipFile\)"):
        load_model(tmp_path / "model.skops")


@needs_keras
def test_a_file_without_weights_is_refused(tmp_path):
    config = json.loads(zipfile.ZipFile(BytesIO(fitted("classification")[-1].file_)).read("config.json"))
    save_model(holding(zipped(config)), tmp_path / "model.skops")
    with pytest.raises(ModelFileError, match=r"is not a readable skops file \(ValueError\)"):
        load_model(tmp_path / "model.skops")


def test_without_its_packages_it_is_not_trained_and_the_error_says_what_brings_them(monkeypatch):
    monkeypatch.setattr("flightline.training.zoo.entry.find_spec", lambda name: None)
    with pytest.raises(
        TrainingError,
        match="needs the package jax, keras, which this environment lacks; `make keras` brings it",
    ):
        find_model("classification", "keras_dense")


def test_without_its_packages_its_file_is_refused_and_the_error_says_what_brings_them(tmp_path, monkeypatch):
    save_model(holding(zipped({})), tmp_path / "model.skops")
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ModelFileError, match=r"lacks \(.*jax.*: `make keras` installs it here"):
        load_model(tmp_path / "model.skops")
