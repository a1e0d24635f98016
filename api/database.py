"""Lines to one region's database for asynchronous work: connections mended when they break."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow, dict_row, tuple_row

from api.prepared import Prepared
from ledger.store.roles import acting_as

STATEMENT_TIMEOUT = "10s"
ATTEMPTS_MAX = 2
"""A broken connection is found out by using it: the second attempt is on a fresh one."""
WAITING_MAX = 1_024
"""Requests that may wait for a line of a pool; more are better told to come back."""
WAIT_S = 5.0
"""For a line of a pool: past that whoever asked would rather know."""

_BROKEN = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.InvalidSqlStatementName,  # its session forgot what was prepared, or is another one
)
"""What a connection is not to be used after."""

Given = Mapping[str, Any] | Sequence[Any]
Connection = psycopg.AsyncConnection[TupleRow]
T = TypeVar("T")


class DatabaseUnavailable(Exception):
    """The region's database does not answer; nothing is known to have been done."""


class TooSlow(Exception):
    """A statement took longer than it may; it was broken off."""


class PoolBusy(Exception):
    """Too many wait for a line of the pool, or one has waited too long."""


class Asks(Protocol):
    """A transaction, or what runs a statement as one of its own."""

    async def rows(self, statement: bytes, given: Given) -> list[TupleRow]:
        """What the statement answers."""


class Transaction:
    """An open transaction of a line."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def rows(self, statement: bytes, given: Given) -> list[TupleRow]:
        """What the statement answers."""
        async with self._connection.cursor(binary=True) as cursor:
            await cursor.execute(statement, given, prepare=True)
            return await cursor.fetchall()

    async def named(self, statement: bytes, given: Given) -> list[dict[str, Any]]:
        """What the statement answers, by name of column."""
        async with self._connection.cursor(binary=True, row_factory=dict_row) as cursor:
            await cursor.execute(statement, given, prepare=True)
            return await cursor.fetchall()


Work = Callable[[Transaction], Awaitable[T]]


class Line:
    """One connection that acts as one group role, opened when first used; one user at a time.

    What is run may be run twice when the connection breaks: give it only what may be done twice.
    """

    def __init__(self, service_url: str, role: str, **settings: str) -> None:
        """`settings` are those of its session."""
        settings = {"statement_timeout": STATEMENT_TIMEOUT} | settings
        self._conninfo = acting_as(service_url, role, **settings)
        self._connection: Connection | None = None
        self._prepared: dict[bytes, Prepared] = {}
        self._turn = asyncio.Lock()

    async def rows(self, statement: bytes, given: Given) -> list[TupleRow]:
        """What one statement answers, a transaction of its own; raises as `_attempt` does."""

        async def run(connection: Connection) -> list[TupleRow]:
            return await Transaction(connection).rows(statement, given)

        return await self._attempt(run)

    async def quickly(self, statement: bytes, packed: Sequence[bytes]) -> list[TupleRow]:
        """As `rows`, for a statement with places `$1`, ... and parameters in binary form."""

        async def run(connection: Connection) -> list[TupleRow]:
            prepared = self._prepared.get(statement)
            if prepared is None:
                prepared = Prepared(connection, b"quickly_%d" % len(self._prepared))
                await prepared.prepare(statement)
                self._prepared[statement] = prepared
            return await prepared.rows(packed)

        return await self._attempt(run)

    async def transact(self, work: Work[T], *, frozen: bool = False) -> T:
        """What the work gives, done in one transaction; `frozen`: all of it sees one moment.

        Raises as `_attempt` does, and whatever the work raises, with nothing done.
        """

        async def run(connection: Connection) -> T:
            level = psycopg.IsolationLevel.REPEATABLE_READ if frozen else None
            if connection.isolation_level is not level:
                await connection.set_isolation_level(level)
            async with connection.transaction():
                return await work(Transaction(connection))

        return await self._attempt(run)

    async def close(self) -> None:
        """The connection is gone, once what is under way is done."""
        async with self._turn:
            await self._drop()

    async def _attempt(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        """Raises DatabaseUnavailable, and TooSlow when a statement reached its timeout."""
        async with self._turn:
            for attempt in range(1, ATTEMPTS_MAX + 1):
                try:
                    return await run(await self._opened())
                except errors.QueryCanceled as fault:
                    raise TooSlow from fault
                except _BROKEN as fault:
                    await self._drop()
                    if attempt == ATTEMPTS_MAX:
                        raise DatabaseUnavailable from fault
        raise AssertionError("unreachable")

    async def _opened(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._conninfo,
                autocommit=True,
                row_factory=tuple_row,
            )
            self._prepared = {}
        return self._connection

    async def _drop(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


class LinePool:
    """A few lines that act as one role; whoever asks gets the next one that is idle."""

    def __init__(self, service_url: str, role: str, size: int, **settings: str) -> None:
        self._lines = [Line(service_url, role, **settings) for _ in range(size)]
        self._idle: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
        for line in self._lines:
            self._idle.put_nowait(line)
        self._waiting = 0

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """A line that nobody else uses meanwhile; raises PoolBusy."""
        line = await self._next()
        try:
            yield line
        finally:
            self._idle.put_nowait(line)

    async def _next(self) -> Line:
        if not self._idle.empty():
            return self._idle.get_nowait()
        if self._waiting >= WAITING_MAX:
            raise PoolBusy
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                return await self._idle.get()
        except TimeoutError:
            raise PoolBusy from None
        finally:
            self._waiting -= 1

    async def rows(self, statement: bytes, given: Given) -> list[TupleRow]:
        """As Line.rows, on an idle line; raises PoolBusy."""
        async with self.line() as line:
            return await line.rows(statement, given)

    async def transact(self, work: Work[T], *, frozen: bool = False) -> T:
        """As Line.transact, on an idle line; raises PoolBusy."""
        async with self.line() as line:
            return await line.transact(work, frozen=frozen)

    async def close(self) -> None:
        """No connection is left."""
        for line in self._lines:
            await line.close()
