"""The dry run of POST /v1/month-ends: a preview in lines, made no faster than it is read."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, closing
from datetime import date

import msgspec
from eventsourcing.persistence import InterfaceError, OperationalError
from starlette.responses import Response

from api.asking import Asker
from api.database import DatabaseUnavailable
from api.doors import RegionDoor
from api.entering import enter
from api.month_end_preview import end, lines
from api.operations import NDJSON
from api.problems import Problem
from api.security.scope import CLOSE_MONTH
from api.streamed import Watched

RETRY_AFTER_S = 5
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_encode = msgspec.json.Encoder().encode


class Previews:
    """The previews that a process is making: one of a region, which is as much work as a close."""

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
            await asyncio.to_thread(making.begin, door, period, issued_on, door.today())
            yield b""
            while (part := await asyncio.to_thread(making.part)) is not None:
                await enter(door.reading, CLOSE_MONTH, asker.token_sha256)
                yield part
        finally:
            await asyncio.to_thread(making.close)
            self._under_way.discard(region)


class Making:
    """A preview in the making, over connections of its own; used by one thread at a time."""

    def __init__(self) -> None:
        self._using = threading.Lock()
        self._open = ExitStack()
        self._parts: Iterator[bytes] = iter(())

    def begin(self, door: RegionDoor, period: str, issued_on: date | None, today: date) -> None:
        """Opens what it needs; raises DatabaseUnavailable, and what `MonthEnds.preview` does."""
        with self._using:
            try:
                ledger = self._open.enter_context(closing(door.another_ledger()))
            except (OperationalError, InterfaceError) as fault:
                raise DatabaseUnavailable from fault
            month_ends = self._open.enter_context(closing(door.month_ends()))
            preview = month_ends.preview(ledger, period, issued_on, today=today)

            def parts() -> Iterator[bytes]:
                for batch in preview.batches():
                    yield b"".join(_encode(line) + b"\n" for line in lines(batch))
                yield _encode(end(preview)) + b"\n"

            self._parts = parts()

    def part(self) -> bytes | None:
        """The lines of the next batch, be they none; None after the last."""
        with self._using:
            return next(self._parts, None)

    def close(self) -> None:
        """Nothing is open any more, once the batch at hand is done."""
        with self._using:
            self._open.close()
