"""Steps whose result a later run may reuse: `@cached_step`.

The key of a result follows from the step's arguments, from the lock file of packages, and from the source of everything
that its function reaches by import inside the project (`source_closure.py`), so nobody keeps a list of what a step
depends on.
Prefect keeps the result; its own default key holds the run id and never hits in another run.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from enum import Enum
from functools import update_wrapper
from hashlib import file_digest
from inspect import isfunction, signature
from itertools import chain
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from prefect import task
from prefect.context import TaskRunContext
from prefect.filesystems import LocalFileSystem
from prefect.results import ResultStore
from prefect.settings import get_current_settings

from flightline.adapters.provenance import lock_digest
from flightline.core.lineage import digest_of
from flightline.core.problem_spec import Canary, Monitoring, Problem, Thresholds
from flightline.core.project import FeatureCode, RawTables, RequestCode
from flightline.core.purpose import Purpose
from flightline.core.settings import Settings
from pipelines.common.progress import Stage, note_reuse
from pipelines.common.source_closure import source_digest
from pipelines.common.step import is_in_flow

P = ParamSpec("P")
R = TypeVar("R")
RULES = (Thresholds, Monitoring, Canary, Purpose)


class _NotInKey:
    """Stands in for a rule of the problem inside a cached step, where it is not part of the key."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        raise AttributeError(
            f"a cached step reads problem.{self._name}.{attribute}, which is not part of its key; "
            "give the step that number as an argument of its own"
        )


def _without_rules(problem: Problem) -> Problem:
    """Hide the rules of gate, monitoring and canary, and words: changing a threshold must not rebuild features."""
    rules = [each.name for each in dataclasses.fields(problem) if isinstance(getattr(problem, each.name), RULES)]
    return dataclasses.replace(problem, **{name: cast(Any, _NotInKey(name)) for name in rules})


def key_of(value: object) -> object:
    """Give what identifies an argument, in plain values.

    Raises
    ------
    TypeError
        If that cannot be told.
    """
    if value is None or isinstance(value, str | int | float | bool | Path | date | timedelta | Enum):
        return str(value) if isinstance(value, Path | date | timedelta | Enum) else value
    if isinstance(value, Problem):
        return {
            each.name: key_of(getattr(value, each.name))
            for each in dataclasses.fields(value)
            if not isinstance(getattr(value, each.name), (*RULES, _NotInKey))
        }
    if isinstance(value, RawTables | FeatureCode | RequestCode):
        return _key_of_code(value)
    if isinstance(key := getattr(value, "key", None), str):
        return key
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: key_of(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): key_of(each) for name, each in value.items()}
    if isinstance(value, Sequence):
        return [key_of(each) for each in value]
    raise TypeError(f"got a {type(value).__name__} as argument of a cached step; give it a `key: str`")


def _key_of_code(code: RawTables | FeatureCode | RequestCode) -> object:
    """Give the names of tables and functions, and the source of the modules and of functions that lie elsewhere."""
    values = [getattr(code, each.name) for each in dataclasses.fields(code)]
    tables = [value for value in values if isinstance(value, Mapping)]
    functions = [each for each in chain(values, *(table.values() for table in tables)) if isfunction(each)]
    names = [[str(name) for name in table] for table in tables]
    return names, [each.__qualname__ for each in functions], source_digest(*code.modules, *functions)


def _is_whole(result: object) -> bool:
    """Say whether the files that a result names are still there; the one whose digest it has, as it was."""
    if isinstance(result, Path):
        return result.exists()
    if not dataclasses.is_dataclass(result):
        return True
    values = [getattr(result, each.name) for each in dataclasses.fields(result)]
    files, sha256 = [value for value in values if isinstance(value, Path)], getattr(result, "sha256", None)
    return all(file.exists() and (sha256 is None or _sha256_of(file) == sha256) for file in files)


def _sha256_of(file: Path) -> str:
    with file.open("rb") as opened:  # not by `model_file.py`, which reaches every model: it would be part of each key
        return file_digest(opened, "sha256").hexdigest()


def _by_key(context: TaskRunContext, arguments: dict[str, Any]) -> str:
    return _name(context.task.name, arguments)


def _name(step: str, arguments: Mapping[str, Any]) -> str:
    return f"{step}-{arguments['key']}"


def _results() -> ResultStore:
    """Open what flows of this machine keep their results in; a default store would ask Prefect's server."""
    folder = get_current_settings().results.local_storage_path
    return ResultStore(result_storage=LocalFileSystem(basepath=str(folder)))


class CachedStep(Generic[P, R]):
    """A step as flows call it: without its key."""

    def __init__(self, function: Callable[Concatenate[str, P], R]):
        update_wrapper(self, function)
        self.function = function
        self._task: Any = task(cast(Any, function), persist_result=True, cache_key_fn=_by_key)

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Name what the result depends on: the arguments, but for settings and progress, packages and the source."""
        bound = signature(self.function).bind("", *args, **kwargs)
        bound.apply_defaults()
        arguments = {
            name: key_of(value)
            for name, value in bound.arguments.items()
            if name != "key" and not isinstance(value, Settings | Stage)
        }
        packages = [lock_digest(value) for value in bound.arguments.values() if isinstance(value, Settings)]
        return digest_of(arguments, packages, source_digest(self.function))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the step, or take its earlier result if that is still whole."""
        bound = signature(self.function).bind(self.key(*args, **kwargs), *args, **kwargs)
        arguments = {
            name: _without_rules(value) if isinstance(value, Problem) else value
            for name, value in bound.arguments.items()
        }
        return self._as_task(arguments) if is_in_flow() else self._alone(arguments)

    def _alone(self, arguments: dict[str, Any]) -> R:
        results, name = _results(), _name(self._task.name, arguments)
        if results.exists(name) and _is_whole(result := results.read(name).result):
            note_reuse()
            return cast(R, result)
        made = cast(R, self.function(**arguments))  # type: ignore[call-arg]  # mypy does not see through a dict
        results.write(made, name)
        return made

    def _as_task(self, arguments: dict[str, Any]) -> R:
        state = self._task(**arguments, return_state=True)
        if state.name == "Cached":
            result = state.result()
            if _is_whole(result):
                note_reuse()
                return cast(R, result)
            state = self._task.with_options(refresh_cache=True)(**arguments, return_state=True)
        return cast(R, state.result())


def cached_step(function: Callable[Concatenate[str, P], R]) -> CachedStep[P, R]:
    """Make a function a step whose result is reused while nothing that it follows from has changed.

    Parameters
    ----------
    function
        Its first argument, `key`, is filled in: it names the result, and the folder that the function writes.
    """
    return CachedStep(function)
