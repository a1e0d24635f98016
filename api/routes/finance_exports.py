"""GET /v1/finance/exports/{beancount,hledger,csv,parquet}: the journal of posting periods as a file."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Annotated, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api import parameters
from api.damage import view_damaged
from api.database import Transaction
from api.doors import RegionDoor
from api.entering import bearer, enter
from api.event_stream import STREAM
from api.exports.books import MONTHS_MAX, VIEWS, ExportDiffers, Outline, months_of, outline
from api.exports.writing import FORMS, PARQUET, Form, Writer, parts
from api.operations import Operation
from api.parameters import Parameter
from api.problems import Problem, invalid_query
from api.region_reads import AT, NOT_OLDER_THAN, RegionRead, RegionReading
from api.security.scope import READ_BOOKS
from api.streamed import Watched
from ledger.errors import InvalidPeriod
from ledger.month_end import PERIOD, Period, period_of

Parquet = Annotated[str, msgspec.Meta(extra_json_schema={"contentMediaType": PARQUET})]
"""Bytes of a Parquet file, as a schema says it."""
PATH = "/v1/finance/exports/"
EXPORTS_MAX = 4
"""That a process makes of a region at once: each takes a share of its CPU."""
RETRY_AFTER_S = 5

T = TypeVar("T")


def _month(text: str) -> Period:
    """A month such as 2020-07; raises ValueError."""
    try:
        return period_of(text)
    except InvalidPeriod:
        raise ValueError(f"{text[:40]!r} is not a month such as 2020-07") from None


_SCHEMA = {"type": "string", "pattern": f"^{PERIOD.pattern}$"}
_THROUGH = f"The last posting period, of {MONTHS_MAX} at most; the same as `period`."
PARAMETERS = parameters.named(
    Parameter("period", _month, _SCHEMA, "The (first) posting period.", required=True),
    Parameter("through", _month, _SCHEMA, _THROUGH),
    parameters.KNOWN_AT,
    AT,
)
_SAYS = {
    "beancount": "The journal of posting periods for Beancount",
    "hledger": "The journal of posting periods for hledger and Ledger",
    "csv": "The journal of posting periods as CSV",
    "parquet": "The journal of posting periods as Parquet",
}
_DETAILS = (
    "The same bytes for the same position, for ever. The answer is made while it is sent: one that"
    " cannot be finished, or whose entries do not add up to the journal's own sums, is broken off."
)


def export_operations(doors: Mapping[str, RegionDoor]) -> list[Operation]:
    """The operations of exports."""
    under_way = UnderWay()
    return [
        Operation(
            method="GET",
            path=PATH + name,
            name=f"export_{name}",
            says=_SAYS[name],
            details=_DETAILS,
            tag="finance",
            permission=READ_BOOKS,
            handle=ExportEndpoint(doors, form, under_way),
            parameters=PARAMETERS,
            headers=(NOT_OLDER_THAN,),
            replies={200: Parquet if form.media_type == PARQUET else str},
            reply_type=form.media_type.partition(";")[0],
            problems=(401, 403, 422, 503),
            codes=("view_damaged",),
        )
        for name, form in FORMS.items()
    ]


class UnderWay:
    """How many exports of each region a process makes."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def begin(self, region: str) -> None:
        """One more; raises Problem when there are as many as may be."""
        count = self._counts.get(region, 0)
        if count >= EXPORTS_MAX:
            wait = {"Retry-After": str(RETRY_AFTER_S)}
            raise Problem("overloaded", f"{EXPORTS_MAX} exports are made already", headers=wait)
        self._counts[region] = count + 1

    def end(self, region: str) -> None:
        """One less."""
        self._counts[region] -= 1


class ExportEndpoint:
    """Answers with one form of export."""

    def __init__(self, doors: Mapping[str, RegionDoor], form: Form, under_way: UnderWay) -> None:
        self._doors = doors
        self._form = form
        self._under_way = under_way

    async def __call__(self, request: Request) -> Response:
        async def work(reading: RegionReading) -> Response:
            found = await _outline(reading)
            if request.method == "HEAD":
                return Response(headers=_headers(found, self._form))
            return Download(request, self._doors, found, self._form, self._under_way)

        read = RegionRead(self._doors, READ_BOOKS, PARAMETERS, work, views=VIEWS)
        return await read(request)


async def _outline(reading: RegionReading) -> Outline:
    first: Period = reading.given["period"]
    last: Period = reading.given.get("through", first)
    try:
        periods = months_of(first, last)
    except ValueError as fault:
        raise invalid_query("through", str(fault)) from None
    try:
        return await outline(
            reading.transaction,
            region=reading.region,
            position=reading.position,
            positions=reading.positions,
            parked=reading.parked,
            periods=periods,
        )
    except ExportDiffers as fault:
        raise view_damaged("journal", str(fault)) from fault


def _headers(of: Outline, form: Form) -> dict[str, str]:
    return {
        "Content-Type": form.media_type,
        "Content-Disposition": f'attachment; filename="{of.name}.{form.suffix}"',
        "Cache-Control": "no-store, no-transform",
        "X-Accel-Buffering": "no",
    }


class Download(Watched):
    """An export, sent while it is made; broken off when its reader has gone or the process ends.

    Each page is read for the token anew: one that is revoked meanwhile gets no more.
    """

    def __init__(
        self,
        request: Request,
        doors: Mapping[str, RegionDoor],
        of: Outline,
        form: Form,
        under_way: UnderWay,
    ) -> None:
        super().__init__(self._made(form.writer(of)), form.media_type, _headers(of, form))
        region, self._token = bearer(request.headers["authorization"], doors.__contains__)
        self._door = doors[region]
        self._outline = of
        self._under_way = under_way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._under_way.begin(self._outline.region)
        scope[STREAM] = True
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._under_way.end(self._outline.region)

    async def _made(self, writer: Writer) -> AsyncGenerator[bytes, None]:
        async with aclosing(parts(self._outline, writer, self._read)) as made:
            async for part in made:
                if self._door.watch.closing.is_set():
                    raise Problem("overloaded", "this process ends: ask again")
                yield part

    async def _read(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async def entered(transaction: Transaction) -> T:
            await enter(transaction, READ_BOOKS, self._token)
            return await work(transaction)

        return await self._door.books.transact(entered)
