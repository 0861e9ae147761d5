"""CHANGE ME for your own problem: raw tables to feature tables and examples.

A feature table is an Ibis expression over the groups of `availability.py`: key columns,
``event_timestamp`` (UTC: when the row's values became known), and float64 features. Nothing
is filled in: a missing value stays missing and the model handles it. Feast serves, for each
key, the newest row at or before the prediction time and not older than the view's ttl.

A fix asks, and is published three hours later: no fix is among its own features. What it changed
against the one before is for `on_demand` in `request_features.py`, which sees both.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

import ibis
from ibis import _

from flightline.core.problem_spec import Problem
from flightline.data.rolling import rolling
from flightline.problem.availability import PUBLISHED_AFTER, Tables

# Knots, of the wind of one minute: the limits of the Saffir-Simpson scale.
STORM_FROM, HURRICANE_FROM = 34, 64


def _published(groups: Tables) -> ibis.Table:
    return groups["fixes"].mutate(published_at=_.at + PUBLISHED_AFTER, wind=_.wind.cast("float64"))


def storm_track(groups: Tables) -> ibis.Table:
    """Give where the storm was when last heard of, how strong, and its life until then."""
    fixes = _published(groups)
    so_far = ibis.window(group_by="storm", order_by="at", preceding=None, following=0)
    before = _.wind.lag(2).over(group_by="storm", order_by="at")
    return fixes.select(
        "storm",
        event_timestamp=_.published_at,
        last_wind=_.wind,
        last_pressure=_.pressure.cast("float64"),
        wind_change_12h=_.wind - before,
        max_wind=_.wind.max().over(so_far),
        last_latitude=_.latitude,
        last_longitude=_.longitude,
        first_fix_at=_.at.min().over(so_far).epoch_seconds().cast("float64"),
    )


def basin_recent(groups: Tables) -> ibis.Table:
    """Count the basin's fixes of the last 14 days, and average their wind."""
    return rolling(
        _published(groups),
        keys=["basin"],
        at="published_at",
        windows=(timedelta(days=14),),
        means={"mean_wind": _.wind},
        prefix="basin_recent",
        over=_.wind.notnull(),
    )


FEATURE_TABLES: Mapping[str, Callable[[Tables], ibis.Table]] = {
    table.__name__: table for table in (storm_track, basin_recent)
}


def examples(groups: Tables, problem: Problem) -> ibis.Table:
    """Give one row for each thing to predict, with its label where the groups know it.

    Returns
    -------
    ibis.Table
        ``example_id``; the entity keys and the other request columns; ``event_timestamp`` (the
        prediction time, UTC: that of the fix); ``outcome`` (there, gone, unmeasured, or null while
        the 24 hours are not over); the label ``next_day`` (a class, or null) and ``label_known_at``
        (UTC or null). A storm that is there without a measured wind has no label.
    """
    over = groups["outcomes"].select("storm", "fixed_at", "wind_then", "is_there", label_known_at=_.known_at)
    rows = groups["sightings"].left_join(over, ["storm", "fixed_at"])
    return rows.select(
        "storm",
        "basin",
        "fixed_at",
        "latitude",
        "longitude",
        "status",
        "wind",
        "pressure",
        "label_known_at",
        example_id=_.storm + "-" + _.fixed_at,
        event_timestamp=_.at - ibis.interval(problem.prediction_horizon),
        outcome=ibis.cases((~_.is_there, "gone"), (_.wind_then.notnull(), "there"), (_.is_there, "unmeasured")),
        next_day=ibis.cases(
            (~_.is_there, "gone"),
            (_.wind_then < STORM_FROM, "depression"),
            (_.wind_then < HURRICANE_FROM, "storm"),
            (_.wind_then.notnull(), "hurricane"),
        ),
    )
