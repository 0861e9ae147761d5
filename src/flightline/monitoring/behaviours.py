"""How a column moves by nature, so that the monitor does not call that broken: given, or seen in the training days.

`Monitoring.hints` overrides what is inferred here; `daily_stats` and the drift scores judge each column accordingly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from flightline.core.errors import FeatureError
from flightline.core.problem_spec import Behaviour
from flightline.evaluation.sampling import spread_positions
from flightline.monitoring.drift import PREDICTION, Frame

WITHOUT_DRIFT: tuple[Behaviour, ...] = ("calendar", "grows")  # the longer ago the training, the farther from it
OF_TEXT: tuple[Behaviour, ...] = ("calendar", "ordinary")
SAMPLE = 1_000
ALIKE = 0.95  # of the rows, or of the days: one in twenty may be otherwise
RARE = 0.1  # of a sparse column's rows at most have another value than the commonest
WEEK, LEAST_DAYS = 7, 21
LEAST_PAIRS, LEAST_TOGETHER = 200, 0.1
ZONES = range(-12, 15)  # hours from UTC


@dataclass(frozen=True)
class ByNature:
    """A column that is judged by how it moves by nature, and whether a hint says so or the training days."""

    column: str
    behaviour: Behaviour
    is_hint: bool


def check_hints(hints: Mapping[str, Behaviour], features: Frame) -> None:
    """Refuse hints on columns that the model does not have, and hints that a text cannot follow.

    Parameters
    ----------
    features
        The model's columns, float64 or text; rows are not looked at.

    Raises
    ------
    FeatureError
        Naming the hint, and what to write instead.
    """
    known = sorted(str(name) for name in features if name != PREDICTION)
    where = "in `Monitoring(hints=...)` of src/flightline/problem/config.py"
    if absent := sorted(set(hints) - set(known)):
        raise FeatureError(f"got hints on {', '.join(absent)}; the model has no such column {where}, only: {known}")
    wrong = [
        f"{name}={hint!r}" for name, hint in hints.items() if features[name].dtype != float and hint not in OF_TEXT
    ]
    if wrong:
        raise FeatureError(f"got {', '.join(wrong)} {where}, but that is text; expected one of {', '.join(OF_TEXT)}")


def infer_behaviours(frame: Frame, prediction_time: pd.Series, horizon: timedelta) -> dict[str, Behaviour]:
    """Tell how each column of the training window moves by nature.

    Parameters
    ----------
    frame
        Features, float64 or text.
    prediction_time
        UTC, of the same rows.
    horizon
        From the prediction time to the moment that the request is about, whose date a column may tell.
    """
    times = pd.DatetimeIndex(prediction_time)
    places = spread_positions(len(times), SAMPLE)
    parts = _calendar_parts(times[places] + horizon)
    day, moment = times.floor("D"), np.unique(times.asi8, return_inverse=True)[1]
    return {str(name): _infer(frame[name], places, parts, day, moment) for name in frame}


def _infer(
    values: pd.Series, places: np.ndarray, parts: np.ndarray, day: pd.DatetimeIndex, moment: np.ndarray
) -> Behaviour:
    if values.dtype != float:
        return "ordinary"
    numbers = values.to_numpy()
    if np.isnan(numbers).all():
        return "ordinary"
    if _is_calendar(numbers[places], parts):
        return "calendar"
    if _grows(values, day):
        return "grows"
    if values.nunique() > 1 and values.value_counts(normalize=True).iloc[0] >= 1 - RARE:
        return "sparse"
    return "shared" if _is_shared(numbers, moment) else "ordinary"


def _calendar_parts(events: pd.DatetimeIndex) -> np.ndarray:
    """Give what calendars and clocks show at some moments, counted from 0 or 1; shape (zones, parts, moments)."""
    found = []
    for hours in ZONES:
        local = events + pd.Timedelta(hours=hours)
        one = [local.year, local.quarter, local.month, local.isocalendar().week, local.dayofyear, local.day]
        one += [local.dayofweek + 1, (local.dayofweek + 1) % 7 + 1]  # weeks begin on a Monday, or on a Sunday
        zero = [local.hour, local.hour * 60 + local.minute]
        columns = [np.asarray(part, float) for part in (*one, *zero)]
        found.append([*columns, *(part - 1 for part in columns[: len(one)])])
    return np.array(found)


def _is_calendar(values: np.ndarray, parts: np.ndarray) -> bool:
    known = ~np.isnan(values)
    if not known.any():
        return False
    same = parts[:, :, known] == values[known]
    either = same[:-1] | same[1:]  # winter and summer time
    is_constant = (parts[:, :, known] == parts[:, :, known][:, :, :1]).all(axis=2)
    is_constant[:, 0] = False  # a year may well be
    return bool((either.mean(axis=2)[~is_constant[:-1]] >= ALIKE).any())


def _grows(values: pd.Series, day: pd.DatetimeIndex) -> bool:
    """Say whether the median of a day is hardly ever below that of a week before, and mostly above it."""
    medians = values.groupby(day).median().dropna().to_numpy()
    if len(medians) < LEAST_DAYS:
        return False
    steps = medians[WEEK:] - medians[:-WEEK]
    return bool((steps < 0).mean() <= 1 - ALIKE and (steps > 0).mean() > 0.5)


def _is_shared(numbers: np.ndarray, moment: np.ndarray) -> bool:
    """Say whether rows of one moment have the same value more often than others, as a price has."""
    known = ~np.isnan(numbers)
    values = np.unique(numbers[known], return_inverse=True)[1]
    moments = moment[known]
    pairs = _pairs(np.bincount(moments))
    if pairs < LEAST_PAIRS:
        return False
    same = _pairs(np.unique(moments * (values.max() + 1) + values, return_counts=True)[1])
    by_chance = _pairs(np.bincount(values)) / (len(values) * (len(values) - 1))
    return by_chance < 1 and (same / pairs - by_chance) / (1 - by_chance) >= LEAST_TOGETHER


def _pairs(counts: np.ndarray) -> float:
    return float((counts * (counts - 1.0)).sum())
