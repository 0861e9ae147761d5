"""What examples must be like, so that what is learned from them can be asked of the service."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError

from flightline.core.errors import FeatureError, LogError
from flightline.core.problem_spec import Problem
from flightline.core.project import Project

REQUIRED = ("example_id", "event_timestamp", "outcome", "label_known_at")
SAMPLED_ROWS = 100
_CODE, _SCHEMA = "features.examples of src/flightline/problem/", "src/flightline/problem/api_schema.py"


def check_columns(columns: Sequence[str], problem: Problem) -> None:
    """Demand the columns of the examples that the problem names, or every problem has.

    Raises
    ------
    FeatureError
        Naming those that are not there.
    """
    named = (*problem.entity_keys, *problem.request_columns, *problem.slices, problem.label)
    if absent := [name for name in dict.fromkeys((*REQUIRED, *named)) if name not in set(columns)]:
        raise FeatureError(
            f"the examples lack {', '.join(absent)}; every problem has {', '.join(REQUIRED)}, and the others are "
            "named in src/flightline/problem/config.py: give them in features.examples, or correct the name"
        )


def check_rows(examples: pd.DataFrame, problem: Problem) -> None:
    """Demand moments in UTC, one row for each id, and a label for all rows of an outcome or for none.

    Parameters
    ----------
    examples
        With the columns of `check_columns`.

    Raises
    ------
    FeatureError
        Naming column, rows and what to change.
    """
    for name in ("event_timestamp", "label_known_at"):
        if not isinstance(examples[name].dtype, pd.DatetimeTZDtype):
            raise FeatureError(
                f"{name} of the examples has type {examples[name].dtype}, expected a moment with a time zone; in "
                f"{_CODE} cast it to \"timestamp('UTC')\""
            )
    for name in ("example_id", "event_timestamp"):
        _refuse(examples, examples[name].isna(), f"have no {name}", "give each a value")
    _refuse(examples, examples["example_id"].duplicated(keep=False), "share their example_id", "make it unique")
    labelled = examples[problem.label].notna()
    known = examples["label_known_at"].notna()
    _refuse(
        examples, labelled & ~known, f"have a label ({problem.label}) and no label_known_at", "say when it was known"
    )
    _refuse(
        examples,
        known & (examples["label_known_at"] < examples["event_timestamp"]),
        "have a label that was known before their event_timestamp",
        "there is nothing to predict: correct known_at of their group in availability.py, or one of the two",
    )
    _refuse(
        examples, labelled & examples["outcome"].isna(), f"have a label ({problem.label}) and no outcome", "name it"
    )
    shares = labelled.groupby(examples["outcome"]).mean()
    for outcome in shares.index[(shares > 0) & (shares < 1)]:
        _refuse(
            examples,
            (examples["outcome"] == outcome) & ~labelled,
            f"have the outcome {outcome!r} and no {problem.label}, which others of that outcome have",
            "give them a label, or another outcome",
        )


def encode_label(examples: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Put the number of the class in the place of its name, counted from 0 in the order of `classes`.

    Labels of other tasks stay as they are.

    Raises
    ------
    FeatureError
        If a label is none of the classes.
    """
    if problem.task != "multiclass":
        return examples
    label = examples[problem.label]
    unknown = label.notna() & ~label.isin(problem.classes)
    shown = ", ".join(map(repr, label[unknown].unique()[:3]))
    _refuse(
        examples,
        unknown,
        f"have a {problem.label} that is none of the classes of config.py ({shown}; expected "
        f"{', '.join(problem.classes)})",
        "name the class there, or correct the label",
    )
    numbers = {name: float(number) for number, name in enumerate(problem.classes)}
    return examples.assign(**{problem.label: label.map(numbers).astype("float64")})


def check_requests(project: Project, examples: pd.DataFrame) -> None:
    """Demand that the service takes EXAMPLE and a sample of the examples, and predicts them when training says.

    Parameters
    ----------
    examples
        With the columns of `check_columns`; up to 100 rows are taken, spread evenly.

    Raises
    ------
    FeatureError
        Naming the request, the field and what to change; or if there are no examples.
    """
    problem, schemas = project.problem, project.schemas
    _as_instance(project, dict(schemas.example), "EXAMPLE")
    if examples.empty:
        raise FeatureError(
            f"there are no examples as of the event clock; add data, move the clock on, or correct {_CODE}"
        )
    chosen = examples.iloc[np.unique(np.linspace(0, len(examples) - 1, SAMPLED_ROWS).astype(int))]
    try:
        requests = project.requests_of(chosen)
    except LogError as err:
        raise FeatureError(f"examples are no requests: {err} in {_CODE}") from err
    for name, moment, request in zip(chosen["example_id"], chosen["event_timestamp"], requests, strict=True):
        instance = _as_instance(project, request, f"example {name}")
        if (asked_at := project.prediction_time_of(instance)) != moment:
            raise FeatureError(
                f"example {name} has event_timestamp {moment}, but its request is predicted at {asked_at}: "
                f"{schemas.event_time_field} less prediction_horizon ({problem.prediction_horizon}); correct "
                f"{_CODE}, event_time_of in {_SCHEMA} or the horizon in src/flightline/problem/config.py"
            )


def _as_instance(project: Project, request: Mapping[str, object], named: str) -> BaseModel:
    try:
        instance = project.schemas.instance.model_validate_json(json.dumps(request))
    except ValidationError as err:
        first = err.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the whole"
        raise FeatureError(
            f"the service would refuse {named}, {json.dumps(request)}: {field}: {first['msg']}; correct the field in "
            f"{_SCHEMA}, or what features.examples gives"
        ) from err
    if absent := [name for name in project.request_fields if not hasattr(instance, name)]:
        raise FeatureError(
            f"{_SCHEMA} has no field {', '.join(absent)}, which entity_keys and request_columns of config.py name"
        )
    return instance


def _refuse(examples: pd.DataFrame, wrong: pd.Series, what: str, remedy: str) -> None:
    if wrong.any():
        shown = ", ".join(str(name) for name in examples.loc[wrong, "example_id"].head(3))
        raise FeatureError(
            f"{int(wrong.sum()):,} of {len(examples):,} examples {what}, such as {shown}: {remedy} in {_CODE}"
        )
