"""Failpoints that tests make from outside: in each statement of a function, at each message of a connection."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Literal

from tests.faults.proxying import Proxy, Reader, Writer
from tests.store.databases import Database

Side = Literal["asked", "answered"]
"""Cut before the server hears of a statement; after it has done it, with the answer unheard."""

_SET_UP = """
CREATE SCHEMA faults;
CREATE SEQUENCE faults.times;
CREATE TABLE faults.armed (step int NOT NULL, code text NOT NULL);
CREATE FUNCTION faults.pass(the_step int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    the_code text := (SELECT a.code FROM faults.armed AS a WHERE a.step = the_step);
BEGIN
    -- A sequence goes on when a transaction is rolled back: it fails once.
    IF the_code IS NOT NULL AND nextval('faults.times') = 1 THEN
        RAISE EXCEPTION 'planted' USING ERRCODE = the_code;
    END IF;
END
$$;
GRANT USAGE ON SCHEMA faults TO PUBLIC;
"""
_OPENS = re.compile(r"(LOOP|THEN)$")
_CLOSES = re.compile(r"END (LOOP|IF);$")


def plant_failpoints(database: Database, function: str) -> int:
    """After each of its statements a function of the ledger may fail; how many there are."""
    (source,) = database.rows(
        "SELECT pg_get_functiondef(oid) FROM pg_proc"
        " WHERE proname = %s AND pronamespace = 'ledger'::regnamespace",
        function,
    )
    planted, steps, depth, in_body = [], 0, 0, False
    for line in source.splitlines():
        planted.append(line)
        text = line.partition("--")[0].strip()
        depth += bool(_OPENS.search(text)) - bool(_CLOSES.search(text))
        if in_body and depth == 0 and text.endswith(";"):
            steps += 1
            planted.append(f"PERFORM faults.pass({steps});")
        in_body |= text == "BEGIN"
    database.run(_SET_UP)
    database.run("\n".join(planted))
    return steps


def arm(database: Database, step: int, code: str) -> None:
    """The next one who passes a step fails there, with an SQLSTATE."""
    database.run(
        "TRUNCATE faults.armed; ALTER SEQUENCE faults.times RESTART;"
        f"INSERT INTO faults.armed VALUES ({step}, '{code}')"
    )


def has_failed(database: Database) -> bool:
    """Whether somebody passed the armed step."""
    return database.rows("SELECT is_called FROM faults.times") == [True]


class StepProxy(Proxy):
    """Cuts the connection at one statement, counted from when it is armed, once."""

    def __init__(self, url: str) -> None:
        self._left = 0
        self._side: Side = "asked"
        super().__init__(url)

    def arm(self, step: int, side: Side) -> None:
        """The statement so many from now is cut on that side."""
        self._side, self._left = side, step

    @property
    def has_cut(self) -> bool:
        """Whether it came to that statement."""
        return self._left == 0

    async def carry(self, client: tuple[Reader, Writer], server: tuple[Reader, Writer]) -> None:
        length = await client[0].readexactly(4)  # the startup message has no type
        server[1].write(length + await client[0].readexactly(int.from_bytes(length) - 4))
        async with asyncio.TaskGroup() as both:
            both.create_task(self._hand_on(client[0], server[1], b"BQ", "asked"))
            both.create_task(self._hand_on(server[0], client[1], b"C", "answered"))

    async def _hand_on(self, reader: Reader, writer: Writer, kinds: bytes, side: Side) -> None:
        async for kind, message in _messages(reader):
            if kind in kinds and self._side == side and self._left > 0:
                self._left -= 1
                if self._left == 0:
                    raise ConnectionAbortedError
            writer.write(message)
            await writer.drain()


async def _messages(reader: Reader) -> AsyncIterator[tuple[bytes, bytes]]:
    """The type of each message of the wire protocol, and all of it."""
    while True:
        head = await reader.readexactly(5)
        yield head[:1], head + await reader.readexactly(int.from_bytes(head[1:]) - 4)
