"""Streams of bulk commands from inside: senders who fall silent, and batches on their way."""

import asyncio
import json
import threading
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest
from eventsourcing.persistence import OperationalError

from api.app import create_app
from api.doors import RegionDoor
from api.routes import bulk
from api.wiring import Database, Doors
from ledger.commands import Request
from ledger.store import writer
from ledger.store.flush import flush
from ledger.store.lanes import account_id
from ledger.store.waiting import Order, Waiting
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


class Held:
    """Holds every flush of the ledger until it is let go; then the first fails if it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        self.fails = False
        monkeypatch.setattr(writer, "flush", self._flush)

    def _flush(self, taken: Sequence[Waiting], *given: Any) -> list[Waiting]:
        assert self.go.wait(LIMIT_S)
        if self.fails:
            self.fails = False
            raise OperationalError("planted")
        return flush(taken, *given)


def sent_on(door: RegionDoor, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that streams send to the ledger, as they do."""
    sent: list[int] = []
    enqueue = door.enqueue

    async def noted(requests: Sequence[Request], order: Order) -> Any:
        sent.append(len(requests))
        return await enqueue(requests, order)

    monkeypatch.setattr(door, "enqueue", noted)
    return sent


async def until(sent: list[int], batches: int) -> None:
    """Returns once so many batches were sent on."""
    async with asyncio.timeout(LIMIT_S):
        while len(sent) < batches:
            await asyncio.sleep(0.01)


def lines_of(account: str, *commands: tuple[str, dict[str, object]]) -> list[bytes]:
    """A line for each command, with keys of their own."""
    return [
        json.dumps({"key": f"k-{n}", "account": account, "type": type, "data": data}).encode()
        + b"\n"
        for n, (type, data) in enumerate(commands)
    ]


OPENING = {"company": "Dinar Ltd.", "country": "KWT", "terms": {"kind": "net", "days": 30}}
CHARGE = {"amount": "1.005", "description": "Calls", "category": "voice"}


@pytest.mark.parametrize("currency", ["USD", "KWD"])
def test_batches_are_sent_on_while_earlier_ones_are_decided(
    us: Database, monkeypatch: pytest.MonkeyPatch, currency: str
) -> None:
    """As many as may be and no more, answered in order; but one that names an account which an
    earlier one opens in another currency is read when that is known, so that it is read rightly."""
    held = Held(monkeypatch)
    charge = {**CHARGE, "amount": "1.005" if currency == "KWD" else "1.05"}
    lines = lines_of(
        f"IN-FLIGHT-{currency}",
        ("open_account", {**OPENING, "currency": currency}),
        *(("post_charge", {**charge, "charge_id": f"c-{n}"}) for n in range(5)),
    )
    most = 1 if currency == "KWD" else bulk.BATCHES_MAX

    async def work() -> None:
        doors, sender = Doors((us,)), Sender()
        app, sent = create_app(doors), sent_on(doors.regions["us"], monkeypatch)
        monkeypatch.setattr(bulk, "IDLE_S", 1.0)
        async with in_process(app):
            for one in lines:  # each is a batch
                sender.lines.put_nowait(one)
            asking = asyncio.ensure_future(cut_off(app, sender))
            await until(sent, most)
            await asyncio.sleep(0.1)  # no more come
            assert most == len(sent)
            assert [] == sender.answered
            held.go.set()
            assert "request_timeout" == await asking
        assert list(range(1, 7)) == [answer["line"] for answer in sender.answered]
        assert {"ok"} == {answer["status"] for answer in sender.answered}, sender.answered

    asyncio.run(work())


def test_nothing_follows_what_is_not_known(us: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the database fails once too often, every line on its way is answered so, in order, none of
    those behind is done, nothing more is taken, and the answer has no end that could pass for one."""
    held = Held(monkeypatch)
    held.fails = True
    monkeypatch.setattr(writer, "FAILURES_MAX", 0)
    charges = (("post_charge", {**CHARGE, "amount": "1", "charge_id": f"c-{n}"}) for n in range(9))
    lines = lines_of("NEVER", ("open_account", OPENING), *charges)

    async def work() -> None:
        doors, sender = Doors((us,)), Sender()
        app, sent = create_app(doors), sent_on(doors.regions["us"], monkeypatch)
        async with in_process(app):
            for one in lines:
                sender.lines.put_nowait(one)
            asking = asyncio.ensure_future(cut_off(app, sender))
            await until(sent, bulk.BATCHES_MAX)
            held.go.set()
            assert "database_unavailable" == await asking
        assert not sender.is_complete
        answered = [answer["line"] for answer in sender.answered]
        assert list(range(1, len(answered) + 1)) == answered
        assert {"database_unavailable"} == {a["problem"]["code"] for a in sender.answered}

    asyncio.run(work())
    with closing(us.log()) as log:
        assert [] == list(log.account(account_id("us", "NEVER")))
