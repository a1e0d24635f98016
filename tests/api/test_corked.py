"""What is kept to be sent in one go: it is sent, or the connection is gone."""

import asyncio

import uvicorn
from uvicorn.server import ServerState

from api.serving.corked import KEPT_BYTES_MAX, Corked
from api.serving.protocol import BoundedProtocol


class Line(asyncio.Transport):
    """A transport that remembers what was written, and is as strict as uvloop's."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_gone = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_gone, "the handler is closed"
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.is_gone = True

    def is_closing(self) -> bool:
        return self.is_gone


def made(line: Line) -> BoundedProtocol:
    """The service's protocol on that connection."""
    config = uvicorn.Config(lambda: None, log_config=None)
    found = BoundedProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    found.connection_made(line)
    return found


def test_what_is_written_in_a_turn_goes_at_once() -> None:
    """Head and body of a turn are one write; what is too much to keep is sent before, in order."""

    async def written() -> list[bytes]:
        line = Line()
        cork = Corked(line, asyncio.get_running_loop())
        cork.write(b"head")
        cork.write(b"body")
        await asyncio.sleep(0)
        cork.write(b"x" * KEPT_BYTES_MAX)
        cork.write(b"y")
        cork.write(b"z")
        cork.close()
        return line.writes

    assert [b"headbody", b"x" * KEPT_BYTES_MAX + b"y", b"z"] == asyncio.run(written())


def test_an_answer_is_sent_to_who_has_nothing_more_to_say() -> None:
    """A caller ends its half of the connection in the turn in which it is answered: the event loop
    then ends the other half, and the answer has been sent before."""

    async def written() -> list[bytes]:
        line = Line()
        protocol = made(line)
        protocol.transport.write(b"answer")
        if not protocol.eof_received():
            line.close()  # as event loops do
        await asyncio.sleep(0)
        protocol.connection_lost(None)
        return line.writes

    assert [b"answer"] == asyncio.run(written())


def test_nothing_is_sent_once_the_connection_is_gone() -> None:
    """A caller resets the connection in the turn in which it is answered: that is no fault of ours."""
    faults: list[object] = []

    async def lose() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context))
        line = Line()
        protocol = made(line)
        protocol.transport.write(b"answer")
        line.close()
        protocol.connection_lost(ConnectionResetError())
        protocol.transport.write(b"answer to what was asked before it")
        await asyncio.sleep(0)
        assert [] == line.writes

    asyncio.run(lose())
    assert [] == faults
