"""Reading an account: who asks, which moment, how fresh, whether it has changed, then what it is."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api import parameters
from api.database import Transaction
from api.doors import RegionDoor
from api.entering import (
    EnteredReading,
    Moment,
    Place,
    bearer,
    enter_reading,
    place,
    refuse,
    refuse_never_given,
    unauthenticated,
)
from api.moments import not_yet
from api.operations import Header, Operation, Schema
from api.parameters import Parameter
from api.problems import Problem
from api.security.scope import READ_ACCOUNT, Permission
from ledger.errors import PositionUnknown, ViewBehind

BEHIND_S_MAX = 1.0
BEHIND_POLL_S = 0.01
CACHE_CONTROL = "private, no-cache"
NOT_OLDER_THAN = Header(
    "Ledger-Position",
    parameters.POSITION,
    "A position that the answer must not be older than, as a command's reply gave it.",
)
IF_NONE_MATCH = Header("If-None-Match", {"type": "string"}, "ETags of what the asker has: 304.")
ACCOUNT = "/v1/accounts/{account_number}"
HEADERS = (NOT_OLDER_THAN, IF_NONE_MATCH)
AS_OF = (parameters.EFFECTIVE_ON, parameters.KNOWN_AT, parameters.AT)

_encode = msgspec.json.Encoder().encode

T = TypeVar("T")


class Reading:
    """An account being read at a moment, within a transaction that may see it and no other.

    `day` bounds what counts, `effective_on` is the day that figures are for. `position` None reads
    the live state, which is that of `stands_at`. `given` are the parameters of query and path.
    `principal` is the id of the login or token that asks.
    """

    def __init__(
        self,
        transaction: Transaction,
        at: Place,
        region: str,
        entered: EnteredReading,
        moment: Moment,
        today: date,
        given: Mapping[str, Any],
    ) -> None:
        assert entered.currency is not None
        assert entered.version is not None
        assert entered.settings_version is not None
        assert entered.principal_id is not None
        self.transaction = transaction
        self.at = at
        self.region = region
        self.principal = entered.principal_id
        self.currency = entered.currency
        self.version = entered.version
        self.settings_version = entered.settings_version
        self.position = entered.as_of_position
        assert entered.position is not None
        self.stands_at = entered.position
        self.read_at = f"{at.lane}-{entered.position}"
        self.known_at = entered.known_at
        self.day = moment.effective_on
        self.effective_on = moment.effective_on or today
        self.given = given

    async def rows(self, statement: bytes, **given: Any) -> list[tuple[Any, ...]]:
        """What a statement answers of this account at this moment."""
        return await self.transaction.rows(
            statement, {"lane": self.at.lane, "position": self.position, **given}
        )

    async def named(self, statement: bytes, **given: Any) -> list[dict[str, Any]]:
        """As `rows`, by name of column."""
        return await self.transaction.named(
            statement, {"lane": self.at.lane, "position": self.position, **given}
        )


Work = Callable[[Reading, bytes], Awaitable[T]]
"""Makes what is answered; the bytes are the key that cursors are signed with."""


class AccountReader:
    """Lets in who may read an account, and reads it for them at the moment they ask for."""

    def __init__(
        self,
        doors: Mapping[str, RegionDoor],
        permission: Permission,
        known: Mapping[str, Parameter],
    ) -> None:
        self._doors = doors
        self._permission = permission
        self._known = known

    async def read(self, request: Request, work: Work[T]) -> T:
        """What the work makes of it; raises Problem and Refusal, also for a read that is too new."""
        region, token = bearer(request.headers.get("authorization", ""), self._doors.__contains__)
        door = self._doors[region]
        today = door.today()
        at = place(region, request.path_params["account_number"])
        given: dict[str, Any] = {}
        moment, wanted = Moment(), None
        fault: Problem | PositionUnknown | None = None
        try:
            wanted = parameters.wanted_position(request.headers.get("ledger-position"))
            given = parameters.parsed(request.scope["query_string"], self._known)
            given |= request.path_params
            moment = _moment(given, at)
        except (Problem, PositionUnknown) as found:
            fault, wanted = found, None  # told only to who may read the account
        key = await door.cursor_key()

        async def read(transaction: Transaction) -> T | None:
            entered = await enter_reading(
                transaction, self._permission, token, at, moment, wanted[0] if wanted else None
            )
            if not _may_answer(entered, at, moment, wanted):
                if wanted is not None and not waited and not entered.is_swapped:
                    await refuse_never_given(transaction, entered.verdict, wanted)
                return None
            if fault is not None:
                raise fault
            reading = Reading(transaction, at, region, entered, moment, today, given)
            return await work(reading, key)

        waited, deadline = False, None
        while True:
            made = await door.reading.transact(read, frozen=moment.is_live)
            if made is not None:
                return made
            deadline = deadline or time.monotonic() + BEHIND_S_MAX  # reading itself may take long
            if time.monotonic() > deadline:
                lane, reach = wanted or (at.lane, moment.at or 0)
                raise ViewBehind(position=f"{lane}-{reach}")
            waited = True
            await asyncio.sleep(BEHIND_POLL_S)


class AccountRead:
    """Answers GET requests of one path below an account."""

    def __init__(
        self,
        doors: Mapping[str, RegionDoor],
        permission: Permission,
        known: Mapping[str, Parameter],
        work: Work[msgspec.Struct],
        *,
        representation: str = "1",
        of_settings: bool = False,
    ) -> None:
        """`of_settings`: the ETag is of the settings, not of the whole account."""
        self._reader = AccountReader(doors, permission, known)
        self._work = work
        self._representation = representation
        self._of_settings = of_settings

    async def __call__(self, request: Request) -> Response:
        if_none_match = request.headers.get("if-none-match")

        async def answer(reading: Reading, key: bytes) -> Response:
            return await self._answer(reading, if_none_match, key)

        return await self._reader.read(request, answer)

    async def _answer(self, reading: Reading, if_none_match: str | None, key: bytes) -> Response:
        version = reading.settings_version if self._of_settings else reading.version
        tag = f'"{version}.{reading.effective_on}.{self._representation}"'
        headers = {
            "ETag": tag,
            "Cache-Control": CACHE_CONTROL,
            "Ledger-Position": reading.read_at,
        }
        if matches(if_none_match, tag):
            return Response(status_code=304, headers=headers)
        body = await self._work(reading, key)
        return Response(_encode(body), headers=headers, media_type="application/json")


def matches(if_none_match: str | None, tag: str) -> bool:
    """RFC 9110, 13.1.2: `*`, or one of a list of tags by weak comparison."""
    if if_none_match is None:
        return False
    listed = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return tag in listed or listed == ["*"]


def _moment(given: Mapping[str, Any], at: Place) -> Moment:
    """The moment that parameters ask for; raises Problem, and PositionUnknown of another lane."""
    parameters.not_both(given, "known_at", "at")
    position = None
    if "at" in given:
        lane, position = given["at"]
        if lane != at.lane:
            raise PositionUnknown(position=f"{lane}-{position}")
    return Moment(given.get("effective_on"), given.get("known_at"), position)


def _may_answer(
    entered: EnteredReading, at: Place, moment: Moment, wanted: tuple[int, int] | None
) -> bool:
    """Whether the views have reached what is wanted; raises the Problem or Refusal of a verdict.

    Never when a rebuild has swapped them meanwhile: what was found is of no moment, to be read again.
    """
    if entered.is_swapped:
        return False
    has_reached = _has_reached(entered, at, moment, wanted)
    match entered.verdict:
        case "unauthenticated":
            raise unauthenticated()
        case "unknown" if not has_reached:
            return False  # it may have been opened by what is to be seen
        case "future":
            assert moment.known_at is not None
            raise not_yet(moment.known_at)
        case "position_unknown":
            raise PositionUnknown(position=f"{at.lane}-{moment.at}")
    refuse(entered.verdict)
    return entered.verdict == "allowed" and has_reached


def _has_reached(
    entered: EnteredReading, at: Place, moment: Moment, wanted: tuple[int, int] | None
) -> bool:
    if wanted is None:
        return True
    lane, reach = wanted
    if entered.verdict == "allowed" and moment.is_live and lane == at.lane:
        assert entered.position is not None
        return entered.position >= reach  # the account's, which may have stopped before the lane's
    return entered.reached is not None and entered.reached >= reach


def read_operation(
    doors: Mapping[str, RegionDoor],
    path: str,
    name: str,
    says: str,
    known: Mapping[str, parameters.Parameter],
    work: Work[msgspec.Struct],
    reply: Any,
    *,
    of_settings: bool = False,
    places: Mapping[str, Schema] | None = None,
    details: str = "",
) -> Operation:
    """The operation of reading something below an account's path; `reply` is the type of its body."""
    return Operation(
        method="GET",
        path=ACCOUNT + path,
        name=name,
        says=says,
        details=details,
        tag="accounts",
        permission=READ_ACCOUNT,
        handle=AccountRead(doors, READ_ACCOUNT, known, work, of_settings=of_settings),
        replies={200: reply, 304: None},
        parameters=known,
        headers=HEADERS,
        places=places or {},
        problems=(401, 403, 404, 422, 503),
    )
