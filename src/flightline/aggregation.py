"""Statistics of recent events, as features take them: over a time window that ends at each event."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import ibis
from ibis import _

from flightline.errors import FeatureError


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
    # Whole numbers (hundredths of a measure), because a sum of fractions depends on the order in
    # which an engine adds them, and with it the hash of the table; float64 adds them exactly.
    measured = events.select(
        *keys,
        event_timestamp=events[at],
        _over=ibis.ifelse(over, 1.0, 0.0),
        **{name: ibis.ifelse(over, (value * 100).round().cast("float64"), 0.0) for name, value in means.items()},
        **{name: truth.cast("float64") for name, truth in shares.items()},
    )
    names = ["_over", *means, *shares]
    moments = measured.group_by([*keys, "event_timestamp"]).aggregate(
        _count=_.count().cast("float64"), **{name: measured[name].sum() for name in names}
    )
    statistics: dict[str, ibis.Value] = {}
    for span in windows:
        window = _window(span, keys)
        total = {name: moments[name].sum().over(window) for name in ["_count", *names]}
        name = f"{prefix}_{span_name(span)}"
        statistics[f"{name}_count"] = total["_count"]
        statistics |= {f"{name}_{mean}": total[mean] / total["_over"].nullif(0.0) / 100.0 for mean in means}
        statistics |= {f"{name}_{share}": total[share] / total["_count"] for share in shares}
    return moments.select(*keys, "event_timestamp", **statistics)


def _window(span: timedelta, keys: Sequence[str]) -> ibis.expr.builders.WindowBuilder:
    return ibis.range_window(
        preceding=ibis.interval(seconds=int(span.total_seconds())),
        following=ibis.interval(seconds=0),
        group_by=list(keys),
        order_by="event_timestamp",
    )
