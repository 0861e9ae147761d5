"""The quick model is the fitted one to the bit, or is not used."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from flightline.inference.fast_pipeline import QuickModel
from flightline.inference.merged_trees import FEW_ROWS, MergedTrees, with_merged_trees
from flightline.inference.predict import METHODS, predict, predict_rows
from flightline.training.preprocessing import Columns
from flightline.training.zoo import ZOO, find_model

COLUMNS = Columns(("units", "seats"), ("shop", "product"))
KINDS = {"product": "str", "units": "float64", "shop": "str", "seats": "float64"}
TREES = ("decision_tree", "random_forest", "hist_gradient_boosting")


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
    return find_model(task, name).build(COLUMNS, 0).fit(frame, (frame["units"] > 20).astype(int))


@pytest.mark.parametrize("task", ZOO)
@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("products", [40, 400])
def test_answers_are_equal_to_the_bit(task: str, name: str, products: int) -> None:
    pipeline = fitted(name, task, products)
    quick = QuickModel.of(METHODS[task], pipeline)
    assert quick is not None
    asked = pd.concat([frame_of(200, 1, products), frame_of(50, 2, 450), frame_of(1, 3).assign(product=None)])
    assert np.array_equal(predict_rows(task, pipeline, quick, KINDS, rows_of(asked)), predict(task, pipeline, asked))


@pytest.mark.parametrize("task", ZOO)
def test_merged_trees_are_equal_to_the_bit_on_few_rows(task: str) -> None:
    pipeline = fitted("hist_gradient_boosting", task)
    quick = QuickModel.of(METHODS[task], pipeline)
    assert quick is not None
    assert "_raw_predict" in vars(quick.estimator)
    asked = frame_of(20_000, 5, 450)
    rows = rows_of(asked)
    sizes = itertools.cycle([1, 2, 7, FEW_ROWS, FEW_ROWS + 1])
    answers, start = [], 0
    while start < len(rows):
        size = next(sizes)
        answers.append(predict_rows(task, pipeline, quick, KINDS, rows[start : start + size]))
        start += size
    assert np.array_equal(np.concatenate(answers), predict(task, pipeline, asked))


def test_a_model_of_one_tree_and_one_of_three_are_merged() -> None:
    frame = frame_of(1_500, 0)
    for trees in (1, 3):
        pipeline = find_model("classification", "hist_gradient_boosting").build(COLUMNS, 0, max_iter=trees)
        quick = QuickModel.of("predict_proba", pipeline.fit(frame, (frame["units"] > 20).astype(int)))
        assert quick is not None
        assert "_raw_predict" in vars(quick.estimator)


def test_several_trees_an_iteration_are_not_merged() -> None:
    frame = frame_of(1_500, 0)
    encoded = frame[["units", "seats"]].to_numpy()
    estimator = HistGradientBoostingClassifier(max_iter=3).fit(encoded, np.arange(len(frame)) % 3)
    assert with_merged_trees(estimator) is None


def test_merged_trees_that_differ_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = fitted("hist_gradient_boosting")
    sums = MergedTrees.sums
    monkeypatch.setattr(MergedTrees, "sums", lambda self, encoded: np.nextafter(sums(self, encoded), np.inf))
    quick = QuickModel.of("predict_proba", pipeline)
    assert quick is not None
    assert "_raw_predict" not in vars(quick.estimator)


def test_a_scikit_learn_without_the_private_parts_is_served_by_its_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = fitted("hist_gradient_boosting")
    monkeypatch.delattr("sklearn.ensemble._hist_gradient_boosting._predictor._predict_from_raw_data")
    quick = QuickModel.of("predict_proba", pipeline)
    assert quick is not None
    assert "_raw_predict" not in vars(quick.estimator)


@pytest.mark.parametrize("name", sorted(set(ZOO["classification"]) - set(TREES)))
def test_models_of_another_encoding_go_their_own_way(name: str) -> None:
    pipeline = fitted(name)
    assert QuickModel.of("predict_proba", pipeline) is None
    asked = frame_of(20, 1)
    expected = predict("classification", pipeline, asked)
    assert np.array_equal(predict_rows("classification", pipeline, None, KINDS, rows_of(asked)), expected)


def test_an_encoding_with_a_step_more_is_not_taken_over() -> None:
    frame = frame_of(1_500, 0)
    model = find_model("classification", "hist_gradient_boosting")
    pipeline = model.build(COLUMNS, 0, kmeans_segments=4).fit(frame, (frame["units"] > 20).astype(int))
    assert QuickModel.of("predict_proba", pipeline) is None


def test_one_that_differs_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = fitted("hist_gradient_boosting")
    ask = QuickModel.ask

    def one_code_off(self: QuickModel, method, rows):
        codes = {**self.codes, "product": {**self.codes["product"], "D000": 1.0}}
        return ask(replace(self, codes=codes), method, rows)

    monkeypatch.setattr(QuickModel, "ask", one_code_off)
    assert QuickModel.of("predict_proba", pipeline) is None


def test_what_boosting_does_to_its_categories_once_more_is_taken_over() -> None:
    pipeline = fitted("hist_gradient_boosting")
    quick = QuickModel.of("predict_proba", pipeline)
    assert quick is not None
    assert quick.estimator is not pipeline[-1]
    assert pipeline[-1]._preprocessor is not None
