"""A connection that sends an answer's head and body in one go."""

import asyncio
from typing import Any

KEPT_BYTES_MAX = 64 * 1024
"""What is written beyond this is sent at once, so that the transport can say when it is enough."""


class Corked:
    """A transport which sends what was written to it in one turn of the event loop together.

    The server writes head and body apart, and each write is a call of the kernel that wakes the
    caller: of a quick read a tenth of its time.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._bytes = 0
        self._is_lost = False

    def write(self, data: bytes) -> None:
        """The data is sent before the event loop waits again."""
        if self._is_lost:
            return
        if not self._parts:
            self._loop.call_soon(self.uncork)
        self._parts.append(data)
        self._bytes += len(data)
        if self._bytes > KEPT_BYTES_MAX:
            self.uncork()

    def send(self, data: bytes) -> None:
        """The data, which is all of an answer, is sent now."""
        self.uncork()
        if not self._is_lost:
            self._transport.write(data)

    def close(self) -> None:
        """What was written is sent, and the connection ends."""
        self.uncork()
        self._transport.close()

    def uncork(self) -> None:
        """What was written is sent now."""
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._bytes = 0
            self._transport.write(data)

    def lost(self) -> None:
        """The connection is gone, and what is written with it: uvloop (0.23) takes it for a fault."""
        self._is_lost = True
        self._parts.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
