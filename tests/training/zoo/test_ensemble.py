"""An ensemble is the mean of what its members answer, each fitted by itself."""

import numpy as np
import pytest

from flightline.core.errors import TrainingError
from flightline.inference.predict import predict
from flightline.training.calibration import fit_map, with_map
from flightline.training.zoo.ensemble import LEAST, THREE, MeanOfLogOdds, build
from flightline.training.zoo.scikit_learn import MODELS
from tests.training.zoo.test_zoo import COLUMNS, LABELS, LATER, TRAIN

TASKS = list(MODELS)


def answers_of_members(task: str) -> list[np.ndarray]:
    builds = [MODELS[task][name].build for name in THREE.split("+")]
    return [predict(task, build(COLUMNS, 0).fit(TRAIN, LABELS[task]), LATER) for build in builds]


@pytest.mark.parametrize("task", TASKS)
def test_the_answer_is_the_mean_of_the_members(task: str) -> None:
    answers = np.array(answers_of_members(task))
    found = predict(task, build(task, COLUMNS, 0, members=THREE).fit(TRAIN, LABELS[task]), LATER)
    if task == "regression":
        assert np.allclose(found, answers.mean(axis=0), rtol=0, atol=1e-12)
    elif task == "classification":
        assert np.allclose(np.log(found / (1 - found)), np.log(answers / (1 - answers)).mean(axis=0), rtol=0, atol=1e-9)
    else:
        ratios = np.log(answers[..., 1:] / answers[..., :1]).mean(axis=0)
        assert np.allclose(np.log(found[:, 1:] / found[:, :1]), ratios, rtol=0, atol=1e-9)


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


@pytest.mark.parametrize("task", TASKS)
def test_a_member_that_is_not_there_is_refused_with_those_that_are(task: str) -> None:
    with pytest.raises(TrainingError, match=r"got lightgbm in members='lightgbm', expected some of: .*random_forest"):
        build(task, COLUMNS, 0, members="lightgbm")


def test_behind_a_calibration_it_still_knows_its_columns() -> None:
    model = build("classification", COLUMNS, 0, members="random_forest").fit(TRAIN, LABELS["classification"])
    assert list(with_map(model, fit_map("sigmoid", np.array([0.2, 0.8]), np.array([0, 1]))).feature_names_in_) == list(
        TRAIN.columns
    )
