"""GET /v1/finance/aging and /v1/finance/receivables: what the accounts of a region owe, and for how long."""

from collections.abc import Mapping

from api import parameters
from api.doors import RegionDoor
from api.operations import Operation
from api.parameters import CURSOR, LIMIT, Parameter
from api.region_reads import NOT_OLDER_THAN, REGION_AS_OF, RegionRead, RegionReading
from api.security.scope import READ_BOOKS
from api.standings import AgedAccount, AgedTotal, OwedAccount, OwedTotal, Page, page

STATUSES = ("owing", "credit_balance", "past_due", "disputed")
STATUS = Parameter(
    "status",
    parameters.one_of(*STATUSES),
    {"type": "string", "enum": list(STATUSES)},
    "Only accounts that owe, that are owed, that are past due or that dispute something.",
)
AGING_PARAMETERS = parameters.named(*REGION_AS_OF, LIMIT, CURSOR)
RECEIVABLES_PARAMETERS = parameters.named(*REGION_AS_OF, STATUS, LIMIT, CURSOR)


async def aging(reading: RegionReading) -> Page[AgedAccount, AgedTotal]:
    """Accounts with open items or unapplied credit, by days past due."""
    return await page(reading, "aging", "aged", AgedAccount, AgedTotal)


async def receivables(reading: RegionReading) -> Page[OwedAccount, OwedTotal]:
    """Accounts that have anything, or are as the request's `status` says."""
    return await page(reading, "receivables", reading.given.get("status"), OwedAccount, OwedTotal)


def standing_operations(doors: Mapping[str, RegionDoor]) -> list[Operation]:
    """The operations of aging and receivables."""
    details = (
        "`totals`, by currency, are of every account listed, and stand on the first page. Give its"
        " `position` as `at` with the cursor, and all pages are of one moment."
    )
    return [
        Operation(
            method="GET",
            path="/v1/finance/aging",
            name="get_aging",
            says="Open amounts by days past due: of the region by currency, and of each account",
            details=details,
            tag="finance",
            permission=READ_BOOKS,
            handle=RegionRead(doors, READ_BOOKS, AGING_PARAMETERS, aging, views=("receivables",)),
            replies={200: Page[AgedAccount, AgedTotal]},
            parameters=AGING_PARAMETERS,
            headers=(NOT_OLDER_THAN,),
            problems=(401, 403, 422, 503),
            codes=("view_damaged",),
        ),
        Operation(
            method="GET",
            path="/v1/finance/receivables",
            name="list_receivables",
            says="Accounts and what they owe; credit balances apart with a status",
            details=details,
            tag="finance",
            permission=READ_BOOKS,
            handle=RegionRead(
                doors, READ_BOOKS, RECEIVABLES_PARAMETERS, receivables, views=("receivables",)
            ),
            replies={200: Page[OwedAccount, OwedTotal]},
            parameters=RECEIVABLES_PARAMETERS,
            headers=(NOT_OLDER_THAN,),
            problems=(401, 403, 422, 503),
            codes=("view_damaged",),
        ),
    ]
