"""Run the service: ``python -m serving``."""

import logging

import uvicorn

from flightline.settings import Settings
from serving.app import create_app


def main() -> None:
    """Serve where the settings say, until stopped."""
    settings = Settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("feast").setLevel(logging.WARNING)
    # The access log costs a fifth of the throughput.
    uvicorn.run(create_app(settings), host=settings.serving.host, port=settings.serving.port, access_log=False)


if __name__ == "__main__":
    main()
