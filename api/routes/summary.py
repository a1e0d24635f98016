"""GET /v1/accounts/{account_number}/summary: the figures of the home page, live or as of.

The one hot route: a plain ASGI endpoint, whose reads are gathered by api/reads.py.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import TypeVar
from urllib.parse import parse_qsl
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api import parameters
from api.account_reads import AS_OF, HEADERS
from api.entering import account_unknown, password_due
from api.moments import day, instant, not_yet, position
from api.operations import Operation, TemplateRoute
from api.problems import Problem, invalid_query
from api.quick import Headers, Quick, Reply
from api.reads import Asked, Row, SummaryReader
from api.security.scope import READ_ACCOUNT
from api.security.tokens import digest, region_of
from api.summary import Summary, etag, shown
from ledger.errors import PositionUnknown, ViewBehind
from ledger.ids import ID
from ledger.store.lanes import account_id, lane_of

PATH = "/v1/accounts/{account_number}/summary"
BEHIND_S_MAX = 1.0
BEHIND_POLL_S = 0.01
PLACES_KEPT_MAX = 10_000
_PARAMETERS = ("effective_on", "known_at", "at")
_PARAMETERS_MAX = 16
# Nobody's: a number that no account can have is asked about all the same, so that whoever is not
# signed in learns nothing from it.
_NO_ACCOUNT = UUID(int=0)
_ANSWERED = "summary_answered"
"""In a scope: the answer to what the request asks, where it was one to be told in the ordinary way."""
_NO_STORE = (b"cache-control", b"private, no-cache")
_JSON = (b"content-type", b"application/json")
_BEFORE, _AFTER = PATH.split("{account_number}")

T = TypeVar("T")


def summary_route(endpoint: "SummaryEndpoint") -> TemplateRoute:
    """The route that comes before the framework."""
    return TemplateRoute(PATH, endpoint, methods=["GET"], name="summary")


def summary_operation(readers: Mapping[str, SummaryReader]) -> Operation:
    """The same as an operation: for the documentation, and the answer to other methods."""
    endpoint = SummaryEndpoint(readers)

    async def handle(request: Request) -> ASGIApp:
        return endpoint

    return Operation(
        method="GET",
        path=PATH,
        name="get_summary",
        says="The figures of the home page",
        details="Live, or as of a day (`effective_on`), as known at an instant or a position.",
        tag="accounts",
        permission=READ_ACCOUNT,
        handle=handle,
        parameters=parameters.named(*AS_OF),
        headers=HEADERS,
        replies={200: Summary, 304: None},
        problems=(404, 422),
    )


class SummaryEndpoint:
    """Reads one summary a request."""

    def __init__(self, readers: Mapping[str, SummaryReader]) -> None:
        self._readers = readers
        self._zones = {code: ZoneInfo(reader.region.zone) for code, reader in readers.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"])
        reader, token = self._asker(given.get(b"authorization", b""))
        today = datetime.now(self._zones[reader.region.code]).date()
        lane, id = _place(reader.region.code, scope["path_params"]["account_number"])
        asked = Asked(
            token_sha256=token,
            lane=lane,
            account_id=id,
            today=today,
            effective_on=today,
        )
        fault: Problem | PositionUnknown | None = None
        wanted = None
        try:
            wanted = _not_older_than(given.get(b"ledger-position"))
            asked = _as_of(asked, scope["query_string"], wanted[0] if wanted else None)
        except (Problem, PositionUnknown) as found:
            fault, wanted = found, None  # told at once, but only to who may read the account
        row = await _read(reader, asked, wanted, scope.pop(_ANSWERED, None))
        if fault is not None:
            raise fault
        reply = _reply(given.get(b"if-none-match"), row, reader, asked.lane)
        await reply(scope, receive, send)

    def ask(self, scope: Scope) -> Quick | None:
        """As QuickRoute.ask: for what is read live, by a caller who need not see a write."""
        path: str = scope["path"]
        number = path[len(_BEFORE) : -len(_AFTER)]
        if not (path.startswith(_BEFORE) and path.endswith(_AFTER)) or "/" in number:
            return None
        given = dict(scope["headers"])
        if scope["query_string"] or b"ledger-position" in given or not number:
            return None
        try:
            reader, token = self._asker(given.get(b"authorization", b""))
            today = datetime.now(self._zones[reader.region.code]).date()
            lane, id = _place(reader.region.code, number)
            answer = reader.read(Asked(token, lane, id, today, today))
        except Problem:
            return None
        if_none_match = given.get(b"if-none-match")

        def reply() -> Reply | None:
            failed = answer.cancelled() or answer.exception() is not None
            if failed or answer.result().verdict != "allowed":
                scope[_ANSWERED] = answer
                return None
            return _reply(if_none_match, answer.result(), reader, lane)

        return Quick(PATH, answer, reply)

    def _asker(self, authorization: bytes) -> tuple[SummaryReader, bytes]:
        """The reader of the token's region and the token's digest; raises Problem (401)."""
        scheme, _, token = authorization.decode("latin-1").partition(" ")
        region = region_of(token.strip()) if scheme.lower() == "bearer" else None
        reader = self._readers.get(region or "")
        if reader is None:
            raise _unauthenticated()
        return reader, digest(token.strip())


@lru_cache(PLACES_KEPT_MAX)
def _place(region: str, number: str) -> tuple[int, UUID]:
    """Lane and id of an account, whether it exists or not."""
    id = account_id(region, number) if ID.fullmatch(number) else _NO_ACCOUNT
    return lane_of(id), id


async def _read(
    reader: SummaryReader,
    asked: Asked,
    wanted: tuple[int, int] | None,
    answered: "asyncio.Future[Row] | None",
) -> Row:
    """The row, once the views have reached what is wanted; raises the Problem or Refusal else.

    `answered` is the answer if the same was asked for this request before.
    """
    deadline = time.monotonic() + BEHIND_S_MAX
    waited = False
    while True:
        row = await (answered or reader.read(asked))
        answered = None
        has_reached = _has_reached(row, asked, wanted)
        match row.verdict:
            case "unauthenticated":
                raise _unauthenticated()
            case "unknown" if has_reached:  # else it may have been opened by what is to be seen
                raise account_unknown()
            case "forbidden":
                raise Problem("forbidden", "your role or scope does not read accounts")
            case "password_due":
                raise password_due()
            case "future":
                assert asked.known_at is not None
                raise not_yet(asked.known_at)
            case "position_unknown":
                raise PositionUnknown(position=f"{asked.lane}-{asked.at}")
        if row.verdict == "allowed" and has_reached:
            return row
        if wanted is not None and not waited:
            await reader.refuse_never_given(row.verdict, wanted)
        if time.monotonic() > deadline:
            lane, reach = wanted or (asked.lane, asked.at or 0)
            raise ViewBehind(position=f"{lane}-{reach}")
        waited = True
        await asyncio.sleep(BEHIND_POLL_S)


def _has_reached(row: Row, asked: Asked, wanted: tuple[int, int] | None) -> bool:
    if wanted is None:
        return True
    lane, reach = wanted
    is_live = asked.known_at is None and asked.at is None
    if row.verdict == "allowed" and is_live and lane == asked.lane:
        return row.position >= reach  # the account's, which may have stopped before the lane's
    return row.reached is not None and row.reached >= reach


def _reply(if_none_match: bytes | None, row: Row, reader: SummaryReader, lane: int) -> Reply:
    tag = etag(row).encode()
    position = (b"ledger-position", b"%d-%d" % (lane, row.position))
    headers: Headers = [(b"etag", tag), _NO_STORE, position]
    if _matches(if_none_match, tag):
        return Reply(304, headers, b"")
    body = shown(row, reader.region, lane)
    headers += (_JSON, (b"content-length", b"%d" % len(body)))
    return Reply(200, headers, body)


def _matches(if_none_match: bytes | None, tag: bytes) -> bool:
    """RFC 9110, 13.1.2: `*`, or one of a list of tags by weak comparison."""
    if if_none_match is None:
        return False
    listed = [one.strip().removeprefix(b"W/") for one in if_none_match.split(b",")]
    return tag in listed or listed == [b"*"]


def _as_of(asked: Asked, query_string: bytes, wait_lane: int | None) -> Asked:
    """What is asked, with the query's effective_on, and known_at or at; raises Problem."""
    if not query_string and wait_lane is None:
        return asked
    found = _parameters(query_string)
    if "known_at" in found and "at" in found:
        raise invalid_query("at", "give known_at or at, not both")
    at = None
    if "at" in found:
        lane, at = _position(found["at"])
        if lane != asked.lane:
            raise PositionUnknown(position=found["at"])
    return msgspec.structs.replace(
        asked,
        effective_on=(
            _parsed("effective_on", found["effective_on"], day)
            if "effective_on" in found
            else asked.today
        ),
        known_at=(_parsed("known_at", found["known_at"], instant) if "known_at" in found else None),
        at=at,
        wait_lane=wait_lane,
    )


def _parameters(query_string: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=_PARAMETERS_MAX
        )
    except ValueError:
        raise invalid_query("*", f"more than {_PARAMETERS_MAX} parameters") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in _PARAMETERS:
            known = ", ".join(_PARAMETERS)
            raise invalid_query(name, f"there is no such parameter; there are {known}", "unknown")
        if name in found:
            raise invalid_query(name, "given twice", "repeated")
        found[name] = value
    return found


def _parsed(name: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except ValueError as fault:
        raise invalid_query(name, str(fault)) from None


def _position(text: str) -> tuple[int, int]:
    try:
        return position(text)
    except ValueError:
        raise PositionUnknown(position=text[:40]) from None


def _not_older_than(header: bytes | None) -> tuple[int, int] | None:
    return None if header is None else _position(header.decode("latin-1").strip())


def _unauthenticated() -> Problem:
    return Problem("unauthenticated", "sign in, and send the token as Authorization: Bearer")
