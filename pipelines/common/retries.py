"""Which failures of a task may pass by themselves."""

from typing import Any

from flightline.core.errors import LogError, RemoteError


def is_remote_error(task: Any, task_run: Any, state: Any) -> bool:
    """Retry when a remote did not answer; a broken file or an altered data/ will not mend itself."""
    return isinstance(state.result(raise_on_failure=False), RemoteError)


def is_log_error(task: Any, task_run: Any, state: Any) -> bool:
    """Retry when the prediction log could not be used: it may be locked, or its server away for a moment."""
    return isinstance(state.result(raise_on_failure=False), LogError)
