"""Run the service: ``python -m serving``."""

import sys

import uvicorn

from flightline.adapters.ports import check_port
from flightline.core.environment import read_settings
from flightline.core.errors import SettingsError, StartError
from flightline.core.settings import Settings
from serving.model_sync import model_sync_running
from serving.telemetry.metrics_folder import shared_metrics


def main() -> int:
    """Serve where the settings say, until stopped; 1 if the service may not start like that."""
    try:
        settings = read_settings()
        # Before all that it needs is imported, which takes seconds.
        check_port("the service", settings.serving.host, settings.serving.port, "FLIGHTLINE_SERVING__PORT")
        _serve(settings)
    except (SettingsError, StartError) as err:
        sys.stderr.write(f"{type(err).__name__}: {err}\n")
        return 1
    return 0


def _serve(settings: Settings) -> None:
    # First, because it decides for whatever imports prometheus_client: so the imports below wait for it.
    with shared_metrics(settings.metrics_root):
        from serving.middleware.auth import check_start
        from serving.server import end_cleanly_on_sigterm, prepare_worker, server_options
        from serving.supervisor import replace_killed_workers_at_once
        from serving.telemetry.cloudwatch import metrics_logged

        end_cleanly_on_sigterm()
        replace_killed_workers_at_once()
        prepare_worker(settings)
        check_start(settings)
        workers = settings.serving.workers
        with model_sync_running(settings), metrics_logged(settings):
            uvicorn.run("serving.app:create_worker_app", factory=True, workers=workers, **server_options(settings))


if __name__ == "__main__":
    sys.exit(main())
