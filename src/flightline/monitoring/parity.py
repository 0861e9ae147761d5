"""Parity: what a served prediction used, rebuilt from the feature tables, and compared value by value.

A second way to the same values, on purpose: neither the online store nor the join of training
is asked, so that a fault of either shows. What is read, and from where, is the business of
`pipelines/parity.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from flightline.core.prediction_record import AFTER_THE_CLOCK, NO_VALUE, STALE, from_column

Span = tuple[datetime, datetime]
PREDICTION = "prediction"
TOLERANCE = 1e-12  # of a sum in another order
_MICROSECONDS = "datetime64[us, UTC]"


@dataclass(frozen=True)
class StoredView:
    """A feature view, and which of its rows were loaded into the online store.

    Parameters
    ----------
    features
        In the order of the feature service.
    ttl
        How old a value may be; 0 for no limit.
    loaded
        Spans of event timestamps that were materialised, both ends included.
    """

    name: str
    keys: tuple[str, ...]
    features: tuple[str, ...]
    ttl: timedelta
    loaded: tuple[Span, ...]


@dataclass(frozen=True)
class RebuiltView:
    """What a view gives for each prediction.

    Parameters
    ----------
    stamps
        When the values found became known; NaT where there were none.
    reasons
        Why the whole view has no value, or None.
    values
        The features, float64, NaN where missing.
    """

    view: StoredView
    stamps: pd.Series
    reasons: np.ndarray
    values: pd.DataFrame


@dataclass(frozen=True)
class Mismatch:
    """One value that is not what the feature tables and the model give."""

    prediction_id: str
    what: str
    logged: object
    rebuilt: object
    logged_stamp: object = None
    rebuilt_stamp: object = None
    watermark: object = None
    clock: object = None

    def __str__(self) -> str:
        found = f"{self.prediction_id}  {self.what}: logged {self.logged!r}, rebuilt {self.rebuilt!r}"
        moments = {
            "logged event timestamp": self.logged_stamp,
            "rebuilt": self.rebuilt_stamp,
            "watermark": self.watermark,
            "clock": self.clock,
        }
        times = [f"{name} {moment}" for name, moment in moments.items() if moment is not None and moment == moment]
        return found + (f" ({', '.join(times)})" if times else "")


def union_of(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Join spans that overlap or touch.

    Examples
    --------
    >>> day = datetime(2020, 1, 1)
    >>> [end.day - start.day for start, end in union_of([(day, day), (day, day.replace(day=3))])]
    [2]
    """
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return tuple(joined)


def rebuild_view(view: StoredView, table: pd.DataFrame, asked: pd.DataFrame) -> RebuiltView:
    """Find what the online store had to hold at each prediction's watermark, and judge it at its clock.

    That is the newest row known by then. Where it is of no use (too old, or none), what was
    really loaded says which event timestamp the store gave.

    Parameters
    ----------
    view
        Its keys are columns of both frames.
    table
        The feature table, with event_timestamp and created_timestamp.
    asked
        One row a prediction, shape (n, ...): the keys, and the moments `watermark` and `clock`.

    Returns
    -------
    RebuiltView
        With the index of `asked`.
    """
    rows = _in_order(of_keys(view, table, asked))
    held = _newest(view, rows[_is_loaded(view, rows["event_timestamp"])], asked)
    reasons = _why_unusable(held["event_timestamp"], view.ttl, asked["clock"])
    # A row that lay between two loads would have been used, had it not been left out: that is a fault, not an excuse.
    known = _newest(view, rows, asked)
    known_reasons = _why_unusable(known["event_timestamp"], view.ttl, asked["clock"])
    is_usable = pd.Series(known_reasons == None, index=asked.index)  # noqa: E711  # element by element
    reasons[is_usable] = None
    found = known.where(is_usable, held)
    return RebuiltView(view, found["event_timestamp"], reasons, known[list(view.features)].where(is_usable, axis=0))


