"""Runs inside the trained copy: chooses where each fault of the problem is planted, from declarations and data.

No column is named here; what a fault needs is looked for. A fault for which nothing is found cannot be made for this
problem, and the reason is kept.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flightline.adapters import duckdb_engine as engine
from flightline.adapters.event_clock import read_clock
from flightline.core.project import Project, open_project
from flightline.monitoring.behaviours import infer_behaviours
from flightline.training.splits import split
from pipelines.steps.models import SUMMARY_FILE
from tests.proof.inside import champion_rows
from tests.proof.inside.fill_log import can_breach
from tests.proof.inside.renamed_categories import find_renaming
from tests.proof.planted import write_choices
from tests.proof.planted.small import OWN_PACKAGE, judged_rows

TIMESTAMPS = ("event_timestamp", "created_timestamp")
SAMPLE = 1_000
BROKEN_DAYS = 5  # with predictions: on a calendar of weeks they are five weeks
HOUR = timedelta(hours=1)


class NotApplicableError(Exception):
    """A fault cannot be made for this problem; the message is the reason."""


@dataclass(frozen=True)
class Surveyed:
    """A trained copy."""

    project: Project

    @cached_property
    def tables(self) -> dict[str, Path]:
        """The feature tables, in the order of their declaration."""
        folder = self.project.settings.features_dir / "current"
        return {name: folder / f"{name}.parquet" for name in self.project.features.tables}

    @cached_property
    def examples(self) -> pd.DataFrame:
        """The examples as of the clock."""
        return pd.read_parquet(self.project.settings.features_dir / "current" / "examples" / "examples.parquet")

    @cached_property
    def requests(self) -> pd.DataFrame:
        """Some requests."""
        return self.examples[list(self.project.request_fields)].tail(SAMPLE)

    @cached_property
    def learned(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Examples and features that the champion was made of."""
        return champion_rows.read(self.project)

    def keys_of(self, table: str) -> list[str]:
        """Name the keys of a feature table."""
        types = pd.read_parquet(self.tables[table]).dtypes
        return [str(name) for name, kind in types.items() if kind != np.float64 and name not in TIMESTAMPS]

    def features_of(self, table: str) -> list[str]:
        """Name the features of a feature table."""
        types = pd.read_parquet(self.tables[table]).dtypes
        return [str(name) for name, kind in types.items() if kind == np.float64]


class Noted(dict[str, Any]):
    """Groups that note which of them a feature table is made of."""

    def __init__(self, groups: Mapping[str, Any]):
        super().__init__(groups)
        self.used: list[str] = []

    def __getitem__(self, name: str) -> Any:
        self.used.append(name)
        return super().__getitem__(name)


def lags(project: Project) -> dict[str, tuple[str, float]]:
    """By group that becomes known after what it tells of begins: a table made of it, and the usual lag in seconds."""
    with engine.connect(project.settings.threads) as connection:
        raw = engine.load_raw(connection, project.settings.data_dir, project.raw_tables.contracts)
        groups = engine.build_groups(connection, raw, project.features)
        made_of: dict[str, str] = {}
        for table, build in project.features.tables.items():
            noted = Noted(groups)
            build(noted)
            for group in noted.used:
                made_of.setdefault(group, table)
        found = {}
        for name, group in groups.items():
            moments = [
                column for column, kind in group.schema().items() if kind.is_timestamp() and column != "known_at"
            ]
            seconds = [
                (group.known_at.epoch_seconds() - group[column].epoch_seconds()).median().execute()
                for column in moments
            ]
            positive = [float(value) for value in seconds if value is not None and value > 0]
            if positive and name in made_of:
                found[name] = (made_of[name], min(positive))
    return found


def stamped_too_early(surveyed: Surveyed) -> dict[str, Any]:
    """Choose the table that becomes known soonest after it begins: the least leak there is."""
    found = sorted(lags(surveyed.project).values(), key=lambda each: each[1])
    if not found:
        raise NotApplicableError("no group of the problem becomes known later than what it tells of begins")
    table, seconds = found[0]
    return {"table": table, "seconds": seconds, "says": [f"{table}: "]}


