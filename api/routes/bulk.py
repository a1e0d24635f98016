"""POST /v1/commands: lines of commands in, a line of outcome for each out, in order, both streaming."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api.asking import come_in
from api.database import Transaction
from api.doors import RegionDoor
from api.entering import currencies, enter, place
from api.operations import NDJSON, Operation
from api.problems import FieldError, Problem, ProblemDetails, details_of, problem_of
from api.security.scope import ADJUST
from api.spool import Spool
from api.streamed import Streamed
from api.wire import LINE_SCHEMA, InvalidBody, Lines, account_named
from ledger.commands import OpenAccount
from ledger.commands import Request as Asked
from ledger.importing import LINE_BYTES_MAX
from ledger.store.faults import LedgerClosed, StoreUnavailable
from ledger.store.outcomes import Outcome, Refused
from ledger.store.waiting import Order

STREAMS_MAX = 8
"""Streams of lines that a process takes at once; each may hold BATCHES_MAX batches in memory."""
BATCH_MAX = 500
BATCHES_MAX = 3
"""Batches of a stream on their way: one is appended, one decided, one read or answered."""
IDLE_S = 60.0
"""For more to arrive: whoever is gone without a word gives up the place, and can send all again."""
RETRY_AFTER_S = 5

_encode = msgspec.json.Encoder().encode


class LineDone(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a line, by its number from 1."""

    line: int
    key: str | None
    status: Literal["ok", "replayed", "refused"]
    position: str | None = None
    version: int | None = None
    problem: ProblemDetails | None = None


def bulk_operation(doors: Mapping[str, RegionDoor]) -> Operation:
    """The operation of bulk commands."""
    return Operation(
        method="POST",
        path="/v1/commands",
        name="bulk_commands",
        says="Commands in bulk, a line each; a bad line refuses only itself",
        tag="commands",
        permission=ADJUST,
        handle=BulkEndpoint(doors),
        replies={200: LineDone},
        body=LINE_SCHEMA,
        body_type=NDJSON,
        reply_type=NDJSON,
        problems=(401, 403, 415, 503),
    )


class BulkEndpoint:
    """Answers streams of lines; one that reads its answers late holds up nobody."""

    def __init__(self, doors: Mapping[str, RegionDoor]) -> None:
        self._doors = doors
        self._streams = 0

    async def __call__(self, request: Request) -> Response:
        asker = await come_in(request, self._doors, ADJUST)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != NDJSON:
            raise Problem("unsupported_media_type", f"send the lines as {NDJSON}")
        if self._streams >= STREAMS_MAX:
            wait = {"Retry-After": str(RETRY_AFTER_S)}
            raise Problem("overloaded", f"{STREAMS_MAX} streams run already", headers=wait)
        stream = Stream(asker.door, asker.token_sha256, request.scope["correlation_id"])
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return Streamed(self._counted(stream, request), NDJSON, headers)

    async def _counted(self, stream: "Stream", request: Request) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            async for part in stream.answers(request):
                yield part
        finally:
            self._streams -= 1


@dataclass(frozen=True)
class Flight:
    """A batch of lines on its way."""

    batch: list[tuple[int, bytes | None]]
    asked: list[tuple[int, Asked]]
    found: dict[int, LineDone]
    """What is known of lines already: they are bad."""
    opens: frozenset[str]
    """Accounts that it opens in another currency than the region's: till then nobody knows of it."""
    outcomes: "asyncio.Task[list[Outcome]]"
    """Of what is asked."""


