"""Operations: what the API can do, each with its path, its permission and its documentation.

They are the one list that routes, the OpenAPI document and the tests of authorisation are made of.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.parameters import Parameter
from api.security.scope import Permission

Handle = Callable[[Request], Awaitable[Response]]
Schema = Mapping[str, Any]

JSON = "application/json"
NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class Header:
    """A request header that an operation reads."""

    name: str
    schema: Schema
    says: str
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path.

    `replies` gives the type of the body by status, None for a status without one; `problems` the
    statuses it may fail with beside those that any operation may. `body` is the schema of what is
    sent. Path parameters stand in `path` in braces; `places` says what they are.
    """

    method: str
    path: str
    name: str
    says: str
    tag: str
    permission: Permission
    handle: Handle
    replies: Mapping[int, Any]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    headers: Sequence[Header] = ()
    body: Schema | None = None
    body_required: bool = True
    body_type: str = JSON
    reply_type: str = JSON
    problems: Sequence[int] = ()
    details: str = ""


class Methods:
    """Answers the requests of one path by the operation of their method."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._handles = {operation.method: operation.handle for operation in operations}
        assert len(self._handles) == len(operations), operations[0].path
        if "GET" in self._handles:
            self._handles["HEAD"] = self._handles["GET"]

    async def __call__(self, request: Request) -> Response:
        return await self._handles[request.method](request)


def routes(operations: Sequence[Operation]) -> list[Route]:
    """A route for each path, in order; for other methods the framework's 405 names all there are."""
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    return [
        Route(path, _endpoint(found), methods=[operation.method for operation in found])
        for path, found in by_path.items()
    ]


def _endpoint(found: Sequence[Operation]) -> Handle:
    methods = Methods(found)

    async def endpoint(request: Request) -> Response:
        return await methods(request)

    return endpoint
