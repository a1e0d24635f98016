"""POST and GET /v1/month-ends: asking for one invoice for every account that is due, and its progress."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import date
from typing import Annotated, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api import parameters
from api.asking import come_in, private
from api.body import read_json
from api.cursors import list_of, seal, unseal
from api.doors import RegionDoor
from api.moments import DAY_SCHEMA, FIRST_DAY, LAST_DAY
from api.month_end_preview import InvoiceWouldBe, PreviewEnd, RefusalWouldBe
from api.operations import NDJSON, Handle, Operation
from api.parameters import CURSOR, DRY_RUN, LIMIT, LIMIT_DEFAULT
from api.problems import Problem, invalid_field
from api.routes.month_end_previews import Previews
from api.security.scope import CLOSE_MONTH, READ_BOOKS
from ledger.closing import MonthEnd, MonthEnds
from ledger.errors import InvalidPeriod
from ledger.month_end import PERIOD, period_of

PATH = "/v1/month-ends"
_PERIOD = f"^{PERIOD.pattern}$"
_SHOWN_MAX = 40
"""Of what is no month, which is longer than one."""

T = TypeVar("T")


class MonthEndBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The month to close, such as 2020-07; invoices are issued on `issued_on`, or (null) each on
    the day its account's period ends."""

    period: Annotated[str, msgspec.Meta(extra_json_schema={"pattern": _PERIOD})]
    issued_on: Annotated[date, msgspec.Meta(extra_json_schema=DAY_SCHEMA)] | None = None


_KNOWN = parameters.named(DRY_RUN)
_OF_LIST = parameters.named(LIMIT, CURSOR)


class MonthEndsPage(msgspec.Struct, frozen=True):
    """A page of the list."""

    data: list[MonthEnd]
    next_cursor: str | None


_decoder = msgspec.json.Decoder(MonthEndBody)


def month_end_operations(doors: Mapping[str, RegionDoor]) -> list[Operation]:
    """The operations of month ends."""

    previews = Previews()

    async def ask(request: Request) -> Response:
        asker = await come_in(request, doors, CLOSE_MONTH, _KNOWN)
        body = await read_json(request, _decoder)
        _refuse_no_month(body.period)
        if body.issued_on is not None and not FIRST_DAY <= body.issued_on <= LAST_DAY:
            says = f"{body.issued_on} is not from {FIRST_DAY.year} to {LAST_DAY.year}"
            raise invalid_field("/issued_on", says)
        if asker.found.get("dry_run", False):
            return await previews.answer(asker, body.period, body.issued_on)
        today, actor = asker.door.today(), asker.principal.actor
        run = await _at(
            asker.door,
            lambda ends: ends.ask(body.period, body.issued_on, actor=actor, today=today),
        )
        return private(run, 202, {"Location": f"{PATH}/{run.period}"})

    async def status(request: Request) -> Response:
        asker = await come_in(request, doors, READ_BOOKS)
        period = request.path_params["period"]
        run = await _at(asker.door, lambda ends: ends.status(period))
        if run is None:
            raise Problem("not_found", f"no month end of {period} was asked for")
        return private(run)

    async def listed(request: Request) -> Response:
        asker = await come_in(request, doors, READ_BOOKS, _OF_LIST)
        key, kind = await asker.door.cursor_key(), list_of("list_month_ends", PATH, {})
        limit: int = asker.found.get("limit", LIMIT_DEFAULT)
        text: str | None = asker.found.get("cursor")
        before = None if text is None else unseal(key, kind, text, tuple[str])[0]
        runs = await _at(asker.door, lambda ends: ends.runs(before, limit + 1))
        page = runs[:limit]
        further = seal(key, kind, (page[-1].period,)) if len(runs) > limit else None
        return private(MonthEndsPage(page, further))

    return [_closing(ask), _listing(listed), _looking(status)]


def _closing(handle: Handle) -> Operation:
    return Operation(
        method="POST",
        path=PATH,
        name="close_month",
        says="Close a month: an invoice for every account that is due",
        details="Asked again it goes on, or looks at every account again; no account is billed "
        "twice for a month. The work goes on after the answer: see its status. A dry run records "
        "nothing and answers with a line for every invoice that would be issued now and for every "
        "account that would be refused, and a last one of totals.",
        tag="month ends",
        permission=CLOSE_MONTH,
        handle=handle,
        parameters=_KNOWN,
        replies={202: MonthEnd, 200: InvoiceWouldBe | RefusalWouldBe | PreviewEnd},
        reply_types={200: NDJSON},
        reply_headers={202: ("Location",)},
        body=MonthEndBody,
        codes=(
            *("invalid_period", "period_not_begun", "month_end_running"),
            *("effective_in_future", "effective_before_cause"),
        ),
        problems=(400, 401, 403, 409, 413, 415, 422, 503),
    )


def _listing(handle: Handle) -> Operation:
    return Operation(
        method="GET",
        path=PATH,
        name="list_month_ends",
        says="Month ends that were asked for, the latest month first",
        tag="month ends",
        permission=READ_BOOKS,
        handle=handle,
        parameters=_OF_LIST,
        replies={200: MonthEndsPage},
        problems=(401, 403, 422, 503),
    )


def _looking(handle: Handle) -> Operation:
    return Operation(
        method="GET",
        path=PATH + "/{period}",
        name="get_month_end",
        says="How far a month end is, and what became of its accounts",
        tag="month ends",
        permission=READ_BOOKS,
        handle=handle,
        replies={200: MonthEnd},
        places={"period": {"type": "string", "pattern": _PERIOD}},
        codes=("not_found", "invalid_period"),
        problems=(401, 403, 404, 422, 503),
    )


def _refuse_no_month(period: str) -> None:
    """Raises Problem (422) for a text that is no month, in the words that the path has for it."""
    try:
        period_of(period[:_SHOWN_MAX])
    except InvalidPeriod as refusal:
        raise invalid_field("/period", str(refusal), refusal.code) from None


async def _at(door: RegionDoor, do: Callable[[MonthEnds], T]) -> T:
    """What is done with the region's month ends, in a thread: it may wait for a batch at hand."""

    def opened() -> T:
        with closing(door.month_ends()) as ends:
            return do(ends)

    return await asyncio.to_thread(opened)
