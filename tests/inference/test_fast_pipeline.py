"""The fast pipeline is the fitted one to the bit, or is not used."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier

from flightline.adapters.model_store.served_model import ServedModel
from flightline.inference import fast_pipeline
from flightline.inference.fast_pipeline import FastPipeline
from flightline.inference.merged_trees import FEW_ROWS, MergedTrees, with_merged_trees
from flightline.inference.predict import METHODS, predict, predict_rows
from flightline.training.preprocessing import Columns
from flightline.training.zoo import ZOO, find_model
from tests.support.small_service import manifest_of

COLUMNS = Columns(("units", "seats"), ("shop", "product"))
KINDS = {"product": "str", "units": "float64", "shop": "str", "seats": "float64"}
EPSILON = {"classification": 0.0, "multiclass": 1e-12, "regression": 0.0}
TREES = ("decision_tree", "random_forest", "hist_gradient_boosting", "lightgbm")


def frame_of(rows: int, seed: int, products: int = 40) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "product": random.choice([f"D{i:03}" for i in range(products)], rows).astype(object),
            "units": random.normal(10, 30, rows),
            "shop": random.choice(["S01", "S03", None], rows),
            "seats": np.where(random.random(rows) < 0.2, np.nan, random.uniform(0, 40, rows)),
        }
    )
    return frame.astype({"shop": object})


def rows_of(frame: pd.DataFrame) -> list[dict]:
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def fitted(name: str, task: str = "classification", products: int = 40):
    frame = frame_of(1_500, 0, products)
    label = np.digitize(frame["units"], np.linspace(-40, 60, 9)) if task == "multiclass" else frame["units"] > 20
    return find_model(task, name).build(COLUMNS, 0).fit(frame, label.astype(int))


@pytest.mark.parametrize("task", ZOO)
@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("products", [40, 400])
def test_answers_are_equal_to_the_bit(task: str, name: str, products: int) -> None:
    pipeline = fitted(name, task, products)
    fast = FastPipeline.of(METHODS[task], pipeline)
    assert fast is not None
    asked = pd.concat([frame_of(200, 1, products), frame_of(50, 2, 450), frame_of(1, 3).assign(product=None)])
    assert np.array_equal(predict_rows(task, pipeline, fast, KINDS, rows_of(asked)), predict(task, pipeline, asked))


@pytest.mark.parametrize("task", ZOO)
def test_merged_trees_are_equal_to_the_bit_on_few_rows(task: str) -> None:
    pipeline = fitted("hist_gradient_boosting", task)
    fast = FastPipeline.of(METHODS[task], pipeline)
    assert fast is not None
    assert "_raw_predict" in vars(fast.estimator)
    asked = frame_of(20_000, 5, 450)
    rows = rows_of(asked)
    sizes = itertools.cycle([1, 2, 7, FEW_ROWS, FEW_ROWS + 1])
    answers, start = [], 0
    while start < len(rows):
        size = next(sizes)
        answers.append(predict_rows(task, pipeline, fast, KINDS, rows[start : start + size]))
        if start < 1_000:
            assert np.array_equal(answers[-1], predict(task, pipeline, asked[start : start + size]))
        start += size
    # Of one row scikit-learn itself adds the terms of softmax in another order than of many, so the last bits differ.
    assert np.allclose(np.concatenate(answers), predict(task, pipeline, asked), rtol=0, atol=EPSILON[task])


def test_a_model_of_one_tree_and_one_of_three_are_merged() -> None:
    frame = frame_of(1_500, 0)
    for trees in (1, 3):
        pipeline = find_model("classification", "hist_gradient_boosting").build(COLUMNS, 0, max_iter=trees)
        fast = FastPipeline.of("predict_proba", pipeline.fit(frame, (frame["units"] > 20).astype(int)))
        assert fast is not None
        assert "_raw_predict" in vars(fast.estimator)


def test_what_is_not_boosted_is_not_merged() -> None:
    assert with_merged_trees(fitted("decision_tree")[-1]) is None


def test_merged_trees_that_differ_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = fitted("hist_gradient_boosting")
    sums = MergedTrees.sums
    monkeypatch.setattr(MergedTrees, "sums", lambda self, encoded: np.nextafter(sums(self, encoded), np.inf))
    fast = FastPipeline.of("predict_proba", pipeline)
    assert fast is not None
    assert "_raw_predict" not in vars(fast.estimator)


WALKER = "sklearn.ensemble._hist_gradient_boosting._predictor._predict_from_raw_data"


def without_the_walker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(WALKER)


def with_a_walker_of_other_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WALKER, lambda nodes, rows, leaves: None)


def with_another_call_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = HistGradientBoostingClassifier._raw_predict
    monkeypatch.setattr(HistGradientBoostingClassifier, "_raw_predict", lambda self, rows, *, cores: loop(self, rows))
    monkeypatch.setattr(
        HistGradientBoostingClassifier,
        "predict_proba",
        lambda self, rows: self._loss.predict_proba(self._raw_predict(rows, cores=1)),
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without_the_walker, f"scikit-learn {sklearn.__version__} is not as MergedTrees expects it (ImportError"),
        (with_a_walker_of_other_arguments, "is not as MergedTrees expects it (TypeError"),
        (with_another_call_of_the_loop, "a fast form of the model is not used: it fails with TypeError"),
    ],
)
def test_on_another_scikit_learn_its_own_loop_answers_and_logs_why(
    change, told: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline, asked = fitted("hist_gradient_boosting"), frame_of(200, 1)
    rows, expected = rows_of(asked), predict("classification", pipeline, asked)
    as_ever = FastPipeline.of("predict_proba", pipeline)
    assert as_ever is not None
    assert "_raw_predict" in vars(as_ever.estimator)
    assert caplog.text == ""
    change(monkeypatch)
    fast = FastPipeline.of("predict_proba", pipeline)
    assert fast is not None
    assert "_raw_predict" not in vars(fast.estimator)
    assert told in caplog.text
    assert np.array_equal(predict_rows("classification", pipeline, fast, KINDS, rows), expected)
    one_by_one = [predict_rows("classification", pipeline, fast, KINDS, [row]) for row in rows]
    assert np.array_equal(np.concatenate(one_by_one), expected)


def test_the_plain_pipeline_answers_where_the_fast_form_cannot(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(*_: object) -> None:
        raise AttributeError("no such part")

    pipeline, asked = fitted("hist_gradient_boosting"), frame_of(20, 1)
    expected = predict("classification", pipeline, asked)
    monkeypatch.setattr(fast_pipeline, "_without_inner_encoding", gone)
    monkeypatch.setattr(FastPipeline, "predict", gone)
    model = ServedModel(manifest_of(KINDS), pipeline, "classification")
    assert model.fast_pipeline is None
    assert "the model's own encoding cannot be taken over" in caplog.text
    given = predict_rows("classification", pipeline, model.fast_pipeline, KINDS, rows_of(asked))
    assert np.array_equal(given, expected)


@pytest.mark.parametrize("columns", [Columns(("units", "seats"), ()), Columns((), ("shop", "product"))])
@pytest.mark.parametrize("name", TREES)
def test_numbers_alone_and_text_alone_are_answered(name: str, columns: Columns) -> None:
    frame = frame_of(1_500, 0)[[*columns.categorical, *columns.numeric]]
    label = (frame_of(1_500, 0)["units"] > 20).astype(int)
    pipeline = find_model("classification", name).build(columns, 0).fit(frame, label)
    kinds = {column: "float64" if column in columns.numeric else "str" for column in frame}
    fast = FastPipeline.of("predict_proba", pipeline)
    assert (fast is not None) == bool(columns.numeric)  # text alone goes through frames
    asked = frame_of(20, 1)[list(frame)]
    expected = predict("classification", pipeline, asked)
    assert np.array_equal(predict_rows("classification", pipeline, fast, kinds, rows_of(asked)), expected)


@pytest.mark.parametrize(
    "name",
    sorted(set(ZOO["classification"]) - {*TREES, "keras_cnn", "keras_gru"}),  # these want other columns
)
def test_models_of_another_encoding_go_their_own_way(name: str) -> None:
    pipeline = fitted(name)
    assert FastPipeline.of("predict_proba", pipeline) is None
    asked = frame_of(20, 1)
    expected = predict("classification", pipeline, asked)
    assert np.array_equal(predict_rows("classification", pipeline, None, KINDS, rows_of(asked)), expected)


def test_an_encoding_with_a_step_more_is_not_taken_over() -> None:
    frame = frame_of(1_500, 0)
    model = find_model("classification", "hist_gradient_boosting")
    pipeline = model.build(COLUMNS, 0, kmeans_segments=4).fit(frame, (frame["units"] > 20).astype(int))
    assert FastPipeline.of("predict_proba", pipeline) is None


def test_one_that_differs_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = fitted("hist_gradient_boosting")
    predict_all = FastPipeline.predict

    def one_code_off(self: FastPipeline, method, rows):
        codes = {**self.codes, "product": {**self.codes["product"], "D000": 1.0}}
        return predict_all(replace(self, codes=codes), method, rows)

    monkeypatch.setattr(FastPipeline, "predict", one_code_off)
    assert FastPipeline.of("predict_proba", pipeline) is None


def test_what_boosting_does_to_its_categories_once_more_is_taken_over() -> None:
    pipeline = fitted("hist_gradient_boosting")
    fast = FastPipeline.of("predict_proba", pipeline)
    assert fast is not None
    assert fast.estimator is not pipeline[-1]
    assert pipeline[-1]._preprocessor is not None
