"""What is kept of each prediction, and the key by which the same instance is found again.

Where it is kept is `adapters/prediction_log/log.py`'s business.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from flightline.core.errors import LogError
from flightline.core.lineage import digest_of

Role = Literal["champion", "challenger", "shadow"]
Endpoint = Literal["predict", "score"]
# Why a feature has no value.
NO_VALUE = "no value"
STALE = "stale"
AFTER_THE_CLOCK = "after the clock"
# Of a request's text: longer ones would fill the log's disk.
MAX_TEXT_LENGTH = 200
Plain = str | int | float | bool | None
# A number, or of a multiclass problem the probability of each class in the order of `Problem.classes`.
Predicted = float | list[float]
INSTANT = timedelta(microseconds=1)  # the log keeps no finer time
ANSWER_COLUMNS = ("prediction", "probabilities")
_VERSION_7 = re.compile("[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedPrediction:
    """One prediction with all it was made of.

    Parameters
    ----------
    prediction_id
        By `make_prediction_id`; no two rows share one.
    request_id
        Of the request it was part of.
    logged_at
        Time of day when it was written (UTC-aware, as all moments here).
    clock
        Where the event clock stood.
    prediction_time
        When the model was trained to predict this instance.
    event_time
        When what is predicted happens.
    instance_key
        Of `keys`, by `instance_key`: joins labels and other predictions of the same instance.
    keys
        Entity keys and request columns, by name.
    features
        The model's input, by column, in its order; NaN is kept as None.
    event_timestamps
        By feature view, when the values found became known.
    watermarks
        By feature view, up to when it was materialised.
    missing
        By feature or feature view, why there was no value.
    prediction
        The probability, or the number of a regression; of a multiclass problem the probability of the likeliest class.
    role
        Whether it was the answer (champion, challenger) or made beside it (shadow).
    endpoint
        The route of the request.
    caller
        Name of the API key it came with; a dash where none was needed.
    probabilities
        Of a multiclass problem, by the name of the class; None in any other.
    """

    prediction_id: str
    request_id: str
    logged_at: datetime
    clock: datetime
    prediction_time: datetime
    event_time: datetime
    instance_key: str
    keys: Mapping[str, object]
    features: Mapping[str, float | str | None]
    event_timestamps: Mapping[str, datetime]
    watermarks: Mapping[str, datetime]
    missing: Mapping[str, str]
    prediction: float
    model_name: str
    model_version: str
    feature_service: str
    role: Role
    endpoint: Endpoint
    caller: str = "-"
    probabilities: Mapping[str, float] | None = None


def make_prediction_id(logged_at: datetime) -> str:
    """Make an id that sorts as time does, so that new rows of a log lie together in its index.

    Parameters
    ----------
    logged_at
        When the prediction is written (UTC-aware).

    Returns
    -------
    str
        32 hex digits: a UUID of version 7 (RFC 9562, section 5.7), milliseconds and then 74 random bits.
    """
    milliseconds, random = (logged_at - _EPOCH) // _MILLISECOND, int.from_bytes(os.urandom(10))
    version, variant = 7 << 76, 2 << 62
    number = milliseconds << 80 | version | (random >> 68) << 64 | variant | random & (1 << 62) - 1
    return f"{number:032x}"


def logged_between(ids: Sequence[str]) -> tuple[datetime, datetime] | None:
    """Give from and before which moment predictions were written, by their ids; None if an id tells no time.

    Ids of earlier versions are random.
    """
    if not ids or not all(map(_VERSION_7.fullmatch, ids)):
        return None
    try:
        first, last = (int(one[:12], 16) * _MILLISECOND + _EPOCH for one in (min(ids), max(ids)))
        return first, last + _MILLISECOND
    except OverflowError:  # after the year 9999: none of ours
        return None


def logged_answer(classes: Sequence[str], answer: Predicted) -> tuple[float, Mapping[str, float] | None]:
    """Give `prediction` and `probabilities` of `LoggedPrediction` for a model's answer.

    Examples
    --------
    >>> logged_answer(("rain", "snow", "sun"), [0.5, 0.25, 0.25])
    (0.5, {'rain': 0.5, 'snow': 0.25, 'sun': 0.25})
    >>> logged_answer((), 0.75)
    (0.75, None)
    """
    if isinstance(answer, list):
        return max(answer), dict(zip(classes, answer, strict=True))
    return answer, None


def with_answers(logged: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Put the whole answers into `prediction`, in place of the two columns that the log keeps of them.

    Parameters
    ----------
    logged
        With `ANSWER_COLUMNS`.
    classes
        Of the problem: a multiclass answer becomes a vector in their order; of any other it stays the number.

    Raises
    ------
    LogError
        If a prediction has no probabilities of these classes.
    """
    rest = logged.drop(columns="probabilities")
    if not classes:
        return rest
    if any(given is None or set(given) != set(classes) for given in logged["probabilities"]):
        raise LogError(
            f"the prediction log holds predictions of other classes than {', '.join(classes)}: they were made before "
            "classes of problem/config.py changed; look only at what was predicted since"
        )
    return rest.assign(
        prediction=pd.Series(
            [np.array([given[name] for name in classes]) for given in logged["probabilities"]],
            logged.index,
            dtype=object,
        )
    )


