"""The things that events make rows of, as receivables must hold them: charges, invoices, payments and the like."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec

from ledger import events as e
from ledger.movements import line_total
from ledger.parts import Part

_MADE = ("id", "seq", "recorded_at")
_DAY_AMOUNT = ("effective_on", "due_on", "amount", "total")
COLUMNS = {
    "charge": (*_MADE, *_DAY_AMOUNT, "category", "description", "taxes", "late_ahead_quantity"),
    "invoice": (
        *(*_MADE, "issued_on", "due_on", "amount", "total", "kind", "period_and_lines"),
        *("categories_and_taxes", "rest"),
    ),
    "payment": (
        *(*_MADE, "submitted_on", "due_on", "amount", "total", "method", "invoice"),
        *("parts", "pay"),
    ),
    "credit": (*_MADE, *_DAY_AMOUNT, "applies_to", "invoice", "taxes", "dispute_id"),
    "refund": (*_MADE, *_DAY_AMOUNT, "method", "payment_id", "drawn", "rest"),
    "write_off": (*_MADE, *_DAY_AMOUNT, "kind", "invoice", "parts", "rest"),
    "dispute": (*_MADE, *_DAY_AMOUNT, "kind", "invoice", "parts", "rest"),
}
"""By table, what the fields of a Thing are called there; those that a table lacks are null."""


class Thing(NamedTuple):
    """A row as the event makes it, in the order of the statement `things` from `id` on.

    `amount_minor` is before tax where there is one; `parts` are totals and taxes, as JSON has them.
    """

    id: str
    seq: int
    recorded_at: datetime
    on: date
    due_on: date | None
    amount_minor: int
    total_minor: int
    sort: str | None
    about: str | None
    parts: list[dict[str, Any]] | None
    rest: str | None


class End(NamedTuple):
    """How a thing ended: on which day, and what else its row says of it."""

    on: date | None
    told: str | None


Made = tuple[int, datetime]
"""The version that made a thing, and when it was recorded."""


def made(event: e.Event, by: Made) -> tuple[str, Thing] | None:
    """The table and the row that an event makes, if it makes one."""
    make = _MAKES.get(type(event))
    return make(event, by) if make else None


def ended(event: e.Event) -> tuple[str, str, End] | None:
    """The table and the id of what an event reverses, cancels or resolves, if it does, and how."""
    found = _ENDS.get(type(event))
    if found is None:
        return None
    table, id = found[0], getattr(event, found[1])
    told: str | None = None
    if isinstance(event, e.WriteOffReversed):
        told = str(event.amount_minor)
    elif isinstance(event, e.DisputeResolved):
        told = " ".join(filter(None, (event.outcome, event.credit_id)))
    return table, id, End(event.effective_on, told)


def _charge(event: e.ChargePosted, by: Made) -> tuple[str, Thing]:
    rest = _PLAIN
    if event.late or event.ahead or event.quantity or event.unit_price:
        flags = ("t" if is_so else "f" for is_so in (event.late, event.ahead))
        rest = " ".join((*flags, event.quantity or "", event.unit_price or ""))
    return "charge", Thing(
        event.charge_id,
        *by,
        event.effective_on,
        None,
        event.amount_minor,
        line_total(event.amount_minor, event.taxes),
        event.category,
        event.description,
        _parts(event.taxes),
        rest,
    )


_PLAIN = "f f  "
"""Of a charge that is neither late nor ahead, without quantity and unit price."""


def _invoice(event: e.InvoiceIssued, by: Made) -> tuple[str, Thing]:
    lines = event.lines
    about = f"{event.period_start} {event.period_end} {lines.count}"
    days, amounts = (event.effective_on, event.due_on), (lines.total_minor, event.total_minor)
    parts = _parts((*lines.categories, *lines.taxes))
    return "invoice", Thing(event.number, *by, *days, *amounts, "invoice", about, parts, None)


def _debit(event: e.PaymentReturned, by: Made) -> tuple[str, Thing] | None:
    if event.debit is None:
        return None
    number, amount_minor, on = event.debit.number, event.debit.amount_minor, event.effective_on
    return "invoice", Thing(number, *by, on, on, 0, amount_minor, "debit", "0", [], None)


def _payment(event: e.PaymentSubmitted, by: Made) -> tuple[str, Thing]:
    plain = _plain(event.payment_id, event, by, event.method, event.invoice)
    return "payment", plain._replace(rest=event.pay)


def _credit(event: e.CreditIssued, by: Made) -> tuple[str, Thing]:
    plain = _plain(event.credit_id, event, by, event.applies_to, event.invoice)
    total_minor = line_total(event.amount_minor, event.taxes)
    return "credit", plain._replace(
        total_minor=total_minor, parts=_parts(event.taxes), rest=event.dispute_id
    )


def _refund(event: e.RefundIssued, by: Made) -> tuple[str, Thing]:
    plain = _plain(event.refund_id, event, by, event.method, event.payment_id)
    return "refund", plain._replace(parts=_parts(event.drawn))


def _write_off(event: e.InvoiceWrittenOff, by: Made) -> tuple[str, Thing]:
    return "write_off", _plain(event.write_off_id, event, by, None, event.invoice)


def _dispute(event: e.DisputeOpened, by: Made) -> tuple[str, Thing]:
    return "dispute", _plain(event.dispute_id, event, by, None, event.invoice)


def _plain(id: str, event: Any, by: Made, sort: str | None, about: str | None) -> Thing:
    on, amount_minor = event.effective_on, event.amount_minor
    return Thing(id, *by, on, None, amount_minor, amount_minor, sort, about, None, None)


def _parts(parts: tuple[Part, ...]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(part) for part in parts]


_MAKES: dict[type[e.Event], Callable[[Any, Made], tuple[str, Thing] | None]] = {
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
