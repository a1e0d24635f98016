"""What each event moves, and from which day: the one reading of events that every figure is a sum of.

Summed over an account's movements, whatever is left out by date or by position:
open of an invoice = what is owed on it; unapplied of a source = money not allocated;
balance = sum of open - sum of unapplied; current activity = sum of unbilled; pending payments =
sum of pending; flagged of an invoice = what live disputes contest.
"""

from collections.abc import Iterator
from datetime import date
from typing import Literal, NamedTuple

from ledger import events as e
from ledger.parts import Tax

ALLOCATING = frozenset(
    kind for kind in e.EVENTS if not {"undone", "allocations"}.isdisjoint(kind.__struct_fields__)
)
"""Events that put money or credit on invoices, or take it off."""

Figure = Literal["open", "unapplied", "unbilled", "pending", "flagged"]


class Movement(NamedTuple):
    """A signed amount in minor units that a figure changes by from the day `on`.

    `item` is an invoice number (open, flagged), a source (unapplied), a payment id (pending), or
    empty (unbilled).
    """

    figure: Figure
    item: str
    on: date
    amount_minor: int


def movements(event: e.Event) -> list[Movement]:
    """The movements of an event, in order; none for one that moves no money."""
    found = _own(event)
    if type(event) in ALLOCATING:
        found += (*_undone(event), *_allocated(event))
    return [movement for movement in found if movement.amount_minor]


def line_total(amount_minor: int, taxes: tuple[Tax, ...]) -> int:
    """An amount and its tax."""
    if not taxes:
        return amount_minor
    return amount_minor + sum(tax.amount_minor for tax in taxes)


def _own(event: e.Event) -> list[Movement]:
    on = event.effective_on
    match event:
        case e.ChargePosted():
            return [Movement("unbilled", "", on, line_total(event.amount_minor, event.taxes))]
        case e.ChargeReversed():
            return [Movement("unbilled", "", on, -line_total(event.amount_minor, event.taxes))]
        case e.CreditIssued() | e.CreditReversed():
            return [_credit(event)]
        case e.PaymentSubmitted():
            return [Movement("pending", event.payment_id, on, event.amount_minor)]
        case e.PaymentFailed():
            return [Movement("pending", event.payment_id, on, -event.submitted_minor)]
        case e.PaymentProcessed():
            pending = Movement("pending", event.payment_id, on, -event.submitted_minor)
            return [pending, _payment(event, event.amount_minor)]
        case e.PaymentUnprocessed():
            pending = Movement("pending", event.payment_id, on, event.submitted_minor)
            return [pending, _payment(event, -event.amount_minor)]
        case e.PaymentReturned():
            debit_minor = event.debit.amount_minor if event.debit else 0
            returned = _payment(event, debit_minor - event.amount_minor)
            if event.debit is None:
                return [returned]
            return [returned, Movement("open", event.debit.number, on, debit_minor)]
        case e.PaymentReinstated():
            return [_payment(event, event.amount_minor)]
        case e.RefundIssued():
            return [Movement("unapplied", d.source, on, -d.amount_minor) for d in event.drawn]
        case e.RefundReversed():
            return [Movement("unapplied", d.source, on, d.amount_minor) for d in event.drawn]
        case e.InvoiceWrittenOff():
            return [Movement("open", event.invoice, on, -event.amount_minor)]
        case e.WriteOffReversed():
            return [Movement("open", event.invoice, on, event.amount_minor)]
        case e.DisputeOpened():
            return [Movement("flagged", event.invoice, on, event.amount_minor)]
        case e.DisputeResolved():
            return [Movement("flagged", event.invoice, on, -event.amount_minor)]
        case e.InvoiceIssued():
            return _invoice(event, 1)
        case e.InvoiceCancelled():
            return _invoice(event, -1)
        case _:
            return []


def _credit(event: e.CreditIssued | e.CreditReversed) -> Movement:
    total = line_total(event.amount_minor, event.taxes)
    sign = 1 if isinstance(event, e.CreditIssued) else -1
    if event.applies_to == "next_invoice":
        return Movement("unbilled", "", event.effective_on, -sign * total)
    return Movement("unapplied", f"credit:{event.credit_id}", event.effective_on, sign * total)


def _payment(
    event: e.PaymentProcessed | e.PaymentUnprocessed | e.PaymentReturned | e.PaymentReinstated,
    amount_minor: int,
) -> Movement:
    return Movement("unapplied", f"payment:{event.payment_id}", event.effective_on, amount_minor)


def _invoice(event: e.InvoiceIssued | e.InvoiceCancelled, sign: int) -> list[Movement]:
    on = event.effective_on
    return [
        Movement("unbilled", "", on, -sign * event.lines.total_minor),
        Movement("open", event.number, on, sign * event.total_minor),
        Movement("unapplied", f"carried:{event.number}", on, sign * event.carried_minor),
    ]


def _undone(event: e.Event) -> Iterator[Movement]:
    for undoing in getattr(event, "undone", ()):
        yield Movement("open", undoing.invoice, undoing.on, undoing.amount_minor)
        yield Movement("unapplied", undoing.source, undoing.on, undoing.amount_minor)


def _allocated(event: e.Event) -> Iterator[Movement]:
    for allocation in getattr(event, "allocations", ()):
        on = allocation.on
        yield Movement("open", allocation.invoice, on, allocation.recovered_minor)
        yield Movement("open", allocation.invoice, on, -allocation.amount_minor)
        yield Movement("unapplied", allocation.source, on, -allocation.amount_minor)
