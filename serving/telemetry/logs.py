"""Logs: text for a person at a terminal, else one JSON object a line; each with its request's id."""

import logging
import re
import secrets
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from typing import TextIO

from flightline.core.settings import Settings

request_id: ContextVar[str] = ContextVar("request_id", default="-")
caller: ContextVar[str] = ContextVar("caller", default="-")  # the name of the request's API key
_WELL_FORMED = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_TEXT = "%(asctime)s %(levelname)s %(name)s [%(request_id)s]: %(message)s"
_FIELDS = "%(levelname)s %(name)s %(message)s %(request_id)s"


class _WithRequestId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id of the request at work; keep every record."""
        record.request_id = request_id.get()
        return True


def begin_request(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Name the request at work: as its X-Request-ID says if that is well-formed, else anew.

    Parameters
    ----------
    headers
        Raw, names in lower case, as ASGI gives them.
    """
    asked = next((value for name, value in headers if name == b"x-request-id"), b"")
    name = asked.decode() if _WELL_FORMED.fullmatch(asked) else secrets.token_hex(8)
    request_id.set(name)
    return name


def is_json(settings: Settings, stream: TextIO) -> bool:
    """Say whether logs are JSON lines."""
    if settings.serving.log_format != "auto":
        return settings.serving.log_format == "json"
    return settings.profile != "local" or not stream.isatty()


def _formatter(settings: Settings, stream: TextIO) -> logging.Formatter:
    if not is_json(settings, stream):
        return logging.Formatter(_TEXT)
    from pythonjsonlogger.core import RESERVED_ATTRS
    from pythonjsonlogger.json import JsonFormatter

    renamed = {"levelname": "level", "name": "logger"}
    dropped = [*RESERVED_ATTRS, "color_message"]  # uvicorn's message again, coloured
    return JsonFormatter(_FIELDS, rename_fields=renamed, reserved_attrs=dropped, timestamp="time")


def configure_logs(settings: Settings) -> None:
    """Send all logs of this process to stderr; again in each worker."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(settings, sys.stderr))
    handler.addFilter(_WithRequestId())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("feast").setLevel(logging.WARNING)