def _newest(view: StoredView, rows: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Find the newest row of each prediction's keys at its watermark."""
    has_keys = asked[[*view.keys, "watermark"]].notna().all(axis=1)
    left = asked.loc[has_keys, [*view.keys, "watermark"]].astype({key: rows[key].dtype for key in view.keys})
    left = left.assign(watermark=_moments(left["watermark"]), _row=np.flatnonzero(has_keys)).sort_values(
        "watermark", kind="stable"
    )
    found = pd.merge_asof(left, rows, left_on="watermark", right_on="event_timestamp", by=list(view.keys))
    return found.set_index("_row").reindex(range(len(asked))).set_axis(asked.index)


def of_keys(view: StoredView, table: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Leave out of a feature table what nobody asked about, which is most of a large one."""
    wanted = np.ones(len(table), dtype=bool)
    for key in view.keys:
        wanted &= table[key].isin(asked[key].dropna().unique()).to_numpy()
    return table[wanted]


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Order rows so that of equal event timestamps the one that stays in a store is the last."""
    rows = table.assign(
        event_timestamp=_moments(table["event_timestamp"]), created_timestamp=_moments(table["created_timestamp"])
    )
    return rows.sort_values(["event_timestamp", "created_timestamp"], kind="stable").drop(columns="created_timestamp")


def _is_loaded(view: StoredView, stamps: pd.Series) -> np.ndarray:
    is_loaded = np.zeros(len(stamps), dtype=bool)
    for start, end in view.loaded:
        is_loaded |= stamps.between(pd.Timestamp(start), pd.Timestamp(end)).to_numpy()
    return is_loaded


def _moments(values: pd.Series) -> pd.Series:
    return pd.to_datetime(values, utc=True).astype(_MICROSECONDS)


def _why_unusable(stamps: pd.Series, ttl: timedelta, clocks: pd.Series) -> np.ndarray:
    clocks = _moments(clocks)
    is_stale = (clocks - stamps > ttl) if ttl else pd.Series(False, index=stamps.index)
    reasons = np.full(len(stamps), None, dtype=object)
    reasons[is_stale.to_numpy()] = STALE
    reasons[(stamps > clocks).to_numpy()] = AFTER_THE_CLOCK
    reasons[stamps.isna().to_numpy()] = NO_VALUE
    return reasons


def stored_features(views: Sequence[RebuiltView]) -> dict[str, np.ndarray]:
    """Lay out by column what the views give: float64, NaN where missing."""
    return {name: one.values[name].to_numpy(dtype=np.float64) for one in views for name in one.view.features}


def inputs_of(
    stored: Mapping[str, np.ndarray], computed: Mapping[str, np.ndarray], columns: Sequence[str]
) -> dict[str, np.ndarray]:
    """Lay out the model's input by column: what is computed for a request goes before a stored feature of its name."""
    given = {**stored, **computed}
    return {name: given[name] for name in columns}


def compare_inputs(
    logged: pd.DataFrame, views: Sequence[RebuiltView], inputs: Mapping[str, np.ndarray]
) -> list[Mismatch]:
    """Compare the model's input column by column: numbers bit by bit, missing with missing.

    Parameters
    ----------
    logged
        Rows of the prediction log.
    views, inputs
        Of the same predictions, in the same order.
    """
    owner = {name: one for one in views for name in one.view.features}
    features = logged["features"].tolist()
    known = {name for row in features for name in row}
    found = []
    for name in [*inputs, *sorted(known - set(inputs))]:
        kept = [row.get(name) for row in features]
        again = _plain(inputs[name]) if name in inputs else [None] * len(kept)
        for row in np.flatnonzero([not _is_same(a, b) for a, b in zip(kept, again, strict=True)]):
            found.append(_mismatch(logged, int(row), name, kept[row], again[row], owner.get(name)))
    return found


def compare_states(logged: pd.DataFrame, views: Sequence[RebuiltView]) -> list[Mismatch]:
    """Compare, view by view, the event timestamps found and the reasons why values are missing.

    A row that came into the data only when it was older than its ttl is loaded no more: an answer that names an older
    one, or none, as of no use is as it should be.
    """
    found = []
    missing = logged["missing"].tolist()
    for one in views:
        stamps = [None if pd.isna(stamp) else stamp for stamp in one.stamps]
        kept = [row.get(one.view.name) for row in logged["event_timestamps"]]
        reasons = [row.get(one.view.name) for row in missing]
        came_too_late = [
            reason in (STALE, NO_VALUE) and again == STALE and (before is None or before < stamp)
            for reason, again, before, stamp in zip(reasons, one.reasons, kept, stamps, strict=True)
        ]
        stamps = [old if is_late else new for is_late, old, new in zip(came_too_late, kept, stamps, strict=True)]
        again = [old if is_late else new for is_late, old, new in zip(came_too_late, reasons, one.reasons, strict=True)]
        wrong = [(f"event timestamp of {one.view.name}", kept, stamps), (f"reason of {one.view.name}", reasons, again)]
        for name in one.view.features:
            is_null = one.values[name].isna().to_numpy() & (one.reasons == None)  # noqa: E711  # element by element
            wrong.append(
                (
                    f"reason of {name}",
                    [row.get(name) for row in missing],
                    [NO_VALUE if null else None for null in is_null],
                )
            )
        for what, before, again in wrong:
            for row in np.flatnonzero([a != b for a, b in zip(before, again, strict=True)]):
                found.append(_mismatch(logged, int(row), what, before[row], again[row], one))
    return found


def compare_predictions(logged: pd.DataFrame, again: np.ndarray) -> list[Mismatch]:
    """Compare what was answered with what the model of that version answers to the rebuilt input."""
    kept = from_column(logged["prediction"])
    differs = ~np.isclose(kept, again, rtol=0, atol=TOLERANCE)
    wrong = differs if differs.ndim == 1 else differs.any(axis=1)
    return [
        _mismatch(logged, int(row), PREDICTION, kept[row].tolist(), again[row].tolist(), None)
        for row in np.flatnonzero(wrong)
    ]


def _mismatch(
    logged: pd.DataFrame, row: int, what: str, kept: object, again: object, one: RebuiltView | None
) -> Mismatch:
    prediction = logged.iloc[row]
    if one is None:
        return Mismatch(prediction["prediction_id"], what, kept, again, clock=prediction["clock"])
    name = one.view.name
    return Mismatch(
        prediction["prediction_id"],
        what,
        kept,
        again,
        logged_stamp=prediction["event_timestamps"].get(name),
        rebuilt_stamp=one.stamps.iloc[row],
        watermark=prediction["watermarks"].get(name),
        clock=prediction["clock"],
    )


def _plain(values: np.ndarray) -> list[object]:
    return [None if value is None or value != value else value for value in values.tolist()]


def _is_same(kept: object, again: object) -> bool:
    if isinstance(kept, int | float) and isinstance(again, int | float):
        return float(kept).hex() == float(again).hex()  # so that -0.0 is not 0.0
    return kept == again
