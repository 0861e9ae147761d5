"""A step of a flow that needs no flow: a task of Prefect where one of its flows runs, and else its plain function."""

import sys
from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


def is_in_flow() -> bool:
    """Say whether a flow of Prefect runs here; none does where nobody has imported it."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None


class Step(Generic[P, R]):
    """A function as flows and commands call it.

    Parameters
    ----------
    options
        Of the task, such as its retries: a person who runs it by hand waits, so there it fails at once.
    """

    def __init__(self, function: Callable[P, R], options: dict[str, Any]):
        update_wrapper(self, function)
        self.function, self._options = function, options

    @cached_property
    def _task(self) -> Callable[P, R]:
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        return cast(Callable[P, R], task(cast(Any, self.function), cache_policy=NO_CACHE, **self._options))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Do it, as a task if a flow runs."""
        return self._task(*args, **kwargs) if is_in_flow() else self.function(*args, **kwargs)


def step(**options: Any) -> Callable[[Callable[P, R]], Step[P, R]]:
    """Make a function a step, with the options of its task: `@step(retries=2)`."""

    def make(function: Callable[P, R]) -> Step[P, R]:
        return Step(function, options)

    return make
