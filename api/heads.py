"""Who waits for events of a region is told when there are some: one poll for all of them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from api import logs
from api.database import DatabaseUnavailable, PoolBusy, TooSlow
from api.feed import Feed
from api.vectors import Vector

POLL_S = 0.05
UNAVAILABLE = (DatabaseUnavailable, TooSlow, PoolBusy)


class HeadWatch:
    """Asks for the lanes' heads while somebody listens; `closing` is set when the process is to end.

    No NOTIFY: in an append it would cost a quarter of the commits (decision 0003).
    """

    def __init__(self, feed: Feed, closing: asyncio.Event) -> None:
        self.closing = closing
        self.listeners = 0
        self._feed = feed
        self._heads: list[int] = []
        self._moved: asyncio.Future[None] | None = None
        self._polling: asyncio.Task[None] | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Meanwhile the heads are asked for."""
        self.listeners += 1
        if self._polling is None or self._polling.done():
            self._polling = asyncio.ensure_future(self._poll())
        try:
            yield
        finally:
            self.listeners -= 1

    async def news(self, after: Vector, gone: asyncio.Future[None], timeout_s: float) -> None:
        """Returns once there is more past a place, the listener is gone, all ends, or time is up."""
        pairs = zip(self._heads, after.positions, strict=False)
        if self.closing.is_set() or any(head > position for head, position in pairs):
            return
        if self._moved is None:
            self._moved = asyncio.get_running_loop().create_future()
        await asyncio.wait(
            (self._moved, gone), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )

    async def close(self) -> None:
        """No poll is under way; who listens has been told to end before."""
        if self._polling is not None:
            await self._polling

    async def _poll(self) -> None:
        try:
            while self.listeners and not self.closing.is_set():
                try:
                    heads = await self._feed.heads()
                except UNAVAILABLE:
                    heads = self._heads  # listeners find out when they look for themselves
                if heads != self._heads:
                    self._heads = heads
                    self._wake()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.closing.wait(), POLL_S)
        except Exception:  # noqa: BLE001 # a task's edge: listeners still look for themselves
            logs.fault("head_watch_died", region=self._feed.region)
        finally:
            self._wake()

    def _wake(self) -> None:
        if self._moved is not None:
            self._moved.set_result(None)
            self._moved = None
