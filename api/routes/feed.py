"""GET /v1/events and /v1/events/stream: every event of a region, to be read on from any place."""

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api import parameters
from api.doors import RegionDoor
from api.entering import bearer
from api.event_stream import BATCH_MAX, HEADERS, MEDIA_TYPE, EventStream
from api.feed import FeedEvent, Wanted
from api.operations import Header, Operation
from api.parameters import LIMIT, LIMIT_DEFAULT, Parameter
from api.problems import Problem
from api.security.scope import READ_FEED
from api.vectors import VECTOR_SCHEMA, Vector, written

LISTENERS_MAX = 32
"""Streams that a process serves of a region at once."""
RETRY_AFTER_S = 5
_SAYS = (
    "Only what comes after: `next_cursor` of a page, or the id of a streamed event. All there is."
)


class FeedPage(msgspec.Struct, frozen=True):
    """Events of all lanes, each account's in order; `next_cursor` is the place after them, always."""

    data: list[FeedEvent]
    next_cursor: str


AFTER = Parameter("after", written, VECTOR_SCHEMA, _SAYS)
LAST_EVENT_ID = Header("Last-Event-ID", VECTOR_SCHEMA, "As `after`, which it takes the place of.")
_OF_PAGE = parameters.named(AFTER, LIMIT)
_OF_STREAM = parameters.named(AFTER)
_encode = msgspec.json.Encoder().encode


def feed_operations(doors: Mapping[str, RegionDoor]) -> list[Operation]:
    """The operations of the feed."""
    return [
        Operation(
            method="GET",
            path="/v1/events",
            name="list_events",
            says="Events of all accounts, in order of recording within each",
            tag="audit",
            permission=READ_FEED,
            handle=FeedEndpoint(doors),
            parameters=_OF_PAGE,
            replies={200: FeedPage},
            problems=(401, 403, 422, 503),
        ),
        Operation(
            method="GET",
            path="/v1/events/stream",
            name="stream_events",
            says="Events of all accounts as they are recorded (Server-Sent Events)",
            tag="audit",
            permission=READ_FEED,
            handle=StreamEndpoint(doors),
            parameters=_OF_STREAM,
            headers=(LAST_EVENT_ID,),
            replies={200: FeedEvent},
            reply_type=MEDIA_TYPE,
            problems=(401, 403, 422, 503),
        ),
    ]


class FeedEndpoint:
    """Answers a page a request."""

    def __init__(self, doors: Mapping[str, RegionDoor]) -> None:
        self._doors = doors

    async def __call__(self, request: Request) -> Response:
        region, token = bearer(request.headers.get("authorization", ""), self._doors.__contains__)

        def wanted() -> Wanted:
            given = parameters.parsed(request.scope["query_string"], _OF_PAGE)
            return Wanted(_place(region, given.get("after")), given.get("limit", LIMIT_DEFAULT))

        page = await self._doors[region].feed.page(token, wanted)
        return Response(
            _encode(FeedPage(page.events, page.end.text())),
            headers={"Cache-Control": "no-store"},
            media_type="application/json",
        )


class StreamEndpoint:
    """Answers a request with events until one of the two ends it."""

    def __init__(self, doors: Mapping[str, RegionDoor]) -> None:
        self._doors = doors

    async def __call__(self, request: Request) -> Response:
        region, token = bearer(request.headers.get("authorization", ""), self._doors.__contains__)
        door = self._doors[region]

        def wanted() -> Wanted:
            given = parameters.parsed(request.scope["query_string"], _OF_STREAM)
            after = request.headers.get("last-event-id", given.get("after"))
            return Wanted(_place(region, after), BATCH_MAX)

        first = await door.feed.page(token, wanted)
        if request.method == "HEAD":
            return Response(headers=HEADERS, media_type=MEDIA_TYPE)
        if door.watch.closing.is_set():
            raise _later("this process is about to end: come again, to another")
        if door.watch.listeners >= LISTENERS_MAX:
            raise _later(f"{LISTENERS_MAX} listen already")
        return EventStream(door.feed, door.watch, token, first)


def _place(region: str, text: str | None) -> Vector:
    return Vector(region) if text is None else Vector.read(region, text)


def _later(says: str) -> Problem:
    return Problem("overloaded", says, headers={"Retry-After": str(RETRY_AFTER_S)})
