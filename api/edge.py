"""The outermost layer of HTTP: correlation ids, one answer for every fault, one line a request."""

import asyncio
import re
import secrets
import time
from typing import Any

import psycopg
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import logs, metrics
from api.database import DatabaseUnavailable, PoolBusy, TooSlow
from api.limits import refuse_odd_head
from api.problems import (
    MEDIA_TYPE,
    FieldError,
    Problem,
    body_of,
    problem_of,
    problem_of_status,
)
from api.quick import WHOLE, Given, QuickRoute, Reply
from api.turning_away import TurningAway
from ledger.errors import Refusal
from ledger.store.faults import LedgerClosed, StoreUnavailable

CORRELATION_HEADER = b"correlation-id"
_CORRELATION_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
RETRY_AFTER_S = 1
SIGN_IN = "/v1/sign-in"
STARTED = "started"
"""In a scope: when the request came, which has been waiting for an answer since."""

EXPECTED = (
    Problem,
    Refusal,
    DatabaseUnavailable,
    psycopg.OperationalError,
    StoreUnavailable,
    LedgerClosed,
    TooSlow,
    PoolBusy,
    HTTPException,
    RequestValidationError,
)
"""What a request may end with that is no fault of this program."""


class Edge:
    """Wraps the application: what escapes it is answered as a problem, and logged once."""

    def __init__(
        self,
        app: ASGIApp,
        quick: QuickRoute | None = None,
        turning_away: TurningAway | None = None,
    ) -> None:
        self._app = app
        self._quick = quick
        self._turning_away = turning_away

    def take(self, scope: Scope, give: Given, under_way: set[Any]) -> bool:
        """As Take: the reply to a request is given now or later, logged and counted like any other's.

        None is given in its place when the request is to go the way of every other after all.
        """
        if scope["method"] not in ("GET", "HEAD"):
            return self._turn_away(scope, give)
        if self._quick is None or scope["method"] != "GET" or not _is_plain(scope):
            return False
        started = time.perf_counter()
        quick = self._quick.ask(scope)
        if quick is None:
            return False

        def answered(done: "asyncio.Future[Any]") -> None:
            under_way.discard(done)
            try:
                reply = quick.reply()
            except Exception:  # noqa: BLE001 # met again on the way of every other, which tells it
                reply = None
            if reply is not None:
                scope["template"] = quick.template
                correlation_id = scope["correlation_id"] = _correlation_id(scope)
                reply.headers.append((CORRELATION_HEADER, correlation_id.encode()))
            else:
                scope[STARTED] = started
            give(reply)
            if reply is not None:
                _tell(scope, reply.status, time.perf_counter() - started)

        under_way.add(quick.answer)
        quick.answer.add_done_callback(answered)
        return True

    def _turn_away(self, scope: Scope, give: Given) -> bool:
        """Whether a command was told to come back later, its body unread."""
        started = time.perf_counter()
        away = self._turning_away.away(scope) if self._turning_away else None
        if away is None or not _is_plain(scope):
            return False
        correlation_id = scope["correlation_id"] = _correlation_id(scope)
        scope["template"], scope["problem"] = away.template, away.problem.code
        give(_reply(away.problem, correlation_id))
        _tell(scope, away.problem.status, time.perf_counter() - started)
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation_id = scope["correlation_id"] = _correlation_id(scope)
        marked = (CORRELATION_HEADER, correlation_id.encode())
        started = scope.pop(STARTED, None) or time.perf_counter()
        status, complete = 0, False

        async def send_marked(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], marked]
            else:
                complete = not message.get("more_body", False)
            await send(message)

        give_whole: Any = scope.get(WHOLE)

        def give_marked(reply: Reply) -> None:
            nonlocal status, complete
            status, complete = reply.status, True
            reply.headers.append(marked)
            give_whole(reply)

        if give_whole is not None:
            scope[WHOLE] = give_marked
        try:
            refuse_odd_head(scope)
            await self._app(scope, receive, send_marked)
        except Exception as fault:
            # Kept under no other name: it refers to this frame, and its name here is forgotten.
            if not isinstance(_unwrapped(fault), EXPECTED):
                logs.fault("internal_error", correlation_id=correlation_id)
            if status and not complete:
                scope["problem"] = _problem_of(_unwrapped(fault)).code
                raise  # half an answer is out: the server must cut the connection
            if not status:
                await answer(Request(scope), _unwrapped(fault))(scope, receive, send_marked)
        except asyncio.CancelledError:
            # The process ends, and what it waited for took too long: done or not, nobody knows.
            if status:
                raise
            late = StoreUnavailable("the service ends")
            await answer(Request(scope), late)(scope, receive, send_marked)
        finally:
            scope.pop(WHOLE, None)
            _tell(scope, status, time.perf_counter() - started)


