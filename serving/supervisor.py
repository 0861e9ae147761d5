"""A worker that was killed is replaced at once, not after a minute."""

from uvicorn.supervisors import multiprocess


class Worker(multiprocess.Process):
    """Uvicorn's worker, whose end is seen while it is asked whether it lives.

    Uvicorn keeps both ends of the pipe it asks through. If a worker is killed before it answers,
    the pipe stays open, and uvicorn waits for all of `timeout_worker_healthcheck`.
    """

    def start(self) -> None:
        """Start the worker, and leave its end of the pipe to it."""
        super().start()
        self.child_conn.close()


def replace_killed_workers_at_once() -> None:
    """Let uvicorn start workers of this kind; it offers no setting for that."""
    multiprocess.Process = Worker  # type: ignore[misc]