class Stream:
    """One stream of lines: batches are read and sent on while earlier ones are decided and answered."""

    def __init__(self, door: RegionDoor, token: bytes, correlation_id: str) -> None:
        self._door = door
        self._token = token
        self._correlation_id = correlation_id
        self._spool = Spool()
        self._order = Order()
        self._places = asyncio.Semaphore(BATCHES_MAX)
        self._flights: asyncio.Queue[Flight | None] = asyncio.Queue()
        self._flying: list[Flight] = []

    async def answers(self, request: Request) -> AsyncIterator[bytes]:
        """The lines of outcomes; the connection is cut where it is not known what became of some."""
        doing = asyncio.ensure_future(self._do_all(request))
        try:
            while part := await self._spool.read():
                yield part
        finally:
            doing.cancel()
            with suppress(asyncio.CancelledError):
                await doing
            self._spool.close()

    async def _do_all(self, request: Request) -> None:
        reading = asyncio.ensure_future(self._read(request))
        answering = asyncio.ensure_future(self._answer(reading))
        try:
            await answering  # to the end of what was read
            await reading
        except ClientDisconnect:
            self._spool.end()
        except Exception as fault:  # noqa: BLE001 # raised to whoever sends, and logged at the edge
            self._spool.end(fault)
        else:
            self._spool.end()
        finally:
            left = [reading, answering, *(flight.outcomes for flight in self._flying)]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _read(self, request: Request) -> None:
        """Sends batches on as they come; the last of the flights is None, whatever happens."""
        try:
            async for batch in _batches(request):
                await self._places.acquire()
                flight = await self._sent(batch, self._door.today())
                self._flying.append(flight)
                self._flights.put_nowait(flight)
        finally:
            self._flights.put_nowait(None)

    async def _answer(self, reading: "asyncio.Future[None]") -> None:
        """Answers flights in their order; nothing more is read once it is not known of one."""
        unknown: Exception | None = None
        while flight := await self._flights.get():
            try:
                outcomes = await flight.outcomes
            except (StoreUnavailable, LedgerClosed) as fault:
                answers = self._unknown(flight)
                unknown = unknown or fault
                reading.cancel()
            else:
                answers = self._done(flight, outcomes)
            self._flying.remove(flight)
            self._places.release()
            for answer in answers:
                self._spool.write(_encode(answer) + b"\n")
        if unknown is not None:
            raise unknown

    async def _sent(self, batch: list[tuple[int, bytes | None]], today: date) -> Flight:
        named = {account_named(line) for _, line in batch if line is not None}
        for earlier in list(self._flying):
            if named & earlier.opens:
                await asyncio.wait([earlier.outcomes])
        numbers = [number for number in named if number is not None]
        lines = await self._door.reading.transact(
            lambda transaction: self._decoder(transaction, numbers, today)
        )
        asked: list[tuple[int, Asked]] = []
        found: dict[int, LineDone] = {}
        for number, line in batch:
            try:
                asked.append((number, _request(lines, line)))
            except InvalidBody as fault:
                key = _key_of(line)
                found[number] = self._refused(number, key, fault.problem)
        requests = [request for _, request in asked]
        outcomes = await self._door.enqueue(requests, self._order)
        return Flight(batch, asked, found, self._opened_by(requests), outcomes)

    def _opened_by(self, requests: list[Asked]) -> frozenset[str]:
        usual = self._door.region.currency
        return frozenset(
            request.account_number
            for request in requests
            if isinstance(request.command, OpenAccount) and request.command.currency != usual
        )

    async def _decoder(self, transaction: Transaction, numbers: list[str], today: date) -> Lines:
        """A decoder that knows the accounts of the lines; whoever asks must still be let in."""
        entered = await enter(transaction, ADJUST, self._token)
        places = [place(self._door.region.code, number) for number in numbers]
        known = await currencies(transaction, places) if places else {}
        return Lines(
            currency=self._door.region.currency,
            currency_of=known.get,
            today=today,
            actor=entered.principal.actor,
        )

    def _done(self, flight: Flight, outcomes: list[Outcome]) -> list[LineDone]:
        found = dict(flight.found)
        for (number, request), outcome in zip(flight.asked, outcomes, strict=True):
            found[number] = self._outcome(number, request.key, outcome)
        return [found[number] for number, _ in flight.batch]

    def _outcome(self, number: int, key: str, outcome: Outcome) -> LineDone:
        if isinstance(outcome, Refused):
            return self._refused(number, key, problem_of(outcome.refusal))
        return LineDone(
            number,
            key,
            "replayed" if outcome.replayed else "ok",
            f"{outcome.lane}-{outcome.position}",
            outcome.version,
        )

    def _refused(self, number: int, key: str | None, problem: Problem) -> LineDone:
        return LineDone(number, key, "refused", problem=details_of(problem, self._correlation_id))

    def _unknown(self, flight: Flight) -> list[LineDone]:
        """Answers of a stream that cannot go on: of these lines it is not known."""
        says = "it may be done or not: send it again with the same key"
        found = dict(flight.found)
        for number, request in flight.asked:
            found[number] = self._refused(
                number, request.key, Problem("database_unavailable", says)
            )
        return [found[number] for number, _ in flight.batch]


async def _batches(request: Request) -> AsyncIterator[list[tuple[int, bytes | None]]]:
    """Lines as they come in, numbered from 1, a few hundred at a time; None: too long.

    Lines that hold nothing are left out, like the end of a line that never came.
    """
    number, rest, too_long = 0, b"", False
    async for chunk in _chunks(request):
        *whole, rest = (rest + chunk).split(b"\n")
        batch: list[tuple[int, bytes | None]] = []
        for line in whole:
            number += 1
            if too_long or len(line) > LINE_BYTES_MAX:
                batch.append((number, None))
            elif line.strip():
                batch.append((number, line))
            too_long = False
            if len(batch) >= BATCH_MAX:
                yield batch
                batch = []
        if batch:
            yield batch
        if len(rest) > LINE_BYTES_MAX:
            too_long, rest = True, b""
    if too_long or rest.strip():
        yield [(number + 1, None if too_long else rest)]


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it arrives; raises Problem (408) when nothing does for IDLE_S, and ClientDisconnect."""
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise Problem("request_timeout", f"nothing arrived for {IDLE_S:.0f} s") from None
        if chunk is None:
            return
        yield chunk


def _request(lines: Lines, line: bytes | None) -> Asked:
    if line is None:
        says = f"the line has more than {LINE_BYTES_MAX} bytes"
        raise InvalidBody([FieldError("", "payload_too_large", says)])
    return lines.request(line)


def _key_of(line: bytes | None) -> str | None:
    """The key that a bad line names, as far as it is one."""
    try:
        decoded: Any = msgspec.json.decode(line or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    key = decoded.get("key") if isinstance(decoded, dict) else None
    return key if isinstance(key, str) and len(key) <= 255 else None
