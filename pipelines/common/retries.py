"""Which failures of a task may pass by themselves."""

from typing import Any

from flightline.core.errors import LogError, RemoteError

# A flow's options where Prefect runs it: what may pass by itself is given time, and a retry reuses what was
# finished. A person waits, so by hand it fails at once (`command_line.by_hand`).
SCHEDULED: dict[str, Any] = {"log_prints": True, "retries": 2, "retry_delay_seconds": 120}


def is_remote_error(task: Any, task_run: Any, state: Any) -> bool:
    """Retry when a remote did not answer; a broken file or an altered data/ will not mend itself."""
    return isinstance(state.result(raise_on_failure=False), RemoteError)


def is_log_error(task: Any, task_run: Any, state: Any) -> bool:
    """Retry when the prediction log could not be used: it may be locked, or its server away for a moment."""
    return isinstance(state.result(raise_on_failure=False), LogError)
