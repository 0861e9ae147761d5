"""What the OpenAPI document says beyond the routes themselves: refusals, and how to send a key."""

from typing import Any

from fastapi import FastAPI

from flightline.core.response import Failure

RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait before asking again.", "schema": {"type": "integer"}}}
CHALLENGE = {"WWW-Authenticate": {"description": "How to send a key.", "schema": {"type": "string"}}}
HEADERS: dict[int, dict[str, Any]] = {401: CHALLENGE, 408: RETRY_AFTER, 429: RETRY_AFTER, 503: RETRY_AFTER}
KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `make api-key`."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
}


def documented(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Describe refusals with these codes, as a route takes them."""
    return {code: {"model": Failure} | ({"headers": HEADERS[code]} if code in HEADERS else {}) for code in codes}


# Every answer that a route may give besides its own. 431 and a 400 for what is no HTTP come before there is a route.
ALWAYS = documented(401, 403, 429, 431, 500, 503)
REFUSALS = documented(400, 404, 408, 413, 415, 422) | ALWAYS


def require_keys(app: FastAPI) -> None:
    """Let the document say that every route with the tag of the model needs a key, in one of two headers."""
    plain = app.openapi

    def with_keys() -> dict[str, Any]:
        document = plain()
        document.setdefault("components", {})["securitySchemes"] = KEYS
        for operations in document["paths"].values():
            for operation in operations.values():
                if "model" in operation.get("tags", ()):
                    operation["security"] = [{name: []} for name in KEYS]
        return document

    app.openapi = with_keys  # type: ignore[method-assign]  # as FastAPI's manual extends the document
