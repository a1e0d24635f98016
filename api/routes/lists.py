"""The lists of an account and their single things, by one table; an invoice shows its lines too."""

from collections.abc import Mapping
from datetime import date, datetime

import msgspec

from api import lists, parameters, shown
from api.account_reads import AS_OF, Reading, read_operation
from api.amounts import Money, money
from api.doors import RegionDoor
from api.lists import LAST_OF_DAYS, Listing, Page
from api.operations import Operation
from api.parameters import CURSOR, LIMIT
from api.problems import Problem
from ledger.store.sql import load

ALLOCATIONS_MAX = 500
_AS_OF = parameters.named(*AS_OF)
_SQL = load("api", "lists.sql")

_INVOICES = Listing(
    name="invoices",
    shown=shown.invoice,
    row=shown.InvoiceShown,
    id="number",
    on="issued_on",
    statuses=("open", "paid", "written_off", "cancelled"),
)
LISTINGS = (
    Listing(
        name="charges",
        shown=shown.charge,
        row=shown.ChargeShown,
        id="charge_id",
        statuses=("unbilled", "billed", "reversed"),
        of_status={"unbilled": "unbilled_charges", "reversed": "reversed_charges"},
        of_invoice="invoice_charges",
        status_on_invoice="billed",
    ),
    _INVOICES,
    Listing(
        name="payments",
        shown=shown.payment,
        row=shown.PaymentShown,
        id="payment_id",
        statuses=("pending", "processed", "failed", "returned"),
        touches_invoices=True,
    ),
    Listing(
        name="credits",
        shown=shown.credit,
        row=shown.CreditShown,
        id="credit_id",
        statuses=("issued", "reversed"),
        touches_invoices=True,
    ),
    Listing(
        name="refunds",
        shown=shown.refund,
        row=shown.RefundShown,
        id="refund_id",
        statuses=("issued", "reversed"),
    ),
    Listing(
        name="write_offs",
        shown=shown.write_off,
        row=shown.WriteOffShown,
        id="write_off_id",
        statuses=("issued", "reversed"),
    ),
    Listing(
        name="disputes",
        shown=shown.dispute,
        row=shown.DisputeShown,
        id="dispute_id",
        statuses=("open", "upheld", "rejected"),
    ),
    Listing(name="messages", shown=shown.message, row=shown.MessageShown, id="message_id"),
)
"""What an account has; the path is the name with hyphens."""
_ACTIVITY = Listing(name="activity", shown=shown.line, row=shown.LineShown, id="id")
_LINES = Listing(
    name="invoice_lines",
    shown=shown.line,
    row=shown.LineShown,
    id="id",
    of_invoice="invoice_lines",
)


class Source(msgspec.Struct, frozen=True):
    """What is left of an amount put on an invoice; `recovered` of it took back a write-off."""

    source: str
    amount: Money
    recovered: Money
    effective_on: date


class InvoiceAt(shown.InvoiceShown, frozen=True, kw_only=True):
    """An invoice with a page of its lines and what was put on it."""

    taxes: list[shown.TaxShown]
    lines: list[shown.LineShown]
    next_cursor: str | None
    allocations: list[Source]
    effective_on: date
    known_at: datetime | None
    position: str


class ActivityPage(Page[shown.LineShown], frozen=True, kw_only=True):
    """A page of what is not billed yet; the figure is the sum of all pages' totals."""

    current_activity: Money


def list_operations(doors: Mapping[str, RegionDoor]) -> list[Operation]:
    """An operation for each list, and for each thing that a list has."""
    return [
        read_operation(
            doors,
            "/activity",
            "list_activity",
            "Current activity: what the next invoice will take",
            _ACTIVITY.parameters,
            _activity,
            ActivityPage,
        ),
        read_operation(
            doors,
            "/invoices/{number}",
            "get_invoice",
            "An invoice with its lines and allocations",
            parameters.named(*AS_OF, LIMIT, CURSOR),
            _invoice,
            InvoiceAt,
        ),
        *(_list(doors, listing) for listing in LISTINGS),
        *(_one(doors, listing) for listing in LISTINGS if listing is not _INVOICES),
    ]


def _list(doors: Mapping[str, RegionDoor], listing: Listing) -> Operation:
    async def work(reading: Reading, key: bytes) -> msgspec.Struct:
        return await lists.page(listing, reading, key)

    return read_operation(
        doors,
        f"/{listing.name.replace('_', '-')}",
        f"list_{listing.name}",
        f"{listing.name.replace('_', '-').capitalize()}, newest first",
        listing.parameters,
        work,
        Page[listing.row],  # type: ignore[name-defined] # a type made at run time
    )


def _one(doors: Mapping[str, RegionDoor], listing: Listing) -> Operation:
    async def work(reading: Reading, key: bytes) -> msgspec.Struct:
        return await lists.one(listing, reading, reading.given[listing.id])

    name = listing.name.removesuffix("s")
    return read_operation(
        doors,
        f"/{listing.name.replace('_', '-')}/{{{listing.id}}}",
        f"get_{name}",
        f"One {name.replace('_', '-')}",
        _AS_OF,
        work,
        listing.row,
    )


async def _activity(reading: Reading, key: bytes) -> ActivityPage:
    """The lines of the figure: only those of the day and before, as the figure counts."""
    reading.day = reading.effective_on
    page = await lists.page(_ACTIVITY, reading, key)
    [(total_minor,)] = await reading.rows(_SQL["current_activity"], day=reading.effective_on)
    return ActivityPage(
        **msgspec.structs.asdict(page), current_activity=money(total_minor, reading.currency)
    )


async def _invoice(reading: Reading, key: bytes) -> InvoiceAt:
    number, currency = reading.given["number"], reading.currency
    day = reading.day or LAST_OF_DAYS
    rows = await reading.named(_INVOICES.one_statement(), day=day, id=number)
    if not rows:
        raise Problem("item_unknown", f"the account has no invoice {number[:64]!r}")
    reading.given = {**reading.given, "invoice": number}
    lines = await lists.page(_LINES, reading, key)
    sources = await reading.rows(
        _SQL["invoice_allocations"], invoice=number, day=day, limit=ALLOCATIONS_MAX
    )
    return InvoiceAt(
        **msgspec.structs.asdict(shown.invoice(rows[0], currency)),
        taxes=[
            shown.TaxShown(tax["name"], "", money(tax["amount_minor"], currency))
            for tax in rows[0]["taxes"]
        ],
        lines=lines.data,
        next_cursor=lines.next_cursor,
        allocations=[
            Source(source, money(amount, currency), money(recovered, currency), on)
            for source, amount, recovered, on in sources
        ],
        effective_on=reading.effective_on,
        known_at=reading.known_at,
        position=reading.read_at,
    )
