"""Which failures of a task may pass by themselves."""

from typing import Any

from flightline.errors import RemoteError


def is_remote_error(task: Any, task_run: Any, state: Any) -> bool:
    """Retry when a remote did not answer; a broken file or an altered data/ will not mend itself."""
    return isinstance(state.result(raise_on_failure=False), RemoteError)
