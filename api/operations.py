"""Operations: what the API can do, each with its path, its permission and its documentation.

They are the one list that routes, the OpenAPI document and the tests of authorisation are made of.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.parameters import Parameter
from api.security.scope import Permission

Handle = Callable[[Request], Awaitable[ASGIApp]]
"""Gives what answers the request: a response, or any other ASGI application."""
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
    statuses it may fail with beside those that any operation may, and `codes` their codes, as far
    as the rest does not tell them (api/problem_codes.py). `body` is what is sent: a type,
    or a schema. Path parameters stand in `path` in braces; `places` gives the schemas of those that
    are not ids given by callers. `reply_headers` are those of a success beside what follows from
    the rest (api/openapi.py), `reply_types` the media types that are not `reply_type`, by status.
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
    places: Mapping[str, Schema] = field(default_factory=dict)
    body: Schema | type | None = None
    body_required: bool = True
    body_type: str = JSON
    reply_type: str = JSON
    reply_types: Mapping[int, str] = field(default_factory=dict)
    reply_headers: Mapping[int, Sequence[str]] = field(default_factory=dict)
    problems: Sequence[int] = ()
    codes: Sequence[str] = ()
    details: str = ""


class Methods:
    """Answers the requests of one path by the operation of their method."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._handles = {operation.method: operation.handle for operation in operations}
        assert len(self._handles) == len(operations), operations[0].path
        if "GET" in self._handles:
            self._handles["HEAD"] = self._handles["GET"]

    async def __call__(self, request: Request) -> ASGIApp:
        return await self._handles[request.method](request)


class TemplateRoute(Route):
    """A route that tells whatever wraps the application the template of its path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches(scope)
        return match, {**found, "template": self.path}


class Direct:
    """Answers the requests of one operation without the framework between."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._handle(Request(scope, receive))
        await response(scope, receive, send)


def direct(operation: Operation) -> TemplateRoute:
    """The operation's route for requests that are to pass the framework by."""
    return TemplateRoute(operation.path, Direct(operation.handle), methods=[operation.method])


def routes(operations: Sequence[Operation]) -> list[Route]:
    """A route for each path, in order; for other methods the framework's 405 names all there are."""
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    return [
        TemplateRoute(path, _endpoint(found), methods=[operation.method for operation in found])
        for path, found in by_path.items()
    ]


def _endpoint(found: Sequence[Operation]) -> Handle:
    methods = Methods(found)

    async def endpoint(request: Request) -> ASGIApp:
        return await methods(request)

    return endpoint
