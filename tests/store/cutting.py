"""A proxy before PostgreSQL that cuts a connection around an append: unknown commits on demand.

It follows the wire protocol just far enough to know which Bind runs the append, also when it was
prepared long ago. The append is one statement in a transaction of its own, so it is committed
when the server says that it is ready for the next query.
"""

import asyncio
from typing import Literal

from tests.faults.proxying import Proxy, Reader, Writer

Cut = Literal["before", "during", "after"]
"""Before the server hears of the append; while it works on it; after it committed, unheard."""

APPEND = b"ledger.append"
READY = b"Z\x00\x00\x00\x05I"


class CuttingProxy(Proxy):
    """`cut` names what happens to the next append, once."""

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
        self._appends = set[bytes]()
        self._appending = False

    async def to_server(self, reader: Reader) -> None:
        """Hands messages of the client on, one by one."""
        length = await reader.readexactly(4)  # the startup message has no type
        self._server.write(length + await reader.readexactly(int.from_bytes(length) - 4))
        while True:
            head = await reader.readexactly(5)
            body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
            if head[:1] == b"P" and APPEND in body:
                self._appends.add(body.split(b"\0")[0])
            elif head[:1] == b"B" and body.split(b"\0")[1] in self._appends:
                if self._proxy.take("before"):
                    raise ConnectionAbortedError
                self._appending = True
            self._server.write(head + body)
            await self._server.drain()
            if self._appending and head[:1] == b"S" and self._proxy.take("during"):
                raise ConnectionAbortedError

    async def to_client(self, reader: Reader) -> None:
        """Hands bytes of the server on."""
        while data := await reader.read(65_536):
            if self._appending and data.endswith(READY):
                self._appending = False
                if self._proxy.take("after"):
                    raise ConnectionAbortedError
            elif self._appending and self._proxy.cut == "after":
                continue  # part of an answer that will not arrive
            self._client.write(data)
            await self._client.drain()
        raise ConnectionResetError