def as_column(predicted: np.ndarray) -> np.ndarray | list[np.ndarray]:
    """Lay predictions out as one column of a frame; those of a multiclass problem are a vector in each cell."""
    return predicted if predicted.ndim == 1 else list(predicted)


def from_column(column: pd.Series) -> np.ndarray:
    """Give the predictions that `as_column` laid out, before or after a parquet file.

    Examples
    --------
    >>> from_column(pd.Series([np.array([0.5, 0.5]), np.array([0.25, 0.75])])).shape
    (2, 2)
    """
    return np.stack(column.to_list()) if column.dtype == object and len(column) else column.to_numpy(dtype=np.float64)


def instance_key(keys: Mapping[str, object]) -> str:
    """Give the digest (sha256, hex) that equal instances share, however their keys are typed or ordered.

    Parameters
    ----------
    keys
        Entity keys and request columns, by name. A missing value may be None, NaN or NaT; a
        whole number may be an int or a float; a moment may be of any time zone.

    Raises
    ------
    LogError
        If a value is neither text, number, boolean, moment with a time zone nor missing.

    Examples
    --------
    >>> instance_key({"shop": "A", "item": 7}) == instance_key({"item": 7.0, "shop": "A"})
    True
    """
    return digest_of(plain_keys(keys))


def plain_keys(keys: Mapping[str, object]) -> dict[str, Plain]:
    """Write keys in the one way that JSON, pandas and a request agree on; doing it twice changes nothing.

    Examples
    --------
    >>> plain_keys({"at": datetime(2026, 1, 1, tzinfo=UTC), "item": 7.0, "size": float("nan")})
    {'at': '2026-01-01T00:00:00+00:00', 'item': 7, 'size': None}
    """
    return {name: _plain(name, value) for name, value in keys.items()}


def plain_rows(rows: pd.DataFrame) -> list[dict[str, Plain]]:
    """Write rows of keys likewise: in pandas a whole number beside a missing one is 7.0, and no request has that."""
    return [plain_keys(row) for row in rows.to_dict("records")]


def _plain(name: str, value: object) -> Plain:
    if type(value) is str or type(value) is int:  # most are, and this is done for every answer
        return value
    if isinstance(value, np.generic):
        value = pd.Timestamp(value, tz="UTC") if isinstance(value, np.datetime64) else value.item()
    if value is None or value is pd.NaT or value is pd.NA or value != value:
        return None
    if isinstance(value, datetime):
        return _plain_moment(name, value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str | int | float):
        return value
    raise LogError(
        f"the key {name!r} is a {type(value).__name__}, expected text, a number, a boolean or a moment; "
        "turn it into one of them"
    )


def _plain_moment(name: str, value: datetime) -> str:
    if value.tzinfo is None:
        raise LogError(f"the key {name!r} is {value.isoformat()} without a time zone; add one, all moments are in UTC")
    whole = value.to_pydatetime(warn=False) if isinstance(value, pd.Timestamp) else value
    return whole.astimezone(UTC).isoformat()
