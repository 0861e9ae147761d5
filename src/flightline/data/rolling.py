"""Statistics of recent events, as features take them: over a time window that ends at each event."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import ibis
from ibis import Deferred, _

from flightline.core.errors import FeatureError


def span_name(span: timedelta) -> str:
    """Name a time window in whole hours (up to a day) or days.

    Raises
    ------
    FeatureError
        If it is neither: two windows could then bear one name.

    Examples
    --------
    >>> span_name(timedelta(hours=3)), span_name(timedelta(days=30))
    ('3h', '30d')
    """
    unit, letter = (timedelta(hours=1), "h") if span <= timedelta(days=1) else (timedelta(days=1), "d")
    if span < unit or span % unit:
        raise FeatureError(f"a feature's window is {span}; give whole hours up to 24, or whole days")
    return f"{span // unit}{letter}"


def rolling(
    events: ibis.Table,
    *,
    keys: Sequence[str],
    at: str,
    windows: Sequence[timedelta],
    means: Mapping[str, ibis.Value],
    prefix: str,
    over: ibis.Value | bool = True,
    shares: Mapping[str, ibis.Value] | None = None,
) -> ibis.Table:
    """Count events and average measures of them over windows ending at each event.

    A window is closed at both ends: it holds the event itself and every other event of the
    same moment, so each key has one row a moment.

    Parameters
    ----------
    events
        One row an event.
    keys
        Columns whose values must be equal for events to be counted together.
    at
        The UTC column with the moment an event became known.
    windows
        How far back each window reaches.
    means
        By measure name, a deferred expression over `events`, averaged over those for which
        `over` is true; there it must not be missing.
    prefix
        Begins each feature's name.
    shares
        By name, a deferred truth about an event; its share among all events is given.

    Returns
    -------
    ibis.Table
        keys, event_timestamp, and for each window ``<prefix>_<window>_count`` (events) and
        ``<prefix>_<window>_<measure>`` (in the measure's own unit; missing where the window
        holds no event to average), as float64.
    """
    shares = shares or {}
    moments = _by_moment(events, keys, at, means, over, shares)
    return _over_windows(moments, keys, windows, ["_count", "_over", *means, *shares]).select(
        *keys, "event_timestamp", **_statistics(prefix, windows, list(means), list(shares))
    )


def _by_moment(
    events: ibis.Table,
    keys: Sequence[str],
    at: str,
    means: Mapping[str, ibis.Value],
    over: ibis.Value | bool,
    shares: Mapping[str, ibis.Value],
) -> ibis.Table:
    """Sum what is measured for each key and moment."""
    # Whole numbers (hundredths of a measure), because a sum of fractions depends on the order in
    # which an engine adds them, and with it the hash of the table; float64 adds them exactly.
    measured = events.select(
        *keys,
        event_timestamp=events[at],
        _over=ibis.ifelse(over, 1.0, 0.0),
        **{name: ibis.ifelse(over, (value * 100).round().cast("float64"), 0.0) for name, value in means.items()},
        **{name: truth.cast("float64") for name, truth in shares.items()},
    )
    return measured.group_by([*keys, "event_timestamp"]).aggregate(
        _count=_.count().cast("float64"), **{name: measured[name].sum() for name in ("_over", *means, *shares)}
    )


def rolled(prefix: str, windows: Sequence[timedelta], meanings: Mapping[str, str]) -> dict[str, str]:
    """Name the features that `rolling` computes, with what each means, as a feature view declares them.

    Parameters
    ----------
    prefix, windows
        As given to `rolling`.
    meanings
        By name of a mean or a share, what it is.

    Examples
    --------
    >>> rolled("shop", [timedelta(days=7)], {"mean_units": "Mean of units"})
    {'shop_7d_count': 'Events in the last 7d.', 'shop_7d_mean_units': 'Mean of units in the last 7d.'}
    """
    return {
        f"{prefix}_{span}_{measure}": f"{meaning} in the last {span}."
        for span in map(span_name, windows)
        for measure, meaning in {"count": "Events", **meanings}.items()
    }


def _over_windows(
    moments: ibis.Table, keys: Sequence[str], windows: Sequence[timedelta], names: Sequence[str]
) -> ibis.Table:
    """Sum columns over each window, as the running total less what came before the window.

    One look at a window's first row serves all columns, where a sum each would cost a walk
    over the window for every column.
    """
    so_far = ibis.window(group_by=list(keys), order_by="event_timestamp", preceding=None, following=0)
    running = moments.mutate(**{f"{name}_so_far": moments[name].sum().over(so_far) for name in names})
    before = ibis.struct({name: running[f"{name}_so_far"] - running[name] for name in names})
    with_first = running.mutate(
        **{f"_first_{span_name(span)}": before.first(include_null=True).over(_window(span, keys)) for span in windows}
    )
    return with_first.mutate(
        **{
            f"{name}_{span_name(span)}": with_first[f"{name}_so_far"] - with_first[f"_first_{span_name(span)}"][name]
            for span in windows
            for name in names
        }
    )


def _statistics(
    prefix: str, windows: Sequence[timedelta], means: Sequence[str], shares: Sequence[str]
) -> dict[str, Deferred]:
    statistics = {}
    for span in map(span_name, windows):
        statistics[f"{prefix}_{span}_count"] = _[f"_count_{span}"]
        for mean in means:
            statistics[f"{prefix}_{span}_{mean}"] = _[f"{mean}_{span}"] / _[f"_over_{span}"].nullif(0.0) / 100.0
        for share in shares:
            statistics[f"{prefix}_{span}_{share}"] = _[f"{share}_{span}"] / _[f"_count_{span}"]
    return statistics


def _window(span: timedelta, keys: Sequence[str]) -> Any:
    return ibis.range_window(
        preceding=ibis.interval(seconds=int(span.total_seconds())),
        following=ibis.interval(seconds=0),
        group_by=list(keys),
        order_by="event_timestamp",
    )
