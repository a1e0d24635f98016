"""A server that is told to stop: streams are not waited for, other answers are."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import closing

import uvicorn
from starlette.types import Receive, Scope, Send

from api.event_stream import STREAM
from api.serving.draining import END_S_MAX, DrainingServer
from tests.api.serving import free_port

PART = bytes(64 * 1024)
PARTS = 256
GRACE_S = 30
LIMIT_S = 15.0


class Stopping:
    """A server over one application, and how it is told to stop."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()
        self.port = free_port()
        self.sent = 0
        config = uvicorn.Config(
            self.app,
            interface="asgi3",
            port=self.port,
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=GRACE_S,
        )
        self._server = DrainingServer(config, self.closing)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """/stream sends without end until it is told to, anything else a lot."""
        is_stream = scope["path"] == "/stream"
        if is_stream:
            scope[STREAM] = True
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not self.closing.is_set() if is_stream else self.sent < PARTS:
            await send({"type": "http.response.body", "body": PART, "more_body": True})
            self.sent += 1
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def stop(self) -> None:
        self._server.should_exit = True

    async def run(self, work: Callable[["Stopping"], Awaitable[None]]) -> None:
        """The work is done beside the server, which must then be over."""
        serving = asyncio.ensure_future(self._server.serve())
        async with asyncio.timeout(LIMIT_S):
            while not self._server.started:
                await asyncio.sleep(0.01)
            await work(self)
            await serving


def stuck_on(server: Stopping, path: str) -> socket.socket:
    """A caller who has asked for a path and reads nothing."""
    line = socket.create_connection(("127.0.0.1", server.port))
    line.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
    return line


async def until_it_waits(server: Stopping) -> None:
    """Returns once the server can send no more."""
    sent = -1
    while sent != server.sent or not sent:
        sent = server.sent
        await asyncio.sleep(0.1)


def test_a_listener_that_reads_nothing_is_cut_off() -> None:
    """A stream stuck in its listener's way holds the server up no longer than it may."""

    async def work(server: Stopping) -> None:
        with closing(await asyncio.to_thread(stuck_on, server, "/stream")):
            await until_it_waits(server)
            server.stop()
            started = time.monotonic()
            while not server.closing.is_set():
                await asyncio.sleep(0.01)
            waited = server.sent
            while server.sent == waited:
                await asyncio.sleep(0.01)
            assert time.monotonic() - started < END_S_MAX + 2

    async def run() -> None:
        await Stopping().run(work)

    asyncio.run(run())


def test_another_answer_is_sent_to_its_end() -> None:
    """Somebody who takes a large answer slowly gets all of it, past the time that streams have."""

    async def work(server: Stopping) -> None:
        with closing(await asyncio.to_thread(stuck_on, server, "/download")) as line:
            await until_it_waits(server)
            assert server.sent < PARTS
            server.stop()
            await asyncio.sleep(END_S_MAX * 1.5)
            received = await asyncio.to_thread(read_all, line)
            assert received.count(PART) == PARTS
            assert received.endswith(b"\r\n0\r\n\r\n")

    async def run() -> None:
        await Stopping().run(work)

    asyncio.run(run())


def read_all(line: socket.socket) -> bytes:
    line.settimeout(LIMIT_S)
    received = bytearray()
    while chunk := line.recv(1024 * 1024):
        received += chunk
    return bytes(received)
