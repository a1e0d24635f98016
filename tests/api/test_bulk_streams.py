"""Streams of bulk commands from inside: what becomes of a sender who falls silent."""

import asyncio
import json
from typing import Any

import pytest

from api.app import create_app
from api.routes import bulk
from api.wiring import Database, Doors
from tests.api.books import TOKENS
from tests.api.in_process import in_process

LIMIT_S = 30.0
LINE = b'{"key": "k"}\n'
SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/v1/commands",
    "raw_path": b"/v1/commands",
    "query_string": b"",
    "http_version": "1.1",
    "headers": [
        (b"host", b"x"),
        (b"authorization", f"Bearer {TOKENS['us']}".encode()),
        (b"content-type", b"application/x-ndjson"),
    ],
}


class Sender:
    """Sends a line when told to, and takes every answer."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()
        self.answered: list[dict[str, Any]] = []
        self.is_complete = False

    async def receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": await self.lines.get(), "more_body": True}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            self.answered += [json.loads(line) for line in message["body"].splitlines()]
            self.is_complete = not message["more_body"]


async def cut_off(app: Any, sender: Sender) -> str:
    """The code of the problem that an answer was broken off for, as it is logged."""
    scope = dict(SCOPE)
    with pytest.raises(RuntimeError):  # the server cuts the connection then
        await asyncio.wait_for(app(scope, sender.receive, sender.send), LIMIT_S)
    code: str = scope["problem"]
    return code


def test_a_silent_sender_gives_up_the_place(
    us: Database, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One that went away without a word holds a stream no longer than a while after its last line;
    what came whole is answered, the answer has no end that could pass for one, and it is told in
    the log as what it is, not as a fault of the service."""
    monkeypatch.setattr(bulk, "IDLE_S", 0.5)
    monkeypatch.setattr(bulk, "STREAMS_MAX", 1)

    async def work() -> None:
        app = create_app(Doors((us,)))
        async with in_process(app):
            for _ in range(2):  # the place is free again
                sender = Sender()
                sender.lines.put_nowait(LINE)
                sender.lines.put_nowait(b'{"key": ')
                assert "request_timeout" == await cut_off(app, sender)
                assert [1] == [answer["line"] for answer in sender.answered]
                assert not sender.is_complete

    asyncio.run(work())
    assert "internal_error" not in capfd.readouterr().err


def test_a_slow_sender_keeps_it(us: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the silence that counts, not how long the stream takes."""
    monkeypatch.setattr(bulk, "IDLE_S", 1.0)

    async def work() -> None:
        app, sender = create_app(Doors((us,))), Sender()

        async def trickle() -> None:
            for _ in range(5):
                sender.lines.put_nowait(LINE)
                await asyncio.sleep(0.4)

        async with in_process(app):
            sending = asyncio.ensure_future(trickle())
            assert "request_timeout" == await cut_off(app, sender)
            assert sending.done()
        assert [1, 2, 3, 4, 5] == [answer["line"] for answer in sender.answered]

    asyncio.run(work())
