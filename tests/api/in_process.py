"""The application asked without a server in between: what an ASGI server would hand over, at speed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

Headers = Sequence[tuple[bytes, bytes]]
AT_ONCE = 8
LIMIT_S = 60.0


@dataclass(frozen=True)
class Sent:
    """A request: the path and query as they are sent, percent-encoded."""

    method: str
    path: bytes
    query: bytes = b""
    headers: Headers = ()
    body: bytes = b""
    what: str = ""
    """What is hostile about it, for a message."""
    stays: bool = False
    """Whether whoever asks is still there when the answer is streamed: else they have hung up."""


@dataclass
class Got:
    """An answer."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


class InProcess:
    """Asks an application, some requests at once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def ask(self, sent: Sent) -> Got:
        """The answer to one request; a fault of the application is raised."""
        got, body, over = Got(), [sent.body], asyncio.Event()

        async def receive() -> Message:
            if body:
                return {"type": "http.request", "body": body.pop(), "more_body": False}
            if sent.stays:
                await over.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                got.status = message["status"]
                got.headers = dict(message["headers"])
            else:
                got.body += message.get("body", b"")

        async with asyncio.timeout(LIMIT_S):
            await self._app(scope_of(sent), receive, send)
        return got

    async def ask_all(self, requests: Sequence[Sent]) -> list[Got]:
        """The answers, in order of the requests."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def ask(sent: Sent) -> Got:
            async with turns:
                return await self.ask(sent)

        return await asyncio.gather(*map(ask, requests))


@asynccontextmanager
async def in_process(app: ASGIApp) -> AsyncIterator[InProcess]:
    """The application is up, as a server would start and stop it."""
    asked: asyncio.Queue[Message] = asyncio.Queue()
    told: asyncio.Queue[Message] = asyncio.Queue()
    living = asyncio.ensure_future(app({"type": "lifespan"}, asked.get, told.put))
    try:
        for stage in ("startup", "shutdown"):
            await asked.put({"type": f"lifespan.{stage}"})
            assert f"lifespan.{stage}.complete" == (await told.get())["type"]
            if stage == "startup":
                yield InProcess(app)
    finally:
        living.cancel()


def scope_of(sent: Sent) -> dict[str, Any]:
    """What a server would hand over of the request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": sent.method,
        "scheme": "http",
        "path": unquote(sent.path.decode("latin-1")),
        "raw_path": sent.path,
        "query_string": sent.query,
        "root_path": "",
        "headers": [(b"host", b"localhost"), *sent.headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
