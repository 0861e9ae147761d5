"""Between predictions and rows of the database: JSON, moments, and what neither can hold by itself."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pandas as pd

from flightline.adapters.prediction_log.feature_lists import Names, list_of, plain_values, read_features
from flightline.adapters.prediction_log.schema import COLUMNS, DOCUMENTS, MOMENTS
from flightline.core.errors import LogError, UnloggableError
from flightline.core.prediction_record import MAX_TEXT_LENGTH, LoggedPrediction, Plain, plain_keys

Row = tuple[Any, ...]
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC  # naive event timestamps are UTC, as in Feast


def encode(predictions: Sequence[LoggedPrediction], dialect: str) -> list[Row]:
    """Turn predictions into rows: values in the order of `COLUMNS`, the digest of their features' list, and that list.

    Raises
    ------
    LogError
        If a moment has no time zone.
    UnloggableError
        If a value cannot be kept: text that no encoding can write, a prediction or probability that is no finite
        number.
    """
    # The rows of a request share the times of day and clock, and the watermarks.
    moments, shared = _Moments(text_of if dialect == "sqlite" else in_utc), _Shared()
    try:
        return [_encode(prediction, moments, shared) for prediction in predictions]
    except (TypeError, ValueError, OverflowError) as err:
        raise UnloggableError(
            f"a prediction cannot be put into the log ({type(err).__name__}: {err}); features are numbers, text or "
            "None, timestamps are datetimes, reasons are text"
        ) from err


def text_of(moment: datetime) -> str:
    """Write a moment so that text sorts as time does: UTC, always with microseconds."""
    return in_utc(moment).isoformat(timespec="microseconds")


def moment_value(moment: datetime, dialect: str) -> str | datetime:
    """Write a moment as the database keeps it."""
    return text_of(moment) if dialect == "sqlite" else in_utc(moment)


def moment_of(value: str | datetime) -> datetime:
    """Read a moment as the database keeps it."""
    return in_utc(datetime.fromisoformat(value) if isinstance(value, str) else value)


def moments_of(values: pd.Series) -> pd.Series:
    """Read a column of moments as the database keeps it: datetime64[us, UTC]."""
    times = pd.to_datetime(values, utc=True, format="ISO8601" if _is_text(values) else None)
    return times.astype("datetime64[us, UTC]")


def in_utc(moment: datetime) -> datetime:
    """Give a moment in UTC.

    Raises
    ------
    LogError
        If it has no time zone.
    """
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        raise LogError(f"got the moment {moment.isoformat()} without a time zone; the log keeps UTC, add one")
    return moment.astimezone(UTC)


class _Moments(dict[datetime, object]):
    """Writes each moment once, and is quicker to make than a `functools.cache`."""

    def __init__(self, write: Callable[[datetime], object]):
        self._write = write

    def __missing__(self, moment: datetime) -> object:
        self[moment] = written = self._write(moment)
        return written


class _Shared:
    """Writes a mapping as JSON, and the next equal one as it did that."""

    def __init__(self) -> None:
        self._last: tuple[Mapping[str, object] | None, str] = (None, "")

    def json(self, value: Mapping[str, object]) -> str:
        if value != self._last[0]:
            self._last = (value, _json(value))
        return self._last[1]


def _encode(row: LoggedPrediction, moments: _Moments, shared: _Shared) -> Row:
    number = float(row.prediction)
    if not (math.isfinite(number) and all(map(math.isfinite, (row.probabilities or {}).values()))):
        raise UnloggableError(
            f"got the prediction {number}, expected a finite number: the model cannot say for this input"
        )
    return (
        row.prediction_id,
        row.request_id,
        moments[row.logged_at],
        moments[row.clock],
        moments[row.prediction_time],
        moments[row.event_time],
        row.instance_key,
        _json(_keys(row.keys)),
        _json(plain_values(row.features)),
        _json(row.event_timestamps),
        shared.json(row.watermarks),
        _json(row.missing),
        number,
        row.model_name,
        row.model_version,
        row.feature_service,
        row.role,
        row.endpoint,
        row.caller,
        None if row.probabilities is None else _json(row.probabilities),
        *list_of(tuple(row.features)),
    )


def _keys(keys: Mapping[str, object]) -> dict[str, Plain]:
    plain = plain_keys(keys)
    for name, value in plain.items():
        if isinstance(value, str) and len(value) > MAX_TEXT_LENGTH:
            raise UnloggableError(
                f"got {len(value):,} characters of {name}, expected {MAX_TEXT_LENGTH} at most: the log keeps no longer "
                "text of a request"
            )
    return plain


def _json(value: Mapping[str, object] | Sequence[object]) -> str:
    return orjson.dumps(value, default=_default, option=_OPTIONS).decode()


def _default(value: object) -> object:
    """Write what orjson does not know: pandas' moments, and mappings that are no dict."""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime(warn=False)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a value of the log")


def decode(
    rows: Sequence[Row], columns: Sequence[str] = COLUMNS, names: Sequence[Names | None] | None = None
) -> pd.DataFrame:
    """Turn rows into a frame: moments as datetime64[us, UTC], JSON as dicts.

    Parameters
    ----------
    rows
        Values of `columns`, JSON as text.
    names
        Of each row's features, if they are written without; see `feature_lists.read_features`.
    """
    frame = pd.DataFrame.from_records(list(rows), columns=list(columns))
    for name in columns:
        if name in MOMENTS:
            frame[name] = moments_of(frame[name])
        elif name == "features":
            given = map(read_features, frame[name], names or [None] * len(frame))
            frame[name] = pd.Series(list(given), frame.index, dtype=object)
        elif name in DOCUMENTS:
            read = _READERS.get(name, orjson.loads)
            values = [None if text is None else read(text) for text in frame[name]]
            frame[name] = pd.Series(values, frame.index, dtype=object)
    return frame


def _is_text(values: pd.Series) -> bool:
    return len(values) > 0 and isinstance(values.iloc[0], str)


def _read_moments(text: str) -> dict[str, datetime]:
    return {name: datetime.fromisoformat(value).astimezone(UTC) for name, value in orjson.loads(text).items()}


_READERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "event_timestamps": _read_moments,
    "watermarks": _read_moments,
}
