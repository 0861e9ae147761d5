"""Which examples are learned from, chosen on and tested on: by time, never at random."""

import pandas as pd

from flightline.core.errors import TrainingError
from flightline.core.windows import Interval, MovingWindows, Windows


def rows_in(examples: pd.DataFrame, window: Interval, known_before: pd.Timestamp | None = None) -> pd.Series:
    """Mark the labelled examples whose prediction time lies in a window.

    Parameters
    ----------
    examples
        With event_timestamp (the prediction time, UTC) and label_known_at (UTC or missing).
    window
        Start included, end not.
    known_before
        Also demand that the label was known before this moment: what is learned from must
        have been known when the next window began.

    Returns
    -------
    Series of bool
    """
    inside = (examples["event_timestamp"] >= window.start) & (examples["event_timestamp"] < window.end)
    labelled = examples["label_known_at"].notna()
    if known_before is not None:
        labelled &= examples["label_known_at"] < known_before
    return inside & labelled


def windows_of(examples: pd.DataFrame, windows: MovingWindows | Windows) -> Windows:
    """Give the windows of a problem on these examples: moving ones end with the newest known label.

    Parameters
    ----------
    examples
        With event_timestamp (the prediction time, UTC) and label_known_at (UTC or missing).

    Raises
    ------
    TrainingError
        If no label is known, or nothing is left to fit on.
    """
    labelled = examples.loc[examples["label_known_at"].notna(), "event_timestamp"]
    if labelled.empty:
        raise TrainingError("no label is known yet; move the clock on (`make clock TO=...`), or add data")
    newest = labelled.max().to_pydatetime()
    try:
        return windows.until(newest)
    except ValueError as err:
        raise TrainingError(
            f"the newest known label is of {newest:%Y-%m-%d %H:%M} UTC, which leaves nothing to fit on: {err}; shorten "
            f"validation and test in src/flightline/problem/config.py, add data or move the clock on"
        ) from err


def split_until(
    examples: pd.DataFrame, windows: Windows, until: pd.Timestamp, known_before: pd.Timestamp | None = None
) -> dict[str, pd.Series]:
    """Split what lies before a moment as if the test began there: the windows before it, as long as they are, moved up.

    Parameters
    ----------
    until
        UTC.
    known_before
        Leave out labels that were known later; None: every known label counts.

    Returns
    -------
    dict of Series of bool
        fit, validation and refit.
    """
    validation = Interval(until - (windows.validation.end - windows.validation.start), until)
    before = Interval(windows.fit.start, validation.start)
    return {
        "fit": rows_in(examples, before, known_before=pd.Timestamp(validation.start)),
        "validation": rows_in(examples, validation, known_before),
        "refit": rows_in(examples, Interval(windows.fit.start, until), known_before),
    }


def split(examples: pd.DataFrame, windows: MovingWindows | Windows) -> dict[str, pd.Series]:
    """Split labelled examples into fit, validation, refit (all before the test) and test.

    Returns
    -------
    dict of Series of bool
        By name. Test shares no row with any other, and no label of another was learned of
        after the test began.

    Raises
    ------
    TrainingError
        If one of them is empty.
    """
    windows = windows_of(examples, windows)
    masks = {
        "fit": rows_in(examples, windows.fit, known_before=windows.validation.start),
        "validation": rows_in(examples, windows.validation, known_before=windows.test.start),
        "refit": rows_in(
            examples, Interval(windows.fit.start, windows.validation.end), known_before=windows.test.start
        ),
        "test": rows_in(examples, windows.test),
    }
    empty = [name for name, mask in masks.items() if not mask.any()]
    if empty:
        span = f"{examples['event_timestamp'].min()} to {examples['event_timestamp'].max()}"
        raise TrainingError(
            f"no labelled example lies in: {', '.join(empty)}; the examples' prediction times run from {span}; "
            f"the windows are {windows}: change them in src/flightline/problem/config.py or add data"
        )
    return masks
