"""Chooses which hours are simulated in a trained copy, and tells which faults of a materialisation show in them."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pandas as pd

from flightline.adapters.event_clock import read_clock
from flightline.core.problem_spec import Monitoring
from tests.proof.inside.surveyed import NotApplicableError, Surveyed

HOUR = timedelta(hours=1)
MISSED = timedelta(minutes=10)  # as the patch of materialisation_with_gaps has it


def span_to_simulate(surveyed: Surveyed) -> tuple[datetime, datetime]:
    """Choose the last hours of a day, with predictions whose labels are known by the clock.

    They end with the day, because monitoring judges whole days. They begin shortly before the last features become
    known that come before a busy hour, early enough for what is no longer materialised to be too old by the end.
    """
    clock = pd.Timestamp(read_clock(surveyed.project.settings))
    known = surveyed.examples.dropna(subset=["label_known_at"])
    moments = known.loc[known["event_timestamp"] < clock - timedelta(days=3), "event_timestamp"]
    if moments.empty:
        raise NotApplicableError("no example older than three days has a label that is known by the clock")
    days = moments.dt.floor("D")
    day = days[days < days.max()].max() if days.nunique() > 1 else days.max()
    end = day + timedelta(days=1)
    counts = moments[days == day].dt.floor("h").value_counts()
    counts = counts[counts.index <= end - 3 * HOUR] if counts.index.min() <= end - 3 * HOUR else counts
    hour = counts[counts >= counts.max() / 2].index.max()
    stamps = [
        pd.read_parquet(file, columns=["event_timestamp"])["event_timestamp"] for file in surveyed.tables.values()
    ]
    before = max(stamp[stamp <= hour].max() for stamp in stamps)
    start = before.floor("min") - timedelta(minutes=5)
    return start.to_pydatetime(), end.to_pydatetime()


def is_seen_to_lag(moments: pd.Series, materialised: datetime, rule: Monitoring) -> bool:
    """Tell whether enough predictions come so late that the monitor must call what was materialised last too old."""
    return float((moments > materialised + rule.max_lag).mean()) > rule.lag_share


def asked_of_tables(
    surveyed: Surveyed, start: datetime, end: datetime
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame, list[str]]]:
    """Give, by feature table, what is predicted in some hours, the values by key, and the keys."""
    moments = surveyed.examples["event_timestamp"]
    asked = surveyed.examples[(moments >= start) & (moments < end)]
    asked = asked.assign(**surveyed.project.requests.keys(asked[list(surveyed.project.request_fields)]))
    for name, file in surveyed.tables.items():
        keys = surveyed.keys_of(name)
        if len(asked) and set(keys) <= set(asked):
            yield asked, pd.read_parquet(file, columns=[*keys, "event_timestamp"]), keys


def is_seen_to_miss(asked: pd.DataFrame, values: pd.DataFrame, keys: Sequence[str], start: datetime) -> bool:
    """Tell whether a prediction is made from a value that is left out where each hour's materialisation begins late.

    Parameters
    ----------
    asked
        With keys and event_timestamp (UTC), all of it at or after the start.
    values
        When the value of a key became known, in the same columns.
    start
        Where the simulation begins; it materialises then, and after each hour.
    """
    loaded_until = start + (asked["event_timestamp"] - start) // HOUR * HOUR
    given = asked[list(keys)].assign(event_timestamp=loaded_until.dt.as_unit("us")).sort_values("event_timestamp")
    known = values.assign(event_timestamp=values["event_timestamp"].dt.as_unit("us"), stamp=values["event_timestamp"])
    known = known.astype({key: given[key].dtype for key in keys}).sort_values("event_timestamp")
    stamps = pd.merge_asof(given, known, on="event_timestamp", by=list(keys))["stamp"]
    since = stamps - start
    return bool(((since > timedelta(0)) & (since % HOUR < MISSED)).any())
