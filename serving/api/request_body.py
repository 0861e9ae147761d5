"""What a request is looked through for before its instances are validated: what is refused here costs little.

Validation makes an error of each fault, and a hostile body of a megabyte holds a hundred thousand.
"""

import inspect
import re
from collections.abc import Callable, Coroutine, Iterable, Iterator
from itertools import islice
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.exceptions import HTTPException

from flightline.core.settings import ServingSettings
from serving.api.dependencies import get_resources
from serving.prediction.predictor import MAX_NAME_LENGTH, InstanceError, Predictor, refuse_faults

# JSON can write half of a surrogate pair, and no encoding can: whole pairs and escaped backslashes are left out first.
_NO_HALF = re.compile(rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_NO_TEXT = "expected text, got half of a surrogate pair"
_LOOKED_AT = 10_000  # values, for the name of a field that holds such text
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
# Takes what the body holds as JSON too, and how many instances that are.
BodyHandler = Callable[[Request, object, int], Coroutine[Any, Any, Response]]


class _JsonRequest(Request):
    """Reads its body by pydantic's parser, in a third of the time; what that refuses Python's own judges."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            try:
                self._json = from_json(await self.body())
            except ValueError:
                await super().json()
        return self._json


class ModelRoute(APIRoute):
    """A route of the model: refuses the name of another, looks a body through, and holds room for its instances.

    One with a body takes `name`, `own` (`ResourcesDep`) and `body`, and no more. It is called here: FastAPI, for which
    the signature is documentation, takes longer to find out what it needs than the model takes to predict.
    """

    @staticmethod
    def max_instances(serving: ServingSettings) -> int:
        """Give how many instances a request may have."""
        return serving.max_instances

    @staticmethod
    def rows_each(predictor: Predictor) -> int:
        """Give for how many rows an instance takes room."""
        return 1

    def get_route_handler(self) -> Handler:
        """Give what answers a request."""
        by_fastapi = super().get_route_handler()

        async def check_name(request: Request) -> Response:
            name, expected = request.path_params["name"], request.app.state.project.problem.model_name
            if name != expected:
                raise HTTPException(404, f"got model {name[:80]!r}, expected {expected!r}")
            return await answer(request)

        answer = by_fastapi if self.body_field is None else _bounded(self._directly(), by_fastapi, self.max_instances)
        return check_name

    def _directly(self) -> BodyHandler:
        endpoint = self.endpoint
        parameters = inspect.signature(endpoint).parameters
        if set(parameters) != {"name", "own", "body"}:
            raise TypeError(
                f"{endpoint.__name__} takes {', '.join(parameters)}; expected name, own and body: its route calls it "
                "and solves no other dependency, so add what it needs to Resources"
            )
        body = parameters["body"]
        taken: TypeAdapter[Any] = TypeAdapter(body.annotation)

        async def answer(request: Request, body: object, count: int) -> Response:
            own = await get_resources(request)
            # Until the answer is made: a client that reads it slowly takes no room from others.
            with own.large.room(own.caller, count * self.rows_each(own.predictor)):
                try:
                    given = taken.validate_python(body, from_attributes=True)
                except ValidationError as err:
                    faults = err.errors(include_url=False)
                    raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in faults]) from None
                made = await endpoint(name=request.path_params["name"], own=own, body=given)
                return Response(made.model_dump_json(by_alias=True), media_type="application/json")

        return answer


def _bounded(answer: BodyHandler, refuse: Handler, max_instances: Callable[[ServingSettings], int]) -> Handler:
    """Answer 415 for a body that does not say it is JSON and 422 for one that is too large, before it is validated.

    Parameters
    ----------
    refuse
        Answers a request whose body is no JSON.
    max_instances
        Of a request.
    """

    async def answer_bounded(request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, "expected the header content-type: application/json")
        read, serving = _JsonRequest(request.scope, request.receive), request.app.state.project.settings.serving
        content = await read.body()
        try:
            body = await read.json() if content else None
        except (ValueError, RecursionError):
            body = None  # FastAPI's handler tries again, and refuses it
        count = check_body(content, body, max_instances(serving), serving.max_columns)
        return await (refuse(read) if body is None else answer(read, body, count))

    return answer_bounded


def check_body(content: bytes, body: object, max_instances: int, max_columns: int) -> int:
    """Refuse a body that is too large in any way, or no text; give the number of its instances.

    Parameters
    ----------
    content
        The body as it came.
    body
        What it holds as JSON.
    max_instances
        In it.
    max_columns
        Of each, and in the body itself.

    Raises
    ------
    HTTPException
        400, if it is not UTF-8: what it holds would be text in one encoding and none in another.
    InstanceError
        If it has too many instances or columns, or half of a surrogate pair.
    """
    _check_encoding(content)
    instances = body.get("instances") if isinstance(body, dict) else None
    if isinstance(body, dict):
        _check_width("body", body, max_columns)
    if isinstance(instances, list):
        _check_count(instances, max_instances)
        for index, instance in enumerate(instances):
            if isinstance(instance, dict):
                _check_width(f"instances[{index}]", instance, max_columns)
    if b"\\" in content and _HALF.search(content) and _HALF.search(_NO_HALF.sub(b" ", content)):
        refuse_faults(_half_pairs(body))
        raise InstanceError([("body", _NO_TEXT)])
    return len(instances) if isinstance(instances, list) else 0


def _check_encoding(content: bytes) -> None:
    """Refuse UTF-16 and UTF-32, and bytes of half a surrogate pair, which Python's json would take."""
    try:
        content.decode()
    except UnicodeDecodeError:
        is_text = False
    else:
        is_text = b"\0" not in content
    if not is_text:
        raise HTTPException(400, "the body is not JSON in UTF-8")


def _check_count(instances: list[object], max_instances: int) -> None:
    if len(instances) > max_instances:
        reason = f"got {len(instances)}, expected at most {max_instances}; send them in parts"
        raise InstanceError([("instances", reason)])


def _check_width(field: str, columns: dict[str, object], max_columns: int) -> None:
    if len(columns) > max_columns:
        raise InstanceError([(field, f"got {len(columns)} columns, expected at most {max_columns}")])


def _half_pairs(body: object) -> Iterator[tuple[str, str]]:
    """Name the fields with text that is none, among the first values."""
    unseen: list[tuple[str, object]] = [("", body)]
    for _ in range(_LOOKED_AT):
        if not unseen:
            return
        path, value = unseen.pop()
        path = path[:MAX_NAME_LENGTH]  # or a long name would be copied once for each of thousands of values below it
        below: Iterable[tuple[str, object]] = ()
        if isinstance(value, dict):
            below = ((f"{path}.{name[:MAX_NAME_LENGTH]}", part) for name in value for part in (name, value[name]))
        elif isinstance(value, list):
            below = ((f"{path}[{index}]", part) for index, part in enumerate(value))
        unseen += list(islice(below, _LOOKED_AT))[::-1]
        if isinstance(value, str) and value.encode(errors="replace").decode() != value:
            name = path.lstrip(".").encode("ascii", "backslashreplace").decode()[:MAX_NAME_LENGTH]
            yield name or "body", _NO_TEXT