def stamped_long_before(surveyed: Surveyed) -> dict[str, Any]:
    """Choose the table that becomes known latest."""
    found = sorted(lags(surveyed.project).values(), key=lambda each: each[1])
    if len(found) < 2:
        raise NotApplicableError("fewer than two groups become known later than what they tell of begins")
    table, seconds = found[-1]
    return {"table": table, "seconds": seconds, "says": [f"{table}: "]}


def label_at_prediction(surveyed: Surveyed) -> dict[str, Any]:
    """Choose the table with the most keys of those that an example has."""
    known = set(surveyed.project.problem.entity_keys)
    keys = {name: surveyed.keys_of(name) for name in surveyed.tables}
    fitting = [name for name in keys if set(keys[name]) <= known]
    if not fitting:
        raise NotApplicableError("no feature table has only keys that the examples hold")
    table = max(fitting, key=lambda name: len(keys[name]))
    return {
        "table": table,
        "keys": keys[table],
        "features": surveyed.features_of(table),
        "says": [f"{table}: "],
    }


def key_spelled_otherwise(surveyed: Surveyed) -> dict[str, Any]:
    """Choose a text key, rather one that follows from a request, and a feature that is joined by it."""
    project = surveyed.project
    computed = project.requests.keys(surveyed.requests)
    texts = [name for name, values in computed.items() if np.asarray(values).dtype == object]
    texts += [name for name in project.problem.entity_keys if surveyed.requests[name].dtype == object]
    for key in texts:
        for table in surveyed.tables:
            if key in surveyed.keys_of(table):
                return {"key": key, "says": [surveyed.features_of(table)[0]]}
    raise NotApplicableError("no feature table has a text as its key")


def constant_column(surveyed: Surveyed) -> dict[str, Any]:
    """Choose a number among the features that follow from a request."""
    computed = surveyed.project.requests.features(surveyed.requests)
    for name, values in computed.items():
        if np.asarray(values).dtype == np.float64:
            return {"feature": name, "says": [f"{name} = 0.0"]}
    raise NotApplicableError("no number follows from a request alone")


def flood_of_unseen_categories(surveyed: Surveyed) -> dict[str, Any]:
    """Choose a text feature whose raw column the contract lets hold other values."""
    texts = [str(name) for name, kind in surveyed.learned[1].dtypes.items() if pd.api.types.is_object_dtype(kind)]
    renaming = find_renaming(surveyed.project, texts)
    if renaming is None:
        raise NotApplicableError(
            f"no text feature ({', '.join(texts) or 'there is none'}) has a raw column of its name in a monthly table "
            "whose contract lets all its values change"
        )
    return {"column": renaming.column, "says": [f"have a {renaming.column} that was never seen before"]}


def shuffled_labels(surveyed: Surveyed) -> dict[str, Any]:
    """Tell whether a metric has a bound."""
    if not bounds(surveyed.project):
        raise NotApplicableError("no metric of the problem has a floor or a ceiling")
    return {}


def label_among_features(surveyed: Surveyed) -> dict[str, Any]:
    """Tell whether it is said what no honest model reaches."""
    if not surveyed.project.problem.thresholds.implausible:
        raise NotApplicableError("the problem does not say of any metric what no honest model reaches")
    return {}


def weighted_classes(surveyed: Surveyed) -> dict[str, Any]:
    """Tell whether there are two classes to weigh."""
    if surveyed.project.problem.task != "classification":
        raise NotApplicableError(f"the task is {surveyed.project.problem.task}: there are no two classes to weigh")
    return {}


def labels_shifted(surveyed: Surveyed) -> dict[str, Any]:
    """Tell whether windows of monitoring would have enough labels to be in breach."""
    problem, examples = surveyed.project.problem, surveyed.learned[0]
    if not can_breach(examples[split(examples, problem.windows)["test"]], problem):
        raise NotApplicableError("too few of monitoring's last windows have enough labels")
    return {}


