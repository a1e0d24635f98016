"""Events as Server-Sent Events (WHATWG HTML, 9.2): sent as they are recorded, to be resumed anywhere."""

import asyncio
import time

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api import logs
from api.database import DatabaseUnavailable, PoolBusy, TooSlow
from api.feed import Feed, Page, Wanted
from api.heads import HeadWatch
from api.problems import Problem
from api.vectors import Vector
from ledger.store.faults import Corrupt

MEDIA_TYPE = "text/event-stream"
BATCH_MAX = 100
"""Events read at once, once those before were taken by the connection: what a listener can hold."""
LOOK_S = 2.0
"""After so long without events the token is looked at all the same."""
HEARTBEAT_S = 15.0
STALLED_S_MAX = 60.0
"""Who takes nothing for so long gives up the place; they can come back with their last id."""
RETRY_MS = 1_000
HEADERS = {
    # Proxies neither keep the stream back nor compress it.
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}
STREAM = "billing_ledger.stream"
"""A key of the scope of requests whose answer ends only when the listener or the process does."""

_encode = msgspec.json.Encoder().encode


class EventStream(Response):
    """The events from a first page on, as long as the token is good, the listener there and we are.

    It ends at a whole event, without an error: whoever was listening comes back with the last id
    they saw, and is told then what is wrong.
    """

    media_type = MEDIA_TYPE

    def __init__(self, feed: Feed, watch: HeadWatch, token: bytes, first: Page) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._feed = feed
        self._watch = watch
        self._token = token
        self._page = first
        self._sent = 0
        self._silent_since = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[STREAM] = True
        gone = asyncio.ensure_future(_gone(receive))
        with self._watch.listening():
            try:
                start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                await send(start)
                await self._put(send, b"retry: %d\n\n" % RETRY_MS)
                why = await self._send_all(send, gone)
            finally:
                gone.cancel()
        logs.event("stream_ended", why=why, events=self._sent, region=self._feed.region)
        if why != "stalled":
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, send: Send, gone: asyncio.Future[None]) -> str:
        """Sends until there is a reason not to, which is given."""
        try:
            while True:
                await self._send_page(send)
                if gone.done():
                    return "gone"
                if self._watch.closing.is_set():
                    return "closing"
                if self._page.is_last:
                    await self._watch.news(self._page.end, gone, LOOK_S)
                self._page = await self._feed.page(self._token, self._next)
        except Problem as problem:
            return problem.code
        except TimeoutError:
            return "stalled"
        except (DatabaseUnavailable, TooSlow, PoolBusy):
            return "database_unavailable"
        except Corrupt:
            logs.fault("log_corrupt", region=self._feed.region)
            return "log_corrupt"

    def _next(self) -> Wanted:
        return Wanted(self._page.end, BATCH_MAX)

    async def _send_page(self, send: Send) -> None:
        page = self._page
        if page.events:
            await self._put(send, _written(page))
            self._sent += len(page.events)
        elif time.monotonic() - self._silent_since >= HEARTBEAT_S:
            await self._put(send, b":\n\n")

    async def _put(self, send: Send, part: bytes) -> None:
        """Waits while the connection holds enough already; raises TimeoutError."""
        async with asyncio.timeout(STALLED_S_MAX):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        self._silent_since = time.monotonic()


def _written(page: Page) -> bytes:
    """The events of a page, each with the place after it as its id."""
    at: Vector = page.start.copy()
    parts = []
    for event, place in zip(page.events, page.places, strict=True):
        at.move(*place)
        parts.append(
            b"id: %b\nevent: %b\ndata: %b\n\n"
            % (at.text().encode(), event.type.encode(), _encode(event))
        )
    return b"".join(parts)


async def _gone(receive: Receive) -> None:
    """Returns when the listener has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
