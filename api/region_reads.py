"""Reading a region's books: who asks, which moment of all lanes, how fresh, then what there is.

    read = RegionRead(doors, READ_BOOKS, parameters.named(*REGION_AS_OF), work, views=("journal",))

`work` gets a RegionReading, within one transaction that sees one moment; what it gives is the body.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg import sql
from starlette.requests import Request
from starlette.responses import Response

from api import parameters
from api.asking import private
from api.damage import view_damaged
from api.database import Transaction
from api.doors import RegionDoor
from api.entering import bearer, enter
from api.moments import not_yet, position
from api.operations import Header
from api.parameters import Parameter
from api.problems import Problem
from api.security.scope import Permission
from api.vectors import VECTOR_SCHEMA, Vector, unknown, written
from ledger.errors import UnknownCurrency, ViewBehind
from ledger.store.faults import message_of
from ledger.store.lanes import LANES
from ledger.store.sql import load

BEHIND_S_MAX = 1.0
BEHIND_POLL_S = 0.01
NOT_OLDER_THAN = Header(
    "Ledger-Position",
    {"type": "string", "anyOf": [parameters.POSITION, VECTOR_SCHEMA]},
    "A position that the answer must not be older than: of a command's reply, or of such an answer.",
)
AT = Parameter(
    "at",
    written,
    VECTOR_SCHEMA,
    "Only what was recorded up to here: the `position` of an answer that was given before.",
)
REGION_AS_OF = (parameters.EFFECTIVE_ON, parameters.KNOWN_AT, AT)

_SQL = load("api", "region_moments.sql")


class Reached(NamedTuple):
    """By lane, the last positions of the log and of the views; and how many accounts stand still.

    `is_even`: all the views that are read are at these positions, and none is further.
    """

    heads: list[int]
    views: list[int]
    parked: int
    is_even: bool


class RegionReading:
    """A region being read at a moment, within a transaction that sees one state of the views.

    `positions` is the last that is known of each lane, `effective_on` the day that figures are for.
    `is_live`: this is what the views hold now, on the region's today, so that their own sums may be
    read. `known_at` is the instant asked for, or that of the last event known. `parked` counts
    accounts whose figures stand still. `given` are the parameters of query and path, `key` is what
    cursors are signed with.
    """

    def __init__(
        self,
        transaction: Transaction,
        region: str,
        reached: Reached,
        *,
        positions: Sequence[int],
        effective_on: date,
        today: date,
        known_at: datetime | None,
        given: Mapping[str, Any],
        key: bytes,
    ) -> None:
        self.transaction = transaction
        self.region = region
        self.positions = list(positions)
        self.effective_on = effective_on
        self.is_live = effective_on == today and reached.is_even and self.positions == reached.views
        self.known_at = known_at
        self.parked = reached.parked
        self.position = Vector(region, positions).text()
        self.given = given
        self.key = key

    async def rows(self, statement: bytes, **given: Any) -> list[tuple[Any, ...]]:
        """What a statement answers; it may name `day` and `positions` (null: live)."""
        return await self.transaction.rows(statement, self._moment | given)

    async def named(self, statement: bytes, **given: Any) -> list[dict[str, Any]]:
        """As `rows`, by name of column."""
        return await self.transaction.named(statement, self._moment | given)

    @property
    def _moment(self) -> dict[str, Any]:
        return {"day": self.effective_on, "positions": None if self.is_live else self.positions}


Work = Callable[[RegionReading], Awaitable[msgspec.Struct | Response]]
"""Makes the body, or the whole answer where it is another than JSON."""


class RegionRead:
    """Answers GET requests of one path for whoever may see the region.

    `views` are the schemas of the read models that are read: the moment is one that all have reached.
    """

    def __init__(
        self,
        doors: Mapping[str, RegionDoor],
        permission: Permission,
        known: Mapping[str, Parameter],
        work: Work,
        *,
        views: tuple[str, ...],
    ) -> None:
        self._doors = doors
        self._permission = permission
        self._known = known
        self._work = work
        self._views = views
        self._statements = [_of_views("reached", name) for name in views]

    async def __call__(self, request: Request) -> Response:
        region, token = bearer(request.headers.get("authorization", ""), self._doors.__contains__)
        door = self._doors[region]
        today = door.today()
        key = await door.cursor_key()
        asked = _Asked(request, region, self._known)

        async def resolve(transaction: Transaction) -> None:
            await enter(transaction, self._permission, token)
            asked.refuse()
            if asked.known_at is not None:
                asked.positions = await _known_positions(transaction, asked.known_at)

        async def read(transaction: Transaction) -> Response | None:
            await enter(transaction, self._permission, token)
            found = await self._read_reached(transaction)
            if await self._is_swapped(transaction):
                asked.behind = Vector(region, found[0][0]).text()
                return None
            reached = _reached(self._views, found)
            positions = asked.positions or reached.views
            asked.behind = _behind(region, reached, [positions, asked.wanted])
            if asked.behind is not None:
                return None
            reading = RegionReading(
                transaction,
                region,
                reached,
                positions=positions,
                effective_on=asked.given.get("effective_on", today),
                today=today,
                known_at=asked.known_at or await _recorded_at(transaction, positions),
                given=asked.given,
                key=key,
            )
            try:
                body = await self._work(reading)
            except psycopg.DataError as fault:
                raise self._damaged(f"cannot be read: {message_of(fault)}") from fault
            except UnknownCurrency as fault:
                raise self._damaged("is of a currency that there is not") from fault
            if await self._is_swapped(transaction):
                asked.behind = reading.position
                return None
            response = body if isinstance(body, Response) else private(body)
            response.headers["Ledger-Position"] = reading.position
            return response

        # Apart, because a transaction that sees one moment only cannot lock what has moved since.
        await door.books.transact(resolve)
        deadline = None
        while True:
            response = await door.books.transact(read, frozen=True)
            if response is not None:
                return response
            deadline = deadline or time.monotonic() + BEHIND_S_MAX  # reading itself may take long
            if time.monotonic() > deadline:
                assert asked.behind is not None
                raise ViewBehind(position=asked.behind)
            await asyncio.sleep(BEHIND_POLL_S)

    def _damaged(self, row_says: str) -> Problem:
        view = self._views[0] if len(self._views) == 1 else None
        return view_damaged(view, f"{' or '.join(self._views)} holds a row that {row_says}")

    async def _read_reached(self, transaction: Transaction) -> list[tuple[Any, ...]]:
        return [row for one in self._statements for row in await transaction.rows(one, ())]

    async def _is_swapped(self, transaction: Transaction) -> bool:
        [(found,)] = await transaction.rows(_SQL["is_swapped"], {"views": list(self._views)})
        return bool(found)


class _Asked:
    """What a request asks for: its moment, as far as it is resolved, and what it must not be older than.

    What is wrong with it is kept back until it is known that whoever asks may ask.
    """

    def __init__(self, request: Request, region: str, known: Mapping[str, Parameter]) -> None:
        self.given: dict[str, Any] = {}
        self.positions: list[int] | None = None
        self.wanted = [0] * LANES
        self.behind: str | None = None
        self._fault: Problem | None = None
        try:
            self.given = parameters.parsed(request.scope["query_string"], known)
            self.given |= request.path_params
            parameters.not_both(self.given, "known_at", "at")
            if "at" in self.given:
                self.positions = Vector.read(region, self.given["at"]).positions
            header = request.headers.get("ledger-position")
            if header is not None:
                self.wanted = _wanted(region, header.strip())
        except Problem as found:
            self._fault = found

    @property
    def known_at(self) -> datetime | None:
        found: datetime | None = self.given.get("known_at")
        return found

    def refuse(self) -> None:
        """Raises the Problem of what is wrong."""
        if self._fault is not None:
            raise self._fault


def _wanted(region: str, text: str) -> list[int]:
    """The positions of a `Ledger-Position` header; raises Problem."""
    try:
        lane, reach = position(text)
    except ValueError:
        return Vector.read(region, text).positions
    return [reach if n == lane else 0 for n in range(LANES)]


async def _known_positions(transaction: Transaction, known_at: datetime) -> list[int]:
    """The positions of an instant; raises KnownAtInFuture."""
    [(positions,)] = await transaction.rows(_SQL["known_positions"], {"known_at": known_at})
    if positions is None:
        raise not_yet(known_at)
    found: list[int] = positions
    return found


async def _recorded_at(transaction: Transaction, positions: Sequence[int]) -> datetime | None:
    [(recorded_at,)] = await transaction.rows(_SQL["recorded_at"], {"positions": list(positions)})
    found: datetime | None = recorded_at
    return found


def _reached(views: Sequence[str], found: Sequence[tuple[Any, ...]]) -> Reached:
    """How far the log and the slowest of the views are; raises Problem for a view that cannot be so far."""
    heads: list[int] = found[0][0]
    for view, (_, positions, _) in zip(views, found, strict=True):
        for lane, at in enumerate(positions):
            if at is None or at > heads[lane]:
                raise view_damaged(view, f"how far lane {lane} of {view} is cannot be told")
    slowest = [min(lane) for lane in zip(*(row[1] for row in found), strict=True)]
    is_even = all(row[1] == slowest for row in found)
    return Reached(heads, slowest, max(row[2] for row in found), is_even)


def _behind(region: str, reached: Reached, wanted: Sequence[Sequence[int]]) -> str | None:
    """A position wanted that the views have not reached; raises Problem for one the log has not."""
    found = None
    for positions in wanted:
        for lane, want in enumerate(positions):
            if want > reached.heads[lane]:
                raise unknown(region)
            if want > reached.views[lane]:
                found = f"{lane}-{want}"
    return found


@cache
def _of_views(block: str, views: str) -> bytes:
    """A statement about the views of a schema."""
    return sql.SQL(_SQL[block].decode()).format(views=sql.Identifier(views)).as_string().encode()
