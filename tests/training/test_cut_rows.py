"""Windows are cut out when they are used, and no frame of one outlasts its encoding."""

import weakref

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from flightline.training.cut_rows import Rows
from flightline.training.fit import fit
from tests.training.test_fit import FEATURES, MASKS, SOLD_OUT, small


class NotedRows:
    """Features that know which frames they gave are still held."""

    def __init__(self) -> None:
        self._given: list[weakref.ref[pd.DataFrame]] = []

    def __getitem__(self, mask: pd.Series | np.ndarray) -> pd.DataFrame:
        frame = FEATURES[np.asarray(mask)]
        self._given.append(weakref.ref(frame))
        return frame

    def held(self) -> int:
        return sum(given() is not None for given in self._given)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("hist_gradient_boosting", HistGradientBoostingClassifier), ("decision_tree", DecisionTreeClassifier)],
)
def test_no_frame_is_held_while_an_estimator_learns(monkeypatch, name, kind):
    """It copies what it is given, and of a large training set there is no room for both."""
    rows, held, learn = NotedRows(), list[int](), kind.fit

    def noted(*given: object, **more: object) -> object:
        held.append(rows.held())
        return learn(*given, **more)

    monkeypatch.setattr(kind, "fit", noted)
    fitted = fit(small(name), rows, SOLD_OUT, MASKS, task="classification", metric="log_loss")
    assert len(held) > 1
    assert set(held) == {0}
    whole = fit(small(name), FEATURES, SOLD_OUT, MASKS, task="classification", metric="log_loss")
    assert fitted.validation_losses == whole.validation_losses


def test_where_a_frame_is_all_there_is_it_is_not_copied():
    every = Rows("classification", FEATURES, SOLD_OUT).of(np.ones(len(FEATURES), dtype=bool))
    assert every.features is FEATURES
    assert every.target.tolist() == SOLD_OUT.tolist()
