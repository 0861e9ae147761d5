"""An ensemble is the mean of what its members answer, each fitted by itself."""

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from flightline.core.errors import TrainingError
from flightline.inference.predict import predict
from flightline.training.calibration import fit_map, with_map
from flightline.training.zoo import ZOO, find_model
from flightline.training.zoo.ensemble import LEAST, THREE, WITH_KERAS, MeanOfLogOdds
from tests.training.zoo.test_zoo import COLUMNS, LABELS, LATER, TRAIN

ENSEMBLES = {"ensemble": THREE, "keras_ensemble": WITH_KERAS}


def fitted(task: str, name: str, seed: int = 0, **settings: str | int) -> Pipeline:
    return find_model(task, name).build(COLUMNS, seed, **settings).fit(TRAIN, LABELS[task])


@pytest.mark.parametrize("task", ZOO)
@pytest.mark.parametrize("name", ENSEMBLES)
def test_the_answer_is_the_mean_of_the_members(task: str, name: str) -> None:
    members = ENSEMBLES[name]
    of_members = [fitted(task, member, seed) for seed, member in enumerate(members.split("+"))]
    answers = np.array([predict(task, member, LATER) for member in of_members])
    found = predict(task, fitted(task, name, members=members), LATER)
    if task == "regression":
        assert np.allclose(found, answers.mean(axis=0), rtol=0, atol=1e-12)
    elif task == "classification":
        assert np.allclose(np.log(found / (1 - found)), np.log(answers / (1 - answers)).mean(axis=0), rtol=0, atol=1e-9)
    else:
        bounded = np.maximum(answers, LEAST)
        ratios = np.log(bounded[..., 1:] / bounded[..., :1]).mean(axis=0)
        assert np.allclose(np.log(found[:, 1:] / found[:, :1]), ratios, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["ensemble", "keras_ensemble"])
def test_members_have_settings_and_seeds_of_their_own(name: str) -> None:
    members = "hist_gradient_boosting+decision_tree+hist_gradient_boosting"
    settings = {"hist_gradient_boosting__max_iter": 7, "decision_tree__min_samples_leaf": 60}
    first, tree, second = find_model("classification", name).build(COLUMNS, 3, members=members, **settings)[-1].members
    assert [(each[-1].max_iter, each[-1].random_state) for each in (first, second)] == [(7, 3), (7, 5)]
    assert (tree[-1].min_samples_leaf, tree[-1].random_state) == (60, 4)
    with pytest.raises(
        TrainingError, match=r"got random_forest__x, expected settings of .*decision_tree.*, as MODEL__"
    ):
        find_model("classification", name).build(COLUMNS, 0, members=members, random_forest__x=1)


class Certain:
    """A member that excludes the first class."""

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        return np.tile([0.0, 1.0], (len(rows), 1))


class Doubtful:
    """A member that has no opinion."""

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        return np.full((len(rows), 2), 0.5)


def test_a_member_that_is_certain_does_not_decide_alone() -> None:
    model = MeanOfLogOdds("classification", [])
    model.members_ = [Certain(), Doubtful()]
    odds = np.sqrt(LEAST * 1.0)
    assert model.predict_proba(np.zeros((1, 1)))[0, 0] == pytest.approx(odds / (1 + odds))


@pytest.mark.parametrize("task", ZOO)
def test_a_member_that_is_not_there_is_refused_with_those_that_are(task: str) -> None:
    with pytest.raises(TrainingError, match=r"got lightgbm in members='lightgbm', expected some of: .*random_forest"):
        fitted(task, "ensemble", members="lightgbm")


def test_behind_a_calibration_it_still_knows_its_columns() -> None:
    model = fitted("classification", "ensemble", members="random_forest")
    assert list(with_map(model, fit_map("sigmoid", np.array([0.2, 0.8]), np.array([0, 1]))).feature_names_in_) == list(
        TRAIN.columns
    )
