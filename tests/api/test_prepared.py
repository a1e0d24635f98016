"""Statements asked past psycopg's cursors: the same answers, and the same faults."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

import psycopg
import pytest
import uvloop

from api.database import DatabaseUnavailable, Line, TooSlow
from api.prepared import _Exchange
from api.wiring import Database
from ledger.store.roles import READER
from tests.api.serving import eventually
from tests.faults.proxying import AilingProxy

ECHO = b"SELECT $1::text, length($1::text), NULL::int"
BIG = 8 * 1024 * 1024
"""More than sockets hold, so that it is sent and read in pieces."""
SLEEP = b"SELECT pg_sleep($1::float8)"
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


def on_a_line(
    us: Database, work: Callable[[Line], Coroutine[Any, Any, Any]], loop: Callable[[], Any]
) -> Any:
    async def run() -> Any:
        line = Line(us.service_url, READER)
        try:
            return await work(line)
        finally:
            await line.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(run())


@pytest.mark.parametrize("loop", LOOPS)
def test_the_same_statement_answers_again_and_again(us: Database, loop: Callable[[], Any]) -> None:
    """Also beside another one, and where question and answer are larger than a socket takes."""

    async def ask(line: Line) -> list[object]:
        small = await line.quickly(ECHO, [b"a"])
        [(big, length, _)] = await line.quickly(ECHO, [b"b" * BIG])
        other = await line.quickly(SLEEP, [struct.pack(">d", 0.0)])
        return [small, (len(big), length), len(other), await line.quickly(ECHO, ["é".encode()])]

    expected = [[("a", 1, None)], (BIG, BIG), 1, [("é", 1, None)]]
    assert expected == on_a_line(us, ask, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_lost_connection_is_mended_once(us: Database, loop: Callable[[], Any]) -> None:
    """The server ends it while it rests and while it is asked: the question is put once more."""
    beside = psycopg.connect(us.service_url, autocommit=True)  # a login may end its own

    def end_all(state: bytes) -> int:
        found = beside.execute(
            b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            b" WHERE datname = current_database() AND pid <> pg_backend_pid()"
            b" AND query LIKE 'SELECT pg_sleep(%%' AND state = %b",
            (state.decode(),),
        )
        return len(found.fetchall())

    async def ask(line: Line) -> int:
        short, long = struct.pack(">d", 0.0), struct.pack(">d", 1.0)
        await line.quickly(SLEEP, [short])
        eventually(lambda: end_all(b"idle") == 1)
        await line.quickly(SLEEP, [short])
        asking = asyncio.ensure_future(line.quickly(SLEEP, [long]))
        await asyncio.to_thread(eventually, lambda: end_all(b"active") == 1)
        return len(await asking)

    with beside:
        assert 1 == on_a_line(us, ask, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_that_is_reset_is_mended_once(us: Database, loop: Callable[[], Any]) -> None:
    """Its end is a fault of the socket, before a byte of the answer: the question is put once more."""
    port = int(psycopg.conninfo.conninfo_to_dict(us.service_url)["port"] or 0)
    beside = psycopg.connect(us.service_url, autocommit=True)

    def is_asked() -> bool:
        asleep = b"SELECT FROM pg_stat_activity WHERE datname = current_database()"
        found = beside.execute(asleep + b" AND query LIKE 'SELECT pg_sleep(%' AND state = 'active'")
        return found.rowcount == 1

    with beside, closing(AilingProxy(us.service_url, lambda: port, 0)) as proxy:

        async def ask(line: Line) -> int:
            asking = asyncio.ensure_future(line.quickly(SLEEP, [struct.pack(">d", 0.5)]))
            await asyncio.to_thread(eventually, is_asked)
            for writer in proxy._writers:
                at_once = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, at_once
                )
            proxy.reset()
            return len(await asyncio.wait_for(asking, 5.0))

        assert 1 == on_a_line(replace(us, service_url=proxy.url), ask, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_who_gets_the_number_of_a_lost_connection_is_heard(loop: Callable[[], Any]) -> None:
    """libpq closes the socket of a connection that it finds lost, and the next one opened in the
    process, perhaps a caller's, has its number the moment after."""

    async def ask() -> None:
        lost, server = socket.socketpair()
        next, caller = socket.socketpair()
        heard = asyncio.Event()

        class Lost:
            socket = lost.detach()

            def flush(self) -> int:
                return 0

            def consume_input(self) -> None:
                os.dup2(next.fileno(), self.socket)
                asyncio.get_running_loop().add_reader(self.socket, heard.set)
                raise psycopg.OperationalError("gone")

            def finish(self) -> None: ...

        with next, caller:
            server.close()
            with pytest.raises(psycopg.OperationalError):
                await _Exchange(cast(Any, Lost())).end()
            caller.send(b"x")
            await asyncio.wait_for(heard.wait(), 5.0)
            asyncio.get_running_loop().remove_reader(Lost.socket)
            os.close(Lost.socket)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(ask())


def test_a_session_that_has_forgotten_is_left(us: Database) -> None:
    """As behind a pooler, what was prepared is there no more: it is asked on a fresh connection."""

    async def ask(line: Line) -> object:
        await line.quickly(ECHO, [b"a"])
        assert line._connection is not None
        await line._connection.execute(b"DISCARD ALL")
        return await line.quickly(ECHO, [b"b"])

    assert [("b", 1, None)] == on_a_line(us, ask, uvloop.new_event_loop)


def test_faults_are_told_as_of_any_statement(us: Database) -> None:
    """A statement that takes too long is broken off, one that is wrong is wrong, and then all is well."""

    async def ask(line: Line) -> object:
        await line.quickly(b"SELECT set_config('statement_timeout', $1::text, false)", [b"50"])
        with pytest.raises(TooSlow):
            await line.quickly(SLEEP, [struct.pack(">d", 5.0)])
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            await line.quickly(b"SELECT $1::text::int", [b"x"])
        with pytest.raises(psycopg.errors.UndefinedTable):
            await line.quickly(b"SELECT FROM no_such_table", [])
        return await line.quickly(ECHO, [b"a"])

    assert [("a", 1, None)] == on_a_line(us, ask, uvloop.new_event_loop)


def test_who_leaves_in_the_middle_leaves_no_answer_to_the_next(us: Database) -> None:
    """A question is given up while the database works at it: the next one has its own answer."""

    async def ask(line: Line) -> object:
        asking = asyncio.ensure_future(line.quickly(ECHO, [b"first"]))
        await asyncio.sleep(0)
        while line._prepared == {} and not asking.done():
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return await line.quickly(ECHO, [b"next"])

    assert [("next", 4, None)] == on_a_line(us, ask, uvloop.new_event_loop)


def test_no_database_is_told(us: Database) -> None:
    """Where there is nothing to connect to, that is what is raised."""

    async def ask(_: Line) -> None:
        await Line("postgresql://x:x@127.0.0.1:1/x", READER).quickly(ECHO, [b"a"])

    with pytest.raises(DatabaseUnavailable):
        on_a_line(us, ask, uvloop.new_event_loop)
