"""Responses sent while they are being made."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

STALLED_S_MAX = 60.0
"""Who takes nothing for so long is as good as gone."""


class Streamed(Response):
    """Sends parts as they come, for an application that may still be reading the request.

    The framework's own kind takes the request's body for itself.
    """

    def __init__(
        self, parts: AsyncIterator[bytes], media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__(headers=headers, media_type=media_type)
        del self.headers["content-length"]
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Watched(Response):
    """Sends parts as they come to a caller whose request was read, as long as they are there.

    Once they have hung up, or take nothing, no more parts are made; whatever happens, what makes
    them is closed. Empty parts are not sent: they are for looking whether somebody is there.
    """

    def __init__(
        self, parts: AsyncGenerator[bytes, None], media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__(headers=headers, media_type=media_type)
        del self.headers["content-length"]
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_gone(receive))
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        try:
            async with aclosing(self._parts) as parts:
                await send(start)
                async for part in parts:
                    if gone.done() or (part and not await _is_taken(part, send)):
                        return  # cut off: nobody takes it for whole
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()


async def _is_taken(part: bytes, send: Send) -> bool:
    """Whether the part is on its way, which waits while the connection holds enough already."""
    try:
        async with asyncio.timeout(STALLED_S_MAX):
            await send({"type": "http.response.body", "body": part, "more_body": True})
    except TimeoutError:
        return False
    return True


async def _gone(receive: Receive) -> None:
    """Returns when the caller has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