def columns_broken(surveyed: Surveyed) -> dict[str, Any]:
    """Choose for each way in which a column breaks one that shows it."""
    examples, features = surveyed.learned
    served = features[split(examples, surveyed.project.problem.windows)["test"]]
    natures = infer_behaviours(features, examples["event_timestamp"], surveyed.project.problem.prediction_horizon)
    judged = [name for name, nature in natures.items() if nature in ("ordinary", "shared")]
    numbers = [name for name in judged if served[name].dtype == np.float64]
    shown = served[numbers].notna().mean() * (1 - served[numbers].eq(served[numbers].mode().iloc[0]).mean())
    ranked = list(shown[shown > 0.5].sort_values(ascending=False, kind="stable").index)
    texts = [str(name) for name in served.select_dtypes("object") if served[name].notna().mean() > 0.5]
    ways = ("stuck", "missing", "rescaled")
    broken = dict(zip(ways, ranked, strict=False)) | ({"unseen": texts[-1]} if texts else {})
    if not broken:
        raise NotApplicableError("no feature has a value in most of the predictions")
    tested = examples[split(examples, surveyed.project.problem.windows)["test"]]
    counts = tested["event_timestamp"].dt.strftime("%Y-%m-%d").value_counts()
    least = judged_rows(surveyed.project.problem, int(counts.median()))
    days = sorted(counts[counts >= least].index)
    if len(days) < BROKEN_DAYS:
        raise NotApplicableError(f"{len(days)} days of the test window have {least} predictions: too few say nothing")
    since = days[-BROKEN_DAYS]
    told = [way for way in ("stuck", "missing", "unseen") if way in broken]
    says = [f"data anomaly, {broken[way]} {way} from {since}" for way in told]
    says += [f"data anomaly, {broken['rescaled']} "] if "rescaled" in broken else []
    return {"columns": broken, "since": since, "says": says}


SURVEYS: Mapping[str, Callable[[Surveyed], dict[str, Any]]] = {
    survey.__name__: survey
    for survey in (
        stamped_too_early,
        stamped_long_before,
        label_at_prediction,
        key_spelled_otherwise,
        constant_column,
        flood_of_unseen_categories,
        shuffled_labels,
        label_among_features,
        weighted_classes,
        labels_shifted,
        columns_broken,
    )
}
SIMULATIONS = ("labels_before_known", "materialisation_with_gaps", "materialisation_stopped")


def bounds(project: Project) -> list[str]:
    """Name the metrics that have a floor or a ceiling, as the problem says and not as the copy does."""
    right = import_module(OWN_PACKAGE).make_project(project.settings).problem.thresholds
    return [*right.floors, *right.ceilings]


def words(project: Project) -> dict[str, str]:
    """Give what the faults' own words are filled in with."""
    return {
        "threshold": next(iter(bounds(project)), ""),
        "implausible": next(iter(project.problem.thresholds.implausible), ""),
        "loss": project.problem.primary_metric,
        "shifted": "confidence breached: "
        if project.problem.classes
        else "calibration breached: label minus prediction, ",
    }


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


def _simulations(surveyed: Surveyed) -> Iterator[tuple[str, Any]]:
    try:
        start, end = span_to_simulate(surveyed)
    except NotApplicableError as err:
        yield "words", words(surveyed.project)
        yield from ((name, {"not_applicable": str(err)}) for name in SIMULATIONS)
        return
    yield "words", words(surveyed.project) | {"start": start.isoformat(), "end": end.isoformat()}


def survey(project: Project) -> dict[str, Any]:
    """Choose for every fault; one that cannot be made gets the reason."""
    surveyed = Surveyed(project)
    examples = surveyed.learned[0]
    test = split(examples, project.problem.windows)["test"]
    (judgement,) = project.settings.state_dir.glob(f"evaluations/*/{SUMMARY_FILE}")
    measured = json.loads(judgement.read_text(encoding="utf-8"))["metrics"]
    chosen: dict[str, Any] = {
        "measured": measured,
        "rows_a_day": int(examples[test]["event_timestamp"].dt.date.value_counts().median()),
    }
    chosen |= dict(_simulations(surveyed))
    for name, choose in SURVEYS.items():
        try:
            chosen[name] = choose(surveyed)
        except NotApplicableError as err:
            chosen[name] = {"not_applicable": str(err)}
    return chosen


def main() -> int:
    write_choices(**survey(open_project()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
