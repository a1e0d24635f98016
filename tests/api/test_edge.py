"""The outermost layer keeps nothing of a request that is answered."""

import asyncio
import gc
import weakref

from starlette.types import Message, Receive, Scope, Send

from api.edge import Edge
from api.problems import Problem

SCOPE: Scope = {
    "type": "http",
    "method": "GET",
    "http_version": "1.1",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "headers": [(b"host", b"x")],
}


def test_a_refused_request_leaves_nothing_for_the_garbage_collector() -> None:
    """The fault that a request ends with, and by its traceback what the request held, is gone once
    it is answered: nothing refers in a circle, which would wait for a collector that seldom looks."""
    kept: list[weakref.ref[Problem]] = []
    answered: list[Message] = []

    class Refused(Problem):
        def __init__(self) -> None:
            super().__init__("forbidden", "not for you")
            kept.append(weakref.ref(self))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise Refused

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        answered.append(message)

    async def ask() -> None:
        gc.disable()
        try:
            await Edge(app)(dict(SCOPE), receive, send)
            await asyncio.sleep(0)
            assert [None] == [one() for one in kept]
        finally:
            gc.enable()

    asyncio.run(ask())
    assert 403 == answered[0]["status"]
