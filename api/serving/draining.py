"""A server that tells streams to end before it waits for its connections to be over."""

import asyncio
import socket

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.event_stream import STREAM

END_S_MAX = 1.0
"""For how long a stream's listener may still take what was sent; then its connection is cut."""


class DrainingServer(uvicorn.Server):
    """Sets `closing` when it is told to stop: requests are answered to their end, streams end.

    uvicorn (0.54) tells the application only once every connection is over, which an open stream
    never is.
    """

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event) -> None:
        super().__init__(config)
        self._closing = closing

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing.set()
        cut = asyncio.get_running_loop().call_later(END_S_MAX, self._cut_streams)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    def _cut_streams(self) -> None:
        """A listener who reads nothing keeps the rest in the socket's way, and us from ending."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, HttpToolsProtocol) and _streams(connection):
                connection.transport.abort()


def _streams(connection: HttpToolsProtocol) -> bool:
    """Whether what is being answered is a stream; a caller may have asked for nothing yet."""
    return STREAM in getattr(connection.cycle, "scope", ())