def _is_plain(scope: Scope) -> bool:
    """Whether nothing of a request's head is refused; what is, is told by the way of every other."""
    try:
        refuse_odd_head(scope)
    except Problem:
        return False
    return True


def _tell(scope: Scope, status: int, seconds: float) -> None:
    """The request is logged and counted, by the template of its path: paths name customers."""
    method, problem = scope["method"], scope.get("problem")
    route = scope.get("template", metrics.NO_ROUTE)
    metrics.request(method, route, status, seconds)
    if route == SIGN_IN and method == "POST":
        metrics.signed_in(problem or "ok")
    logs.request(
        method=method,
        route=route,
        status=status,
        ms=round(seconds * 1000, 1),
        correlation_id=scope["correlation_id"],
        problem=problem,
    )


def answer(request: Request, fault: Exception) -> Response:
    """The response to a request that ended with an exception."""
    problem = _problem_of(fault)
    request.scope["problem"] = problem.code
    headers = {"Cache-Control": "no-store", **problem.headers}
    if problem.status == 401:  # RFC 9110, 15.5.2: it must be there
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        body_of(problem, request.scope["correlation_id"]),
        status_code=problem.status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def _reply(problem: Problem, correlation_id: str) -> Reply:
    """As `answer`, whole."""
    body = body_of(problem, correlation_id)
    headers = [
        (b"cache-control", b"no-store"),
        *[(name.lower().encode(), value.encode()) for name, value in problem.headers.items()],
        (b"content-length", b"%d" % len(body)),
        (b"content-type", MEDIA_TYPE.encode()),
        (CORRELATION_HEADER, correlation_id.encode()),
    ]
    return Reply(problem.status, headers, body)


def _unwrapped(fault: Exception) -> Exception:
    """What the framework would have had answered, had the answer not begun: then it wraps it."""
    cause = fault.__cause__
    return cause if isinstance(fault, RuntimeError) and isinstance(cause, EXPECTED) else fault


def _problem_of(fault: Exception) -> Problem:
    match fault:
        case Problem():
            return fault
        case Refusal():
            return problem_of(fault)
        case DatabaseUnavailable() | psycopg.OperationalError():
            return _later(
                "database_unavailable", "the region's database does not answer: try again"
            )
        case StoreUnavailable() | LedgerClosed():
            says = "it may be done or not: send the same again with the same Idempotency-Key"
            return _later("database_unavailable", says)
        case TooSlow():
            return _later("overloaded", "this takes longer than it may: ask for less, or later")
        case PoolBusy():
            return _later("overloaded", "too many requests wait already: try again")
        case HTTPException():
            return problem_of_status(fault.status_code, fault.headers)
        case RequestValidationError():
            errors = [
                FieldError(
                    pointer="/" + "/".join(str(part) for part in error["loc"]),
                    code=str(error["type"]),
                    message=str(error["msg"]),
                )
                for error in fault.errors()
            ]
            return Problem("invalid_request", "the request is not valid", errors=errors)
        case _:
            detail = "give the correlation id to whoever runs this service"
            return Problem("internal_error", detail)


def _later(code: str, says: str) -> Problem:
    return Problem(code, says, headers={"Retry-After": str(RETRY_AFTER_S)})


def _correlation_id(scope: Scope) -> str:
    """The caller's, when it is one that can be logged as it is; else a fresh one."""
    for name, value in scope["headers"]:
        if name == CORRELATION_HEADER and _CORRELATION_ID.fullmatch(value):
            given: bytes = value
            return given.decode()
    return secrets.token_hex(8)
