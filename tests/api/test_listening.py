"""One stream from inside: what it holds for a slow listener, its heartbeats, and who asks for news."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

import pytest

from api import event_stream
from api.database import DatabaseUnavailable, LinePool
from api.embedded import EmbeddedServer
from api.event_stream import EventStream
from api.feed import Feed, Page, Wanted
from api.heads import POLL_S, HeadWatch
from api.security.logins import Registrar
from api.security.scope import SCOPES
from api.security.tokens import digest
from api.vectors import Vector
from api.wiring import Database
from ledger.store.roles import READER
from tests.api.books import TOKENS
from tests.api.conftest import REGIONS, fresh_database
from tests.faults.load import opening, requests

LIMIT_S = 30.0
TOKEN = digest(TOKENS["us"])


class Counting(Feed):
    """A feed that counts how often it is asked."""

    pages = 0
    polls = 0
    is_down = False

    async def page(self, token: bytes, wanted: Callable[[], Wanted]) -> Page:
        self.pages += 1
        return await super().page(token, wanted)

    async def heads(self) -> list[int]:
        self.polls += 1
        if self.is_down:
            raise DatabaseUnavailable
        return await super().heads()


class Listener:
    """The other side of a stream: takes what is sent when it may, and can hang up."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_complete = False
        self.reads = asyncio.Event()
        self.reads.set()
        self._hangs_up = asyncio.Event()

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = b"".join(self.sent).split(b"\n")
        return [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]

    def hang_up(self) -> None:
        self._hangs_up.set()

    async def receive(self) -> dict[str, Any]:
        await self._hangs_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.body":
            self.sent.append(message["body"])
            self.is_complete = not message["more_body"]


class Region:
    """A feed with its watch, and listeners to it."""

    def __init__(self, feed: Counting) -> None:
        self.feed = feed
        self.closing = asyncio.Event()
        self.watch = HeadWatch(feed, self.closing)

    async def listen(self, listener: Listener, after: Vector | None = None) -> "asyncio.Task[None]":
        """A stream to a listener, from the beginning or a place."""
        place = after or Vector("us")
        first = await self.feed.page(TOKEN, lambda: Wanted(place, event_stream.BATCH_MAX))
        stream = EventStream(self.feed, self.watch, TOKEN, first)
        scope = {"type": "http", "method": "GET", "headers": []}
        return asyncio.ensure_future(stream(scope, listener.receive, listener.send))

    async def end(self) -> Vector:
        """The place after everything."""
        return Vector("us", await Feed.heads(self.feed))


@asynccontextmanager
async def region(database: Database) -> AsyncIterator[Region]:
    feed = Counting("us", LinePool(database.service_url, READER, 2))
    found = Region(feed)
    try:
        yield found
    finally:
        found.closing.set()
        await found.watch.close()
        await feed.close()


async def until(claim: Callable[[], bool]) -> None:
    """Returns once the claim holds; fails when it does not within the limit."""
    async with asyncio.timeout(LIMIT_S):
        while not claim():
            await asyncio.sleep(0.01)


