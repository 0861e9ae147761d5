"""Run the service: ``python -m serving``."""

import logging

import uvicorn

from flightline.settings import Settings
from serving.watcher import watcher_beside


def main() -> None:
    """Serve where the settings say, until stopped."""
    settings = Settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("feast").setLevel(logging.WARNING)
    with watcher_beside(settings):
        uvicorn.run(
            "serving.app:create_app",
            factory=True,
            workers=settings.serving.workers,
            host=settings.serving.host,
            port=settings.serving.port,
            # The access log costs a fifth of the throughput.
            access_log=False,
        )


if __name__ == "__main__":
    main()
