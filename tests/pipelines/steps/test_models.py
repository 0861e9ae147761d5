"""What a model of before is asked on the columns of today."""

import pandas as pd
import pytest

from flightline.core.errors import TrainingError
from flightline.inference.predict import predict_with
from tests.support.small_service import fitted
from tests.toy_problem import PROBLEM


def test_columns_that_are_no_more_are_named():
    rows = pd.DataFrame({"shop": ["S01"], "opening_hour": [8.0]})
    with pytest.raises(TrainingError, match="it takes mean_units, seats, which the training set has no more"):
        predict_with(fitted(), PROBLEM, rows)
