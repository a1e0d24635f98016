"""The dry run of POST /v1/month-ends: a preview in lines, made no faster than it is read."""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from datetime import date

import msgspec
import psycopg
from eventsourcing.persistence import InterfaceError, OperationalError
from starlette.responses import Response

from api import garbage, logs
from api.asking import Asker
from api.database import DatabaseUnavailable
from api.doors import Reachable, RegionDoor
from api.entering import enter
from api.month_end_preview import end, lines
from api.operations import NDJSON
from api.problems import Problem
from api.security.scope import CLOSE_MONTH
from api.streamed import Watched
from ledger.errors import Refusal
from ledger.processes import Parent, Worker
from ledger.store.faults import LedgerClosed, StoreUnavailable
from projections.open_months import closed_with

RETRY_AFTER_S = 5
NICE = 10
"""How much later than others its process gets a CPU (nice(2))."""
UNAVAILABLE = False
"""What its process tells when the database does not answer."""
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_UNAVAILABLE = (
    psycopg.OperationalError,
    OperationalError,
    InterfaceError,
    StoreUnavailable,
    LedgerClosed,
)
_encode = msgspec.json.Encoder().encode


class Previews:
    """The previews that a process has under way: one of a region, which is as much work as a close."""

    def __init__(self) -> None:
        self._under_way = set[str]()

    async def answer(self, asker: Asker, period: str, issued_on: date | None) -> Response:
        """The lines of a preview; raises Problem while another is made, and what the month's close does."""
        parts = self._parts(asker, period, issued_on)
        await anext(parts)  # begun, or refused
        return Watched(parts, NDJSON, HEADERS)

    async def _parts(
        self, asker: Asker, period: str, issued_on: date | None
    ) -> AsyncGenerator[bytes, None]:
        """An empty part once it is begun, then lines; whoever asked must still be let in for each batch."""
        door, region = asker.door, asker.region
        if region in self._under_way:
            wait = {"Retry-After": str(RETRY_AFTER_S)}
            raise Problem("overloaded", "a preview is being made: try again", headers=wait)
        self._under_way.add(region)
        making = Making()
        try:
            await asyncio.to_thread(making.begin, door, period, issued_on)
            part = await asyncio.to_thread(making.part)
            yield b""
            while part is not None:
                await enter(door.reading, CLOSE_MONTH, asker.token_sha256)
                yield part
                part = await asyncio.to_thread(making.part)
        finally:
            await asyncio.to_thread(making.close)
            self._under_way.discard(region)


class Making:
    """A preview in the making, by a process of its own; used by one thread at a time.

    So it takes nothing from those that answer commands: they go first wherever both could run.
    """

    def __init__(self) -> None:
        self._using = threading.Lock()
        self._worker: Worker | None = None

    def begin(self, door: RegionDoor, period: str, issued_on: date | None) -> None:
        """It is being made; raises what `MonthEnds.preview` does."""
        today = door.today()
        with self._using:
            with closing(door.month_ends()) as month_ends:
                month_ends.preview(period, issued_on, today=today)
            given = (door.database, period, issued_on, today)
            self._worker = Worker("month end preview", make, *given)

    def part(self) -> bytes | None:
        """The lines of the next batch, be they none; None after the last. Raises DatabaseUnavailable."""
        with self._using:
            assert self._worker is not None
            self._worker.tell(True)
            part = self._worker.said()
            if part is UNAVAILABLE:
                raise DatabaseUnavailable
            assert part is None or isinstance(part, bytes), part
            return part

    def close(self) -> None:
        """Nobody makes it any more."""
        if self._worker is not None:
            self._worker.terminate()  # what is waited for then ends
        with self._using:
            if self._worker is not None:
                self._worker.close()


def make(
    parent: Parent, database: Reachable, period: str, issued_on: date | None, today: date
) -> None:
    """What a preview's process runs: the next part, made one ahead, whenever it is asked; in the end None."""
    logs.set_up()
    garbage.look_less_often()
    if hasattr(os, "nice"):
        os.nice(NICE)
    for told in _told(database, period, issued_on, today):
        parent.hear()
        parent.tell(told)


def _told(
    database: Reachable, period: str, issued_on: date | None, today: date
) -> Iterator[bytes | bool | None]:
    try:
        with closing(database.ledger()) as ledger, closing(database.month_ends()) as month_ends:
            preview = month_ends.preview(period, issued_on, today=today)
            for batch in preview.batches(ledger):
                yield b"".join(_encode(line) + b"\n" for line in lines(batch))
            asked = preview.asked
            also = closed_with(database.service_url, asked.period, today=asked.asked_on)
            yield _encode(end(preview, also)) + b"\n"
    except (*_UNAVAILABLE, Refusal):  # what was asked for a moment ago is in the way now
        yield UNAVAILABLE
    else:
        yield None
