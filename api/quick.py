"""Answers without a task of their own: what a read costs beside the reading itself is mostly its task.

A route that is asked often may give an answer that comes later (`Quick`) to a request of the plain
kind. Whatever is not plain, or is not answered with success, goes the way of every request.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec
from starlette.types import Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]

WHOLE = "whole_reply"
"""In a scope: takes a reply to be sent as it is, past what checks and joins the parts of one.

Whoever is done takes it out: it knows the scope's request, and only the collector would free them.
"""


class Reply(msgspec.Struct, frozen=True):
    """A whole answer; also an ASGI application that gives it. Names of headers are in lower case."""

    status: int
    headers: Headers
    body: bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        give_whole = scope.pop(WHOLE, None)
        if give_whole is not None:
            give_whole(self)
            return
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})


class Quick(NamedTuple):
    """An answer on its way: the template of its path, what is waited for, and then the reply."""

    template: str
    answer: "asyncio.Future[Any]"
    reply: Callable[[], Reply | None]
    """None: the request is to go the way of every other."""


class QuickRoute(Protocol):
    """What can answer requests without a task."""

    def ask(self, scope: Scope) -> Quick | None:
        """The answer on its way; None when the request is not one of these."""


Given = Callable[[Reply | None], None]
"""Takes a reply, or None when the request is to go the way of every other."""
Take = Callable[[Any, Given, set[Any]], bool]
"""Whether a request, by its scope, is one whose reply is given now or later. What is waited for is in
the set meanwhile: it may be cancelled, as tasks are, when the service ends and has waited long enough."""