def run(database: Database, work: Callable[[Region], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with region(database) as found:
            await work(found)

    asyncio.run(inside())


@pytest.fixture(scope="module")
def filled(server: EmbeddedServer) -> Database:
    """A region of more events than a listener holds at once."""
    database = fresh_database(server, REGIONS[0])
    database.migrate()
    with Registrar("us", database.service_url) as registrar:
        registrar.issue_token(TOKENS["us"], "all", SCOPES)
    write(database, 1, 1_000)
    return database


def write(database: Database, seed: int, count: int) -> None:
    ledger = database.ledger()
    try:
        ledger.handle_now([*opening(), *islice(requests(seed), count)])
    finally:
        ledger.close()


def test_a_slow_listener_makes_its_own_reading_wait(filled: Database) -> None:
    """While it takes nothing, no more than one batch is read for it; then it gets all, in order."""

    async def work(us: Region) -> None:
        slow, quick = Listener(), Listener()
        streams = [await us.listen(slow), await us.listen(quick)]
        total = sum((await us.end()).positions)
        assert total > 8 * event_stream.BATCH_MAX
        slow.reads.clear()
        await until(lambda: len(quick.events) == total)
        held = len(slow.events)
        quick.hang_up()
        await streams[1]
        before = us.feed.pages
        for _ in range(5):
            await asyncio.sleep(POLL_S)
        assert held == len(slow.events) < total
        assert before == us.feed.pages
        slow.reads.set()
        await until(lambda: len(slow.events) == total)
        slow.hang_up()
        await streams[0]
        assert slow.events == quick.events
        assert len({event["position"] for event in slow.events}) == total

    run(filled, work)


def test_a_listener_that_takes_nothing_gives_up_its_place(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for for ever, and its answer has no end that could pass for one."""
    monkeypatch.setattr(event_stream, "STALLED_S_MAX", 0.2)

    async def work(us: Region) -> None:
        stuck = Listener()
        stream = await us.listen(stuck)
        await until(lambda: bool(stuck.events))
        stuck.reads.clear()
        await asyncio.wait_for(stream, LIMIT_S)
        assert not stuck.is_complete
        assert us.watch.listeners == 0

    run(filled, work)


def test_news_comes_without_looking_for_it(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle listener gets an event soon after it is recorded, woken by the watch."""
    monkeypatch.setattr(event_stream, "LOOK_S", LIMIT_S * 2)

    async def work(us: Region) -> None:
        listener = Listener()
        stream = await us.listen(listener, await us.end())
        for seed in (2, 3, 4):
            seen = len(listener.events)
            await asyncio.to_thread(write, filled, seed, 5)
            await until(lambda: len(listener.events) > seen)  # noqa: B023 # used at once
        listener.hang_up()
        await asyncio.wait_for(stream, LIMIT_S)
        assert listener.is_complete

    run(filled, work)


def test_one_poll_serves_all_listeners(filled: Database) -> None:
    """Ten listeners cause no more polls than one, none when nobody listens, and a database that is
    away for a while ends neither them nor the watch."""

    async def work(us: Region) -> None:
        end = await us.end()
        listeners = [Listener() for _ in range(10)]
        streams = [await us.listen(one, end) for one in listeners]
        await until(lambda: us.feed.polls > 2)
        loop, polled = asyncio.get_running_loop(), us.feed.polls
        started = loop.time()
        await until(lambda: us.feed.polls > polled + 10)
        assert us.feed.polls - polled <= (loop.time() - started) / POLL_S + 2
        us.feed.is_down = True
        await until(lambda: us.feed.polls > polled + 15)
        us.feed.is_down = False
        await asyncio.to_thread(write, filled, 5, 5)
        await until(lambda: all(one.events for one in listeners))
        assert len({json.dumps(one.events) for one in listeners}) == 1
        for one in listeners:
            one.hang_up()
        await asyncio.wait_for(asyncio.gather(*streams), LIMIT_S)
        await us.watch.close()
        quiet = us.feed.polls
        await asyncio.sleep(POLL_S * 4)
        assert us.feed.polls == quiet

    run(filled, work)


def test_silence_is_broken_by_heartbeats(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing happens a comment is sent, so that neither side takes the other for gone."""
    assert event_stream.HEARTBEAT_S == 15
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(event_stream, "LOOK_S", 0.05)

    async def work(us: Region) -> None:
        listener = Listener()
        stream = await us.listen(listener, await us.end())
        await until(lambda: listener.sent.count(b":\n\n") >= 3)
        assert listener.sent[0] == b"retry: 1000\n\n"
        assert {b":\n\n"} == set(listener.sent[1:])
        us.closing.set()
        await asyncio.wait_for(stream, LIMIT_S)
        assert listener.is_complete

    run(filled, work)


def test_a_token_is_looked_at_while_nothing_happens() -> None:
    """At least every five seconds."""
    assert event_stream.LOOK_S < 5
