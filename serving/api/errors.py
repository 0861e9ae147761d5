"""From errors to HTTP, in one place. An answer holds no path, no stack trace and nothing of the input."""

import logging
from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from flightline.core.errors import (
    ClockError,
    FeatureError,
    LogError,
    ModelFileError,
    NoRoomError,
    RequestError,
    ShareError,
    UnloggableError,
)
from flightline.core.response import Failure, FieldFault
from serving.prediction.predictor import MAX_NAME_LENGTH, SHOWN_ERRORS, InstanceError

STATUS_OF_ERROR: dict[type[Exception], int] = {
    RequestError: 422,
    UnloggableError: 422,
    ShareError: 429,
    NoRoomError: 503,
    ModelFileError: 503,
    FeatureError: 503,
    ClockError: 503,
    LogError: 503,
}
RETRY_SECONDS = 5
UNEXPECTED = "the service failed on this request; the reason is in its log"
LOG = logging.getLogger("serving")


def _answer(status: int, error: str, field_errors: Sequence[tuple[str, str]] = ()) -> Response:
    failure = Failure(error=error, fields=[FieldFault(field=field, reason=reason) for field, reason in field_errors])
    return JSONResponse(failure.model_dump(exclude_defaults=True), status)


def refusal(status: int, error: str, headers: Mapping[str, str] | None = None) -> Response:
    """Make the answer of a middleware that lets a request go no further."""
    response = _answer(status, error)
    response.headers.update(headers or {})
    return response


def _field(location: Sequence[object]) -> str:
    """Write where an error is as a path: instances[0].name."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location[1:])
    return path.lstrip(".")[:MAX_NAME_LENGTH] or "body"


async def _not_valid(_: Request, err: RequestValidationError) -> Response:
    errors = err.errors()
    if errors and errors[0]["type"] == "json_invalid":
        return _answer(400, 'the body is not JSON; expected {"instances": [...]}')
    shown = errors[:SHOWN_ERRORS]
    field_errors = [(_field(error["loc"]), str(error["msg"]).removeprefix("Value error, ")) for error in shown]
    return _answer(422, f"{len(errors)} field(s) of the request are not as expected", field_errors)


async def _not_predictable(_: Request, err: InstanceError) -> Response:
    return _answer(STATUS_OF_ERROR[RequestError], str(err), err.field_errors)


async def _refused(_: Request, err: Exception) -> Response:
    status = next(code for kind, code in STATUS_OF_ERROR.items() if isinstance(err, kind))
    if status >= 500:
        LOG.warning("answered %s: %s", status, err)
    return refusal(status, str(err), {"Retry-After": str(RETRY_SECONDS)} if status in (429, 503) else {})


async def _http(_: Request, err: HTTPException) -> Response:
    response = _answer(err.status_code, str(err.detail))
    response.headers.update(err.headers or {})
    return response


def add_error_handlers(app: FastAPI) -> None:
    """Make every error an answer of the shape of `response.Failure`; unexpected ones are the `RequestContext`'s."""
    for error in STATUS_OF_ERROR:
        app.exception_handler(error)(_refused)
    app.exception_handler(InstanceError)(_not_predictable)
    app.exception_handler(RequestValidationError)(_not_valid)
    app.exception_handler(HTTPException)(_http)
