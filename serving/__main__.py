"""Run the service: ``python -m serving``."""

import sys

import uvicorn

from flightline.core.errors import StartError
from flightline.core.settings import Settings
from serving.model_sync import model_sync_running
from serving.telemetry.metrics_folder import shared_metrics


def main() -> int:
    """Serve where the settings say, until stopped; 1 if the service may not start like that."""
    settings = Settings()
    # First, because it decides for whatever imports prometheus_client: so the imports below wait for it.
    with shared_metrics(settings.metrics_root):
        from serving.middleware.auth import check_start
        from serving.server import end_cleanly_on_sigterm, prepare_worker, server_options
        from serving.supervisor import replace_killed_workers_at_once

        end_cleanly_on_sigterm()
        replace_killed_workers_at_once()
        prepare_worker(settings)
        try:
            check_start(settings)
        except StartError as err:
            sys.stderr.write(f"{type(err).__name__}: {err}\n")
            return 1
        workers = settings.serving.workers
        with model_sync_running(settings):
            uvicorn.run("serving.app:create_worker_app", factory=True, workers=workers, **server_options(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
