"""How the service's processes start, whoever starts them."""

import logging
import math
import signal
import sys
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from flightline.core.settings import Settings
from serving.middleware.auth import Auth
from serving.middleware.body_size import BodySize
from serving.middleware.concurrency import Concurrency
from serving.middleware.request_context import RequestContext
from serving.supervisor import end_with_supervisor
from serving.telemetry.logs import configure_logs

WORKER_START_SECONDS = 60
LOG = logging.getLogger("serving")


def end_cleanly_on_sigterm() -> None:
    """Make SIGTERM an ordinary end of this process, with exit code 0 and all that comes after `with`.

    Uvicorn puts its own handler before it while it serves, and calls this one when it has finished.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def prepare_worker(settings: Settings) -> None:
    """Set up what each process of the service needs before it makes its application."""
    configure_logs(settings)
    end_with_supervisor()
    with suppress(ImportError):  # `choose_http_protocol` has warned of it
        from serving.middleware.http_protocol import set_connection_bounds

        set_connection_bounds(settings)


def choose_http_protocol() -> str:
    """Give the HTTP protocol for uvicorn: ours, or its own where ours does not fit the uvicorn that is installed."""
    try:
        from serving.middleware.http_protocol import check_internals

        check_internals()
    except Exception as err:  # noqa: BLE001  # whatever private parts that changed make of it
        LOG.warning(
            "uvicorn %s is not as BoundedHttp expects it (%s: %s): connections and heads of requests have no bounds; "
            "install the version of locks/serving.txt",
            version("uvicorn"),
            type(err).__name__,
            err,
        )
        return "auto"
    return "serving.middleware.http_protocol:BoundedHttp"


def add_middleware(app: FastAPI, settings: Settings) -> None:
    """Put all middleware around the application, the outermost last."""
    app.add_middleware(BodySize, max_bytes=settings.serving.max_body_bytes)
    app.add_middleware(Auth, settings=settings)
    app.add_middleware(Concurrency, settings=settings)
    app.add_middleware(RequestContext, settings=settings)


def server_options(settings: Settings) -> dict[str, Any]:
    """Give uvicorn's options, but for the application and the number of workers.

    A worker told to stop finishes what it took: it waits longer than any request may take.
    """
    serving = settings.serving
    return {
        "host": serving.host,
        "port": serving.port,
        "http": choose_http_protocol(),
        "ws": "none",
        "lifespan": "on",
        "log_config": None,  # ours: serving/telemetry/logs.py
        "access_log": False,  # costs a fifth of the throughput
        "server_header": False,
        "proxy_headers": bool(serving.trusted_proxies),
        "forwarded_allow_ips": serving.trusted_proxies,
        # Until a worker has imported what it needs it answers no ping, and a busy machine is slow at that.
        "timeout_worker_healthcheck": WORKER_START_SECONDS,
        "timeout_keep_alive": serving.keep_alive_seconds,
        "timeout_graceful_shutdown": math.ceil(serving.body_seconds + serving.request_seconds) + 1,
    }
