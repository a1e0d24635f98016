"""A proxy before PostgreSQL that cuts a connection around a statement: unknown commits on demand.

It follows the wire protocol just far enough to know which Bind runs the statement, also when it was
prepared long ago. It is committed when the server says that it is ready for the next query, outside
of a transaction: an append is one statement in a transaction of its own.
"""

import asyncio
from typing import Literal

from tests.faults.proxying import Proxy, Reader, Writer

Cut = Literal["before", "during", "after"]
"""Before the server hears of the statement; while it works on it; after it committed, unheard."""

APPEND = b"ledger.append"
READY = b"Z\x00\x00\x00\x05I"
READY_WITHIN = b"Z\x00\x00\x00\x05T"
"""The transaction goes on."""


class CuttingProxy(Proxy):
    """`cut` names what happens to the next statement that holds `mark`, once."""

    mark = APPEND
    cut: Cut | None = None
    cuts = 0

    async def carry(self, client: tuple[Reader, Writer], server: tuple[Reader, Writer]) -> None:
        link = _Link(self, client[1], server[1])
        async with asyncio.TaskGroup() as both:
            both.create_task(link.to_server(client[0]))
            both.create_task(link.to_client(server[0]))

    def take(self, *wanted: Cut) -> Cut | None:
        """The cut to make now if it is one of the wanted; it is made once."""
        cut = self.cut
        if cut not in wanted:
            return None
        self.cut = None
        self.cuts += 1
        return cut


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: CuttingProxy, client: Writer, server: Writer) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._prepared = dict[bytes, bytes]()
        self._running = False
        self._held = b""

    async def to_server(self, reader: Reader) -> None:
        """Hands messages of the client on, one by one."""
        length = await reader.readexactly(4)  # the startup message has no type
        self._server.write(length + await reader.readexactly(int.from_bytes(length) - 4))
        while True:
            head = await reader.readexactly(5)
            body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
            if head[:1] == b"P":
                name, statement = body.split(b"\0")[:2]
                self._prepared[name] = statement
            elif head[:1] == b"B" and self._proxy.mark in self._prepared[body.split(b"\0")[1]]:
                if self._proxy.take("before"):
                    raise ConnectionAbortedError
                self._running = True
            self._server.write(head + body)
            await self._server.drain()
            if self._running and head[:1] == b"S" and self._proxy.take("during"):
                raise ConnectionAbortedError

    async def to_client(self, reader: Reader) -> None:
        """Hands bytes of the server on."""
        while data := await reader.read(65_536):
            if self._running and data.endswith(READY):
                self._running = False
                if self._proxy.take("after"):
                    raise ConnectionAbortedError
            elif self._running and self._proxy.cut == "after" and not data.endswith(READY_WITHIN):
                self._held += data  # perhaps part of an answer that will not arrive
                continue
            data, self._held = self._held + data, b""
            self._client.write(data)
            await self._client.drain()
        raise ConnectionResetError
