"""POST and GET /v1/month-ends/{period}/closing: a month's books are cut off, proved, and closed."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from api.asking import come_in, private
from api.closed_books import ClosedBooks, closed_books
from api.doors import RegionDoor
from api.operations import Operation
from api.problems import Problem
from api.security.scope import CLOSE_MONTH, READ_BOOKS
from ledger.month_end import PERIOD
from ledger.period_close import PeriodCloses

PATH = "/v1/month-ends/{period}/closing"
_PLACES = {"period": {"type": "string", "pattern": f"^{PERIOD.pattern}$"}}

T = TypeVar("T")


def closing_operations(doors: Mapping[str, RegionDoor]) -> list[Operation]:
    """The operations of closings."""

    async def ask(request: Request) -> Response:
        asker = await come_in(request, doors, CLOSE_MONTH)
        period, today = request.path_params["period"], asker.door.today()
        actor = asker.principal.actor
        found = await _at(
            asker.door, lambda closes: closes.cut_off(period, actor=actor, today=today)
        )
        return private(closed_books(found), 202)

    async def look(request: Request) -> Response:
        asker = await come_in(request, doors, READ_BOOKS)
        period = request.path_params["period"]
        found = await _at(asker.door, lambda closes: closes.find(period))
        if found is None:
            raise Problem("not_found", f"the books of {period} are open")
        return private(closed_books(found))

    return [
        Operation(
            method="POST",
            path=PATH,
            name="close_books",
            says="Close the books of a month that is over and invoiced",
            details="What is recorded from now on is posted in the first open month. The month is "
            "closed once its events, the journal and the views are found to agree, which goes on "
            "after the answer. It cannot be undone.",
            tag="month ends",
            permission=CLOSE_MONTH,
            handle=ask,
            replies={202: ClosedBooks},
            places=_PLACES,
            codes=("invalid_period", "period_not_over", "month_not_billed", "period_closed"),
            problems=(401, 403, 409, 422, 503),
        ),
        Operation(
            method="GET",
            path=PATH,
            name="get_closed_books",
            says="Whether a month's books are closed, and the report they were closed with",
            details="A month that was still open when a later one was closed is closed with that one, and "
            "has a report of its own. While they are cut off and not closed, what was found to disagree when they were "
            "last looked at is given too.",
            tag="month ends",
            permission=READ_BOOKS,
            handle=look,
            replies={200: ClosedBooks},
            places=_PLACES,
            codes=("not_found", "invalid_period"),
            problems=(401, 403, 404, 422, 503),
        ),
    ]


async def _at(door: RegionDoor, do: Callable[[PeriodCloses], T]) -> T:
    """What is done with the region's closed months, in a thread: a cut waits for appends."""

    def opened() -> T:
        with closing(door.period_closes()) as closes:
            return do(closes)

    return await asyncio.to_thread(opened)
