"""A line to one region's database for asynchronous work: one connection, mended when it breaks."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import TupleRow, tuple_row

from ledger.store.roles import acting_as

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT = "10s"
ATTEMPTS_MAX = 2
"""A broken connection is found out by using it: the second attempt is on a fresh one."""

Given = Mapping[str, Any] | Sequence[Any]


class DatabaseUnavailable(Exception):
    """The region's database does not answer; nothing is known to have been done."""


class Line:
    """One connection that acts as one group role, opened when first used; one statement at a time.

    Every statement is a transaction, and may be run twice when the connection breaks: give it only
    what may be done twice.
    """

    def __init__(self, service_url: str, role: str) -> None:
        self._conninfo = acting_as(service_url, role, statement_timeout=STATEMENT_TIMEOUT)
        self._connection: psycopg.AsyncConnection[TupleRow] | None = None
        self._turn = asyncio.Lock()

    async def rows(self, statement: bytes, given: Given) -> list[TupleRow]:
        """What the statement answers; raises DatabaseUnavailable."""
        async with self._turn:
            for attempt in range(1, ATTEMPTS_MAX + 1):
                try:
                    connection = await self._opened()
                    async with connection.cursor(binary=True) as cursor:
                        await cursor.execute(statement, given, prepare=True)
                        return await cursor.fetchall()
                except (psycopg.OperationalError, psycopg.InterfaceError) as fault:
                    await self._drop()
                    if attempt == ATTEMPTS_MAX:
                        raise DatabaseUnavailable from fault
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """The connection is gone, once the statement under way is done."""
        async with self._turn:
            await self._drop()

    async def _opened(self) -> psycopg.AsyncConnection[TupleRow]:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._conninfo,
                autocommit=True,
                connect_timeout=CONNECT_TIMEOUT_S,
                row_factory=tuple_row,
            )
        return self._connection

    async def _drop(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
