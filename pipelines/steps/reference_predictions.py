"""A few test rows with the model's answers, registered with it, for whoever loads it to ask again."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from flightline.adapters.model_store.manifest import ReferencePrediction
from flightline.core.errors import RegistryError
from flightline.core.prediction_record import plain_rows
from flightline.core.problem_spec import Problem
from flightline.evaluation.sampling import spread_positions

REFERENCE_FILE = "probe.json"  # its name in runs of before too
REFERENCE_ROWS = 200
_ROWS = TypeAdapter(tuple[ReferencePrediction, ...])


def write_reference_predictions(
    problem: Problem, folder: Path, examples: pd.DataFrame, features: pd.DataFrame, prediction: np.ndarray
) -> None:
    """Write requests, features and answers of rows spread evenly over the test window."""
    chosen = spread_positions(len(examples), REFERENCE_ROWS)
    requests = examples.iloc[chosen][[*problem.entity_keys, *problem.request_columns]]
    rows = [
        ReferencePrediction(request=request, features=given, prediction=answer.tolist())
        for request, given, answer in zip(
            plain_rows(requests), _plain(features.iloc[chosen]), prediction[chosen], strict=True
        )
    ]
    (folder / REFERENCE_FILE).write_bytes(_ROWS.dump_json(tuple(rows)))


def read_reference_predictions(text: str) -> tuple[ReferencePrediction, ...]:
    """Read what `write_reference_predictions` wrote.

    Raises
    ------
    RegistryError
        If it is something else, or holds no row.
    """
    try:
        rows = _ROWS.validate_json(text)
    except ValidationError as err:
        raise RegistryError(f"{REFERENCE_FILE} of the run is not as it was written; train the model again") from err
    if not rows:
        raise RegistryError(f"{REFERENCE_FILE} of the run holds no row; train the model again")
    return rows


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Give features in values that JSON has: missing ones as None."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")
