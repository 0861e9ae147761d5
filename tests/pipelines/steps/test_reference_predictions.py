"""Rows that a model is asked about again when it is loaded."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.steps.reference_predictions import (
    REFERENCE_FILE,
    read_reference_predictions,
    write_reference_predictions,
)
from tests.toy_problem import PROBLEM

NOON = datetime(2020, 5, 1, 12, tzinfo=UTC)


def test_requests_are_kept_as_a_caller_would_send_them(tmp_path: Path) -> None:
    problem = replace(PROBLEM, entity_keys=("shop",), request_columns=("seats", "opens"), slices=())
    examples = pd.DataFrame({"shop": ["S01", "S02"], "seats": [30, None], "opens": [NOON, NOON]})
    features = pd.DataFrame({"hour": [12.0, np.nan]})
    write_reference_predictions(problem, tmp_path, examples, features, np.array([0.25, 0.5]))
    rows = read_reference_predictions((tmp_path / REFERENCE_FILE).read_text())
    opens = "2020-05-01T12:00:00+00:00"
    assert [row.request for row in rows] == [
        {"shop": "S01", "seats": 30, "opens": opens},
        {"shop": "S02", "seats": None, "opens": opens},
    ]
    assert [type(row.request["seats"]) for row in rows] == [int, type(None)]
    assert [row.features for row in rows] == [{"hour": 12.0}, {"hour": None}]
    assert [row.prediction for row in rows] == [0.25, 0.5]
