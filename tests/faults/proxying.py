"""Proxies before PostgreSQL: a base that hands connections on, and one that makes them bad on demand."""

import asyncio
import ctypes
import random
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

READY_S_MAX = 10.0
BYTES_MAX = 65_536
SO_ATTACH_FILTER = 26
"""Of Linux; the socket module does not name it."""

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Ailment = Literal["none", "slow", "trickling", "black hole"]
"""Each part late by some milliseconds; a few bytes at a time; nothing, in either direction."""


class Proxy(ABC):
    """Listens on a port of its own, in a thread of its own; a subclass says how it hands on."""

    def __init__(self, url: str, port_now: Callable[[], int] | None = None) -> None:
        """`url` is that of a database; `port_now` tells its port if that may change."""
        self._url = urlsplit(url)
        self._port_now = port_now
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: self._loop.run_until_complete(self._serve(ready))
        )
        self._thread.start()
        assert ready.wait(READY_S_MAX)

    @property
    def url(self) -> str:
        """The database's address through the proxy, which can read what passes."""
        netloc = self._url.netloc.replace(f":{self._url.port}", f":{self.port}")
        return self._url._replace(netloc=netloc, query="sslmode=disable").geturl()

    def close(self) -> None:
        """Nothing is listened to, and every connection is cut."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    @abstractmethod
    async def carry(self, client: tuple[Reader, Writer], server: tuple[Reader, Writer]) -> None:
        """Hands on what either side sends; ends, or raises ConnectionError, to cut both."""

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _accept(self, reader: Reader, writer: Writer) -> None:
        assert self._url.hostname is not None
        port = self._port_now() if self._port_now else self._url.port
        try:
            server = await asyncio.open_connection(self._url.hostname, port)
        except OSError:
            writer.transport.abort()  # the server is away: so is the proxy
            return
        try:
            await self.carry((reader, writer), server)
        except* (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # either end is gone, by a cut or by itself; or the proxy is closed
        finally:
            writer.transport.abort()
            server[1].transport.abort()


class AilingProxy(Proxy):
    """Hands on as `ailment` says; `reset` cuts every connection there is."""

    def __init__(self, url: str, port_now: Callable[[], int], seed: int) -> None:
        self.ailment: Ailment = "none"
        self._dice = random.Random(seed)
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers = set[Writer]()
        super().__init__(url, port_now)

    def fall_ill(self, ailment: Ailment) -> None:
        """From now on connections are so."""
        self.ailment = ailment
        if ailment == "black hole":
            self._loop.call_soon_threadsafe(self._passing.clear)

    def heal(self) -> None:
        """From now on all is well, and what was held back arrives."""
        self.ailment = "none"
        self._loop.call_soon_threadsafe(self._passing.set)

    def reset(self) -> None:
        """Every connection is cut now."""
        self._loop.call_soon_threadsafe(self._reset)

    def lose(self) -> None:
        """Every connection there is goes dead without a word: not even the kernel answers any more.

        A filter that lets nothing in drops what either end sends before TCP sees it."""
        done = threading.Event()
        self._loop.call_soon_threadsafe(self._lose, done)
        assert done.wait(READY_S_MAX)

    def _lose(self, done: threading.Event) -> None:
        nothing = ctypes.create_string_buffer(
            struct.pack("HBBI", 0x06, 0, 0, 0)
        )  # BPF_RET, 0 bytes
        program = struct.pack("HL", 1, ctypes.addressof(nothing))
        for writer in self._writers:
            line: socket.socket = writer.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        done.set()

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def carry(self, client: tuple[Reader, Writer], server: tuple[Reader, Writer]) -> None:
        own = {client[1], server[1]}
        self._writers |= own
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(client[0], server[1]))
                both.create_task(self._pump(server[0], client[1]))
        finally:
            self._writers -= own

    async def _pump(self, reader: Reader, writer: Writer) -> None:
        while data := await reader.read(BYTES_MAX):
            await self._passing.wait()
            if self.ailment == "slow":
                await asyncio.sleep(self._dice.uniform(0.005, 0.03))
            elif self.ailment == "trickling":
                data = await self._trickle(data, writer)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

    async def _trickle(self, data: bytes, writer: Writer) -> bytes:
        """Sends some of it a few bytes at a time, as long as the ailment lasts; what is left."""
        while self.ailment == "trickling" and data:
            some = self._dice.randint(1, 60)
            writer.write(data[:some])
            await writer.drain()
            data = data[some:]
            await asyncio.sleep(0)
        return data
