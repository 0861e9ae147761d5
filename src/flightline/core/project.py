"""The project as one argument: where it runs, what it predicts, and the code that only the problem can give.

`open_project` builds it at the edges (a flow, a command, the service); everything else takes it as an
argument. So no other code and no test of the machine needs to know which problem it is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from pydantic import BaseModel, JsonValue, ValidationError

from flightline.core.environment import read_settings
from flightline.core.errors import FeatureError
from flightline.core.prediction_record import Plain, plain_rows
from flightline.core.problem_spec import Problem
from flightline.core.settings import Settings

Columns: TypeAlias = Mapping[str, Sequence[Any]]
AS_OF = "as_of"


@dataclass(frozen=True)
class RawTables:
    """What lies under data/, and where its first copy comes from.

    Parameters
    ----------
    contracts
        By table, its `TableContract`.
    write_seed
        Writes the first data set into an empty folder.
    modules
        Where the two are defined: their source decides whether a validation may be reused.
    write_files
        Writes what a source holds (a file, a folder, an address) as files in data/'s layout; None if new data comes in
        that layout.
    """

    contracts: Mapping[str, Any]
    write_seed: Callable[[Path], None]
    modules: tuple[ModuleType, ...]
    write_files: Callable[[str, Path], None] | None = None


@dataclass(frozen=True)
class FeatureCode:
    """From raw tables to feature tables and examples, as Ibis expressions.

    Parameters
    ----------
    prepare
        From the raw tables to those that the groups are cut from.
    groups
        By name, from prepared tables to a group of columns with `known_at` (UTC).
    tables
        By name, from groups to a feature table.
    examples
        From groups and problem to one row for each thing to predict.
    modules
        Where all that is defined: its source decides whether feature tables may be reused.
    """

    prepare: Callable[..., Any]
    groups: Mapping[str, Callable[..., Any]]
    tables: Mapping[str, Callable[..., Any]]
    examples: Callable[..., Any]
    modules: tuple[ModuleType, ...]


@dataclass(frozen=True)
class RequestCode:
    """What follows from a request, alone or with what the feature store gave; training and service call the same.

    Parameters
    ----------
    keys
        From columns of requests to the entity keys that are not among them.
    features
        From columns of requests to the features that need nothing else.
    modules
        Where the functions are defined.
    on_demand
        From columns of requests and of stored features to the features that need both; None if there are none.
    withheld
        Stored features that only `on_demand` reads: the model does not take them.
    """

    keys: Callable[[Any], Mapping[str, Any]]
    features: Callable[[Any], Mapping[str, Any]]
    modules: tuple[ModuleType, ...]
    on_demand: Callable[[Columns, Mapping[str, np.ndarray]], Mapping[str, Any]] | None = None
    withheld: tuple[str, ...] = ()

    def without_withheld(self, features: pd.DataFrame) -> pd.DataFrame:
        """Leave out of a training set what only `on_demand` reads.

        Raises
        ------
        FeatureError
            If a withheld name is no stored feature.
        """
        if absent := [name for name in self.withheld if name not in features]:
            raise FeatureError(
                f"WITHHELD names {', '.join(absent)}, which the feature store does not give; correct it in "
                "src/flightline/problem/request_features.py"
            )
        return features.drop(columns=list(self.withheld))

    def computed_features(self, requests: Any, stored: Any, as_of: Sequence[datetime] | pd.Series) -> dict[str, Any]:
        """Compute the features that no store holds: of the requests alone, then of requests and store together.

        Parameters
        ----------
        requests
            Columns of length n: a frame or lists.
        stored
            Columns of stored features as a point-in-time join or an online read gave them: a frame, arrays or lists
            of length n; missing is NaN or None. Looked at only if there is `on_demand`.
        as_of
            The moments (UTC) that stored features were asked as of; length n.

        Raises
        ------
        FeatureError
            If `on_demand` gives a name that is taken, or no array with a value for each request; or if a column of
            requests is called as_of.
        """
        computed = dict(self.features(requests))
        if self.on_demand is None:
            return computed
        asked = {name: requests[name] for name in requests}
        if AS_OF in asked:
            raise FeatureError(
                f"on_demand is given the moment of the stored features as {AS_OF}, and requests have a column of that "
                "name; take another in src/flightline/problem/config.py and api_schema.py"
            )
        known = _ReadOnly(stored)
        added = self.on_demand({**asked, AS_OF: _moments(as_of)}, known)
        _check_on_demand(added, len(as_of), known.keys() | computed.keys())
        return computed | dict(added)


class _ReadOnly(Mapping[str, np.ndarray]):
    """Columns as numbers that cannot be changed in place: in training they are the training set's own.

    Made when one is looked at: of a hundred columns `on_demand` mostly reads a few.
    """

    def __init__(self, columns: Any):
        self._columns = columns

    def __getitem__(self, name: str) -> np.ndarray:
        numbers = np.asarray(self._columns[name], dtype=np.float64).view()
        numbers.flags.writeable = False
        return numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(list(self._columns))


def _moments(as_of: Sequence[datetime] | pd.Series) -> pd.DatetimeIndex:
    # Of one request all are the same, and where the clock is set those of the next requests too.
    if isinstance(as_of, list) and len(set(as_of)) == 1:
        return _one_moment(as_of[0]) if len(as_of) == 1 else _one_moment(as_of[0]).repeat(len(as_of))
    return pd.DatetimeIndex(as_of).as_unit("us")


@lru_cache(maxsize=1)
def _one_moment(moment: datetime) -> pd.DatetimeIndex:
    return pd.DatetimeIndex([moment]).as_unit("us")


def _check_on_demand(added: Mapping[str, Any], rows: int, taken: Set[str]) -> None:
    remedy = "in on_demand of src/flightline/problem/request_features.py"
    if same := sorted(added.keys() & taken):
        raise FeatureError(
            f"on_demand gives {', '.join(same)}, as the feature store or request_features does already; take another "
            f"name {remedy}"
        )
    for name, values in added.items():
        if not isinstance(values, np.ndarray) or values.shape != (rows,):
            got = f"{type(values).__name__} of shape {np.shape(values)}"
            raise FeatureError(
                f"on_demand gives {name} as {got}, expected an ndarray of shape ({rows},), a value for each request; "
                f"use np.asarray {remedy}"
            )


@dataclass(frozen=True)
class Schemas:
    """What a request and a prediction hold.

    Parameters
    ----------
    instance, prediction
        Pydantic models.
    example
        A valid instance, as JSON.
    event_time_field
        The instance's field that says when what is predicted happens.
    event_time_of
        From an instance to that moment (UTC).
    """

    instance: type[BaseModel]
    prediction: type[BaseModel]
    example: Mapping[str, JsonValue]
    event_time_field: str
    event_time_of: Callable[[Any], datetime]


@dataclass(frozen=True)
class Project:
    """Where the project runs, and all that is particular to its problem.

    Parameters
    ----------
    settings
        Where it runs.
    problem
        What is predicted, from when to when, and how good is good enough.
    requests, schemas
        What the service needs of the problem, and training too.
    load_raw_tables, load_features
        What only the flows need: called when it is first asked for, so that the service imports none of it.
    """

    settings: Settings
    problem: Problem
    requests: RequestCode
    schemas: Schemas
    load_raw_tables: Callable[[], RawTables]
    load_features: Callable[[], FeatureCode]

    @cached_property
    def raw_tables(self) -> RawTables:
        """The raw tables; imports pandera."""
        return self.load_raw_tables()

    @cached_property
    def features(self) -> FeatureCode:
        """The feature code; imports ibis."""
        return self.load_features()

    @property
    def request_fields(self) -> tuple[str, ...]:
        """The columns that a request carries: entity keys, then the others."""
        return (*self.problem.entity_keys, *self.problem.request_columns)

    @property
    def _example_columns(self) -> dict[str, list[Any]]:
        try:
            example = self.schemas.instance.model_validate(self.schemas.example)
            return {name: [getattr(example, name)] for name in self.request_fields}
        except (ValidationError, AttributeError) as err:
            raise FeatureError(
                f"EXAMPLE of src/flightline/problem/api_schema.py is no Instance with {', '.join(self.request_fields)}"
                f", which config.py names ({' '.join(str(err).split())}); correct one of them"
            ) from err

    @cached_property
    def request_features(self) -> Set[str]:
        """The names of the features that need nothing but the request, found by computing those of the example."""
        return self.requests.features(self._example_columns).keys()

    def moment_features(self, requests: pd.DataFrame) -> set[str]:
        """Name the request features that are made of the request's moment alone, such as the hour.

        They stay as they are when the moment comes with what another request carries besides.

        Parameters
        ----------
        requests
            Columns of `request_fields`. A feature that is the same for all of them is not named.
        """
        others = [name for name in self.request_fields if name != self.schemas.event_time_field]
        if len(others) == len(self.request_fields):
            return set()
        mixed = requests.copy()
        mixed[others] = requests[others].sample(frac=1, random_state=0).set_axis(requests.index)
        before, after = self.requests.features(requests), self.requests.features(mixed)
        made, again = pd.DataFrame(before), pd.DataFrame(after)
        return {name for name in made if made[name].nunique(dropna=False) > 1 and made[name].equals(again[name])}

    @cached_property
    def key_names(self) -> tuple[str, ...]:
        """The names that feature tables can be joined by: what a request carries, and the keys that follow from it."""
        return (*self.request_fields, *self.requests.keys(self._example_columns))

    def at(self, settings: Settings) -> "Project":
        """Give the same project at another place."""
        return replace(self, settings=settings)

    def requests_of(self, examples: pd.DataFrame) -> list[dict[str, Plain]]:
        """Write examples as the requests that ask for them."""
        return plain_rows(examples[list(self.request_fields)])

    def prediction_time_of(self, instance: BaseModel) -> datetime:
        """Give the moment the model was trained to predict an instance at (UTC)."""
        return self.schemas.event_time_of(instance) - self.problem.prediction_horizon


def open_project(settings: Settings | None = None) -> Project:
    """Build the project where the settings say (None: where the environment says), with the problem they name.

    Raises
    ------
    SettingsError
        Naming each variable of the environment whose value makes no sense.
    """
    settings = settings or read_settings()
    project: Project = import_module(settings.problem_package).make_project(settings)
    return project
