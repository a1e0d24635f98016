"""GET /v1/finance/reconciliation: whether the books agree, as far as they were last reconciled."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api.asking import private
from api.database import Transaction
from api.doors import RegionDoor
from api.entering import bearer, enter
from api.operations import Operation
from api.parameters import parsed
from api.reconciliations import SQL, DifferenceFound, Standing, read_found
from api.security.scope import READ_BOOKS
from api.vectors import Vector
from ledger.store.lanes import LANES

FOUND_MAX = 1_000
"""Differences that are given; all are counted."""


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """What the last reconciliation of each lane found.

    `agrees`: all lanes were reconciled, and nothing differed. `finished_at` is when the lane was that
    was longest ago. `position` is how far the log was in each; what was recorded since is not proved.
    """

    agrees: bool
    lanes: int
    lanes_reconciled: int
    accounts: int
    events: int
    differences: int
    found: list[DifferenceFound]
    finished_at: datetime | None
    position: str


def reconciliation_operation(doors: Mapping[str, RegionDoor]) -> Operation:
    """The operation."""

    async def handle(request: Request) -> Response:
        region, token = bearer(request.headers.get("authorization", ""), doors.__contains__)

        async def read(transaction: Transaction) -> Response:
            await enter(transaction, READ_BOOKS, token)
            parsed(request.scope["query_string"], {})
            [row] = await transaction.rows(SQL["standing"], ())
            lanes = await transaction.rows(SQL["lanes"], ())
            return private(_body(region, Standing(*row), lanes))

        return await doors[region].books.transact(read, frozen=True)

    return Operation(
        method="GET",
        path="/v1/finance/reconciliation",
        name="get_reconciliation",
        says="Whether log, receivables, journal and invoices agree, as last reconciled",
        details="Every lane is reconciled again and again while the service runs, and by "
        "`billing-ledger reconcile`. Each difference is given with its account, figure and the first "
        "event that disagrees.",
        tag="finance",
        permission=READ_BOOKS,
        handle=handle,
        replies={200: Reconciliation},
        problems=(401, 403, 422, 503),
    )


def _body(region: str, standing: Standing, lanes: list[tuple[int, int, str]]) -> Reconciliation:
    found: list[DifferenceFound] = []
    for _, _, text in lanes:
        found += read_found(text) if len(found) < FOUND_MAX else ()
    return Reconciliation(
        agrees=standing.lanes == LANES and standing.differences == 0,
        lanes=LANES,
        lanes_reconciled=standing.lanes,
        accounts=standing.accounts,
        events=standing.events,
        differences=standing.differences,
        found=found[:FOUND_MAX],
        finished_at=standing.finished_at,
        position=Vector(region, [position for _, position, _ in lanes]).text(),
    )
