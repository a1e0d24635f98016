"""One prepared statement on a connection, asked past psycopg's cursors: they cost more than it does.

Of a statement that many wait for, psycopg's own Python took a third as long as the database. What is
left out is what is not needed here: parameters come packed, and nobody else uses the connection.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import errors
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult
from psycopg.rows import TupleRow

LOOK_AGAIN_S = 0.1


class Prepared:
    """A statement with places `$1`, `$2`, ... of one connection; made inside an event loop."""

    def __init__(self, connection: psycopg.AsyncConnection[TupleRow], name: bytes) -> None:
        self._connection = connection
        self._name = name
        self._rows = Transformer(connection)

    async def prepare(self, statement: bytes) -> None:
        """The server knows the statement; raises psycopg.Error."""
        self._connection.pgconn.send_prepare(self._name, statement)
        await self._result()

    async def rows(self, packed: Sequence[bytes]) -> list[tuple[Any, ...]]:
        """What the statement answers to parameters in binary form; raises psycopg.Error."""
        formats = [Format.BINARY] * len(packed)
        self._connection.pgconn.send_query_prepared(self._name, packed, formats, Format.BINARY)
        result = await self._result()
        self._rows.set_pgresult(result)
        return self._rows.load_rows(0, result.ntuples, tuple)

    async def _result(self) -> PGresult:
        """The result of what was sent; whoever leaves meanwhile leaves a connection that is gone."""
        found = await _Exchange(self._connection.pgconn).end()
        if found.status == ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(found)
        return found


class _Exchange:
    """What was sent on a connection, until the last of the answer is there."""

    def __init__(self, pgconn: PGconn) -> None:
        self._pgconn = pgconn
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[PGresult] = self._loop.create_future()
        self._first: PGresult | None = None
        self._looks_again = False

    async def end(self) -> PGresult:
        """The first result, the only one of a statement; raises psycopg.Error."""
        try:
            return await self._sent()
        except BaseException:
            self._pgconn.finish()  # nothing else can be asked before this is read
            raise

    async def _sent(self) -> PGresult:
        socket = self._pgconn.socket
        self._loop.add_reader(socket, self._look)
        try:
            if self._pgconn.flush():
                self._loop.add_writer(socket, self._send_on)
            return await self._answer
        finally:
            self._loop.remove_reader(socket)
            self._loop.remove_writer(socket)

    def _look(self) -> None:
        """Takes what has come."""
        if self._answer.done():
            return
        try:
            self._pgconn.consume_input()
            while not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if result is None:
                    assert self._first is not None
                    self._answer.set_result(self._first)
                    return
                self._first = self._first or result
        except psycopg.Error as fault:
            self._answer.set_exception(fault)
        else:
            # uvloop (0.23) says nothing more of a socket whose other end is gone, not even that.
            if not self._looks_again:
                self._looks_again = True
                self._loop.call_later(LOOK_AGAIN_S, self._look_again)

    def _look_again(self) -> None:
        self._looks_again = False
        self._look()

    def _send_on(self) -> None:
        """Sends more of what did not fit the socket at once."""
        try:
            if not self._pgconn.flush():
                self._loop.remove_writer(self._pgconn.socket)
        except psycopg.Error as fault:
            if not self._answer.done():
                self._answer.set_exception(fault)
