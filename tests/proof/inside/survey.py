"""Runs inside the trained copy: chooses where each fault of the problem is planted, from declarations and data.

No column is named here; what a fault needs is looked for. A fault for which nothing is found cannot be made for this
problem, and the reason is kept.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from flightline.core.problem_spec import Problem, Thresholds
from flightline.core.project import Project, open_project
from flightline.evaluation.metrics import metrics_of
from flightline.monitoring.behaviours import infer_behaviours
from flightline.training.splits import split
from tests.proof.inside.fill_log import can_breach
from tests.proof.inside.renamed_categories import find_renaming
from tests.proof.inside.simulated_hours import asked_of_tables, is_seen_to_lag, is_seen_to_miss, span_to_simulate
from tests.proof.inside.surveyed import NotApplicableError, Surveyed, lags
from tests.proof.planted import write_choices
from tests.proof.planted.small import MIN_LABELS, OWN_PACKAGE, judged_rows, with_leeway

BROKEN_DAYS = 5  # with predictions: on a calendar of weeks they are five weeks
CHANCE = 0.02  # of a bound


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
    return {"table": table, "keys": keys[table], "features": surveyed.features_of(table), "says": [f"{table}: "]}


def label_known_early(surveyed: Surveyed) -> dict[str, Any]:
    """Choose the same table as for a label at its prediction time, and a feature of it that the model takes."""
    chosen = label_at_prediction(surveyed)
    taken = [name for name in chosen["features"] if name in surveyed.learned[1]]
    if not taken:
        raise NotApplicableError(f"the model takes no feature of {chosen['table']}")
    return chosen | {"feature": taken[0], "says": [f"warning: {taken[0]} "]}


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


def rows_lost_in_join(surveyed: Surveyed) -> dict[str, Any]:
    """Tell whether a join that keeps one row for each key and time loses any; of the key with the fewest values."""
    names = sorted({name for table in surveyed.tables for name in surveyed.keys_of(table)})
    computed = surveyed.project.requests.keys(surveyed.examples[list(surveyed.project.request_fields)])
    keys = surveyed.examples.assign(**computed)[names]
    fewest = keys[min(keys, key=lambda name: keys[name].nunique())]
    if not pd.DataFrame({"key": fewest, "at": surveyed.examples["event_timestamp"]}).duplicated().any():
        raise NotApplicableError(f"no two examples share their {fewest.name} and their prediction time")
    return {}


def shuffled_labels(surveyed: Surveyed) -> dict[str, Any]:
    """Tell whether a bound asks for more than a constant reaches."""
    if not bounds(surveyed.project):
        raise NotApplicableError("no metric of the problem has a floor or a ceiling")
    thresholds = with_leeway(own_problem(surveyed.project), surveyed.measured, MIN_LABELS).thresholds
    if not is_missed(thresholds, constant_metrics(surveyed)):
        raise NotApplicableError("no floor or ceiling asks for more than a constant reaches")
    return {}


def constant_metrics(surveyed: Surveyed) -> dict[str, float]:
    """Measure on the test window the constant that is the mean of what was learned."""
    problem, examples = surveyed.project.problem, surveyed.learned[0]
    masks = split(examples, problem.windows)
    known, label = (examples.loc[masks[name], problem.label].to_numpy(float) for name in ("refit", "test"))
    constant: Any = known.mean()
    if problem.classes:
        constant = np.bincount(known.astype(int), minlength=len(problem.classes)) / len(known)
    shape = (len(label), 1) if problem.classes else len(label)
    return metrics_of(problem.task, label, np.tile(constant, shape))


def is_missed(thresholds: Thresholds, metrics: Mapping[str, float]) -> bool:
    """Tell whether a bound is clearly missed, and not by chance."""
    below = [metrics[name] < least - CHANCE * abs(least) for name, least in thresholds.floors.items()]
    above = [metrics[name] > most + CHANCE * abs(most) for name, most in thresholds.ceilings.items()]
    return any([*below, *above])


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
    # Several columns that broke alike since the same day are told together, in brackets.
    says: list[str | list[str]] = [
        [f"data anomaly, {broken[way]} {way} from {since}", f"{broken[way]} {way} since {since}"] for way in told
    ]
    says += [f"data anomaly, {broken['rescaled']} "] if "rescaled" in broken else []
    return {"columns": broken, "since": since, "says": says}


SURVEYS: Mapping[str, Callable[[Surveyed], dict[str, Any]]] = {
    survey.__name__: survey
    for survey in (
        stamped_too_early,
        stamped_long_before,
        label_at_prediction,
        label_known_early,
        key_spelled_otherwise,
        constant_column,
        flood_of_unseen_categories,
        rows_lost_in_join,
        shuffled_labels,
        label_among_features,
        weighted_classes,
        labels_shifted,
        columns_broken,
    )
}
SIMULATIONS = ("labels_before_known", "materialisation_with_gaps", "materialisation_stopped")


def own_problem(project: Project) -> Problem:
    """Give the problem as it is, and not as the copy has it."""
    own: Project = import_module(OWN_PACKAGE).make_project(project.settings)
    return own.problem


def bounds(project: Project) -> list[str]:
    """Name the metrics that have a floor or a ceiling, as the problem says and not as the copy does."""
    right = own_problem(project).thresholds
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


def _simulations(surveyed: Surveyed) -> Iterator[tuple[str, Any]]:
    try:
        start, end = span_to_simulate(surveyed)
    except NotApplicableError as err:
        yield "words", words(surveyed.project)
        yield from ((name, {"not_applicable": str(err)}) for name in SIMULATIONS)
        return
    yield "words", words(surveyed.project) | {"start": start.isoformat(), "end": end.isoformat()}
    rule, moments = surveyed.project.problem.monitoring, surveyed.examples["event_timestamp"]
    if not is_seen_to_lag(moments[(moments >= start) & (moments < end)], start, rule):
        reason = f"hardly a prediction of the simulated hours comes later than {rule.max_lag} after they begin"
        yield "materialisation_stopped", {"not_applicable": reason}
    if not any(is_seen_to_miss(*each, start) for each in asked_of_tables(surveyed, start, end)):
        reason = "no prediction of the simulated hours is made from a value that a gap leaves out"
        yield "materialisation_with_gaps", {"not_applicable": reason}


def survey(project: Project) -> dict[str, Any]:
    """Choose for every fault; one that cannot be made gets the reason."""
    surveyed = Surveyed(project)
    examples = surveyed.learned[0]
    test = split(examples, project.problem.windows)["test"]
    chosen: dict[str, Any] = {
        "measured": surveyed.measured,
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
