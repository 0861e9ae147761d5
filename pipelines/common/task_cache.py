"""Results that a later run may reuse: cached under a key made of what they depend on.

Prefect's default key holds the run id, so it never hits in another run. Here a task is given
its key: a hash over the data, the parameters and the source text it depends on.
"""

from pathlib import Path
from typing import Any

from prefect import Task
from prefect.context import TaskRunContext


def by_key(context: TaskRunContext, arguments: dict[str, Any]) -> str:
    """Use the task's own argument `key` as its cache key."""
    return f"{context.task.name}-{arguments['key']}"


def reuse_or_run(task: Task, key: str, *, output: Path, **arguments: Any) -> tuple[Any, bool]:
    """Run a task, or take its earlier result if that is still whole.

    Parameters
    ----------
    task
        Made with ``cache_key_fn=by_key, persist_result=True``.
    key
        Equal keys mean equal results.
    output
        What the task writes; if it is gone, the earlier result is worth nothing.

    Returns
    -------
    tuple
        The task's result, and whether it was reused.
    """
    current = task.with_options(refresh_cache=not output.exists())
    state = current(key=key, **arguments, return_state=True)
    return state.result(), state.name == "Cached"


def in_words(reused: bool) -> str:
    """Say that a result was reused, as the end of a stage's line."""
    return ", reused: nothing it depends on has changed" if reused else ""
