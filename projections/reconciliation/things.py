"""The things that events make rows of, as receivables must hold them: charges, invoices, payments and the like."""

from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

from ledger import events as e
from ledger.movements import line_total

_DAY_AMOUNT = ("effective_on", "due_on", "amount", "total")
COLUMNS = {
    "charge": ("id", "seq", *_DAY_AMOUNT, "category", "description"),
    "invoice": ("id", "seq", "issued_on", "due_on", "amount", "total", "kind", "period_and_lines"),
    "payment": ("id", "seq", "submitted_on", "due_on", "amount", "total", "method", "invoice"),
    "credit": ("id", "seq", *_DAY_AMOUNT, "applies_to", "invoice"),
    "refund": ("id", "seq", *_DAY_AMOUNT, "method", "payment_id"),
    "write_off": ("id", "seq", *_DAY_AMOUNT, "kind", "invoice"),
    "dispute": ("id", "seq", *_DAY_AMOUNT, "kind", "invoice"),
}
"""By table, what the fields of a Thing are called there; those that a table lacks are null."""


class Thing(NamedTuple):
    """A row as the event makes it, in the order of the statement `things` from `id` on.

    `amount_minor` is before tax where there is one.
    """

    id: str
    seq: int
    on: date
    due_on: date | None
    amount_minor: int
    total_minor: int
    sort: str | None
    about: str | None


def made(event: e.Event, version: int) -> tuple[str, Thing] | None:
    """The table and the row that an event makes, if it makes one; `version` is the event's."""
    make = _MAKES.get(type(event))
    return make(event, version) if make else None


def ended(event: e.Event) -> tuple[str, str] | None:
    """The table and the id of what an event reverses, cancels or resolves, if it does."""
    found = _ENDS.get(type(event))
    return (found[0], getattr(event, found[1])) if found else None


def _charge(event: e.ChargePosted, version: int) -> tuple[str, Thing]:
    total_minor = line_total(event.amount_minor, event.taxes)
    said = (event.category, event.description)
    on = event.effective_on
    return "charge", Thing(
        event.charge_id, version, on, None, event.amount_minor, total_minor, *said
    )


def _invoice(event: e.InvoiceIssued, version: int) -> tuple[str, Thing]:
    lines = event.lines
    about = f"{event.period_start} {event.period_end} {lines.count}"
    on, amounts = event.effective_on, (lines.total_minor, event.total_minor)
    return "invoice", Thing(event.number, version, on, event.due_on, *amounts, "invoice", about)


def _debit(event: e.PaymentReturned, version: int) -> tuple[str, Thing] | None:
    if event.debit is None:
        return None
    number, amount_minor, on = event.debit.number, event.debit.amount_minor, event.effective_on
    return "invoice", Thing(number, version, on, on, 0, amount_minor, "debit", "0")


def _payment(event: e.PaymentSubmitted, version: int) -> tuple[str, Thing]:
    return "payment", _plain(event.payment_id, event, version, event.method, event.invoice)


def _credit(event: e.CreditIssued, version: int) -> tuple[str, Thing]:
    total_minor = line_total(event.amount_minor, event.taxes)
    plain = _plain(event.credit_id, event, version, event.applies_to, event.invoice)
    return "credit", plain._replace(total_minor=total_minor)


def _refund(event: e.RefundIssued, version: int) -> tuple[str, Thing]:
    return "refund", _plain(event.refund_id, event, version, event.method, event.payment_id)


def _write_off(event: e.InvoiceWrittenOff, version: int) -> tuple[str, Thing]:
    return "write_off", _plain(event.write_off_id, event, version, None, event.invoice)


def _dispute(event: e.DisputeOpened, version: int) -> tuple[str, Thing]:
    return "dispute", _plain(event.dispute_id, event, version, None, event.invoice)


def _plain(id: str, event: Any, version: int, sort: str | None, about: str | None) -> Thing:
    amount_minor = event.amount_minor
    return Thing(id, version, event.effective_on, None, amount_minor, amount_minor, sort, about)


_MAKES: dict[type[e.Event], Callable[[Any, int], tuple[str, Thing] | None]] = {
    e.ChargePosted: _charge,
    e.InvoiceIssued: _invoice,
    e.PaymentReturned: _debit,
    e.PaymentSubmitted: _payment,
    e.CreditIssued: _credit,
    e.RefundIssued: _refund,
    e.InvoiceWrittenOff: _write_off,
    e.DisputeOpened: _dispute,
}
_ENDS: dict[type[e.Event], tuple[str, str]] = {
    e.ChargeReversed: ("charge", "charge_id"),
    e.InvoiceCancelled: ("invoice", "number"),
    e.CreditReversed: ("credit", "credit_id"),
    e.RefundReversed: ("refund", "refund_id"),
    e.WriteOffReversed: ("write_off", "write_off_id"),
    e.DisputeResolved: ("dispute", "dispute_id"),
}
