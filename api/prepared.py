"""One prepared statement on a connection, asked past psycopg's cursors: they cost more than it does.

Of a statement that many wait for, psycopg's own Python took a third as long as the database. What is
left out is what is not needed here: parameters come packed, and nobody else uses the connection.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import errors
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult
from psycopg.rows import TupleRow


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
    """What was sent on a connection, until the last of the answer is there.

    libpq closes the socket of a lost connection at once, and the next one opened may have its
    number: so nobody listens to it while libpq is at work. Listening anew each time hears what
    uvloop (0.23) says but once to who listens on: that the other end is gone.
    """

    def __init__(self, pgconn: PGconn) -> None:
        self._pgconn = pgconn
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[PGresult | None] = self._loop.create_future()
        self._first: PGresult | None = None
        self._is_sent = False
        self._listening_at: int | None = None

    async def end(self) -> PGresult:
        """The first result, the only one of a statement; raises psycopg.Error."""
        try:
            self._go_on(self._send)
            found = await self._answer
            assert found is not None
            return found
        except BaseException:
            self._rest()
            self._pgconn.finish()  # nothing else can be asked before this is read
            raise

    def _go_on(self, step: Callable[[], None]) -> None:
        """Does something, and then listens for what is to be done next."""
        self._rest()
        if self._answer.done():
            return
        try:
            step()
            if not self._answer.done():
                self._listen()
        except psycopg.Error as fault:
            self._answer.set_exception(fault)

    def _send(self) -> None:
        """Sends what fits the socket."""
        self._is_sent = not self._pgconn.flush()

    def _take(self) -> None:
        """Takes what has come."""
        self._pgconn.consume_input()
        while not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is None:
                self._answer.set_result(self._first)
                return
            self._first = self._first or result

    def _listen(self) -> None:
        self._listening_at = socket = self._pgconn.socket
        self._loop.add_reader(socket, self._go_on, self._take)
        if not self._is_sent:
            self._loop.add_writer(socket, self._go_on, self._send)

    def _rest(self) -> None:
        """Nobody listens."""
        if self._listening_at is not None:
            self._loop.remove_reader(self._listening_at)
            if not self._is_sent:
                self._loop.remove_writer(self._listening_at)
            self._listening_at = None
