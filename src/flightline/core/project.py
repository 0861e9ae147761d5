"""The project as one argument: where it runs, what it predicts, and the code that only the problem can give.

`open_project` builds it at the edges (a flow, a command, the service); everything else takes it as an
argument. So no other code and no test of the machine needs to know which problem it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from pydantic import BaseModel, JsonValue

from flightline.core.problem_spec import Problem
from flightline.core.settings import Settings

Columns: TypeAlias = Mapping[str, Sequence[Any]]


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
    """What follows from a request alone; training and service call the same functions.

    Parameters
    ----------
    keys
        From columns of requests to the entity keys that are not among them.
    features
        From columns of requests to the features that need nothing else.
    modules
        Where the two are defined.
    """

    keys: Callable[[Any], Mapping[str, Any]]
    features: Callable[[Any], Mapping[str, Any]]
    modules: tuple[ModuleType, ...]


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

    def at(self, settings: Settings) -> "Project":
        """Give the same project at another place."""
        return replace(self, settings=settings)

    def prediction_time_of(self, instance: BaseModel) -> datetime:
        """Give the moment the model was trained to predict an instance at (UTC)."""
        return self.schemas.event_time_of(instance) - self.problem.prediction_horizon


def open_project(settings: Settings | None = None) -> Project:
    """Build the project where the settings say (None: where the environment says), with the problem they name."""
    settings = settings or Settings()
    project: Project = import_module(settings.problem_package).make_project(settings)
    return project
