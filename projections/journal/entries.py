"""The journal entries of an event: what is debited and credited, each on its own day.

One reading of DESIGN's table of entries, taken from the events' own fields and not from the
movements that the figures are sums of: that the two agree is what a reconciliation proves.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, NamedTuple

from ledger import events as e
from ledger.movements import ALLOCATING
from ledger.parts import Tax

UNBILLED = "unbilled_receivables"
RECEIVABLE = "accounts_receivable"
CREDITS = "customer_credits"
ALLOWANCES = "allowances"
BAD_DEBT = "bad_debt"
REVENUE, TAX, CASH = "revenue:", "tax_payable:", "cash:"
"""Prefixes: an account for each category, name of a tax, and method of payment."""

CONTROLS = (UNBILLED, RECEIVABLE, CREDITS)
"""Accounts that equal a figure at any two clocks: current activity, open amounts, unapplied credit."""


class Entry(NamedTuple):
    """An amount (> 0, minor units) that one account is debited with and another credited, on a day.

    `kind` is what it is an entry of; `document` the thing it is about, such as `charge:c1`, and
    `invoice` the invoice or debit item that it changes, if it does.
    """

    kind: str
    on: date
    debit: str
    credit: str
    document: str
    invoice: str | None
    amount_minor: int


def entries(event: e.Event) -> list[Entry]:
    """The entries of an event, in order; none for one that moves no money."""
    kind = type(event)
    found = list(own(event)) if (own := _OWN.get(kind)) else []
    if kind in ALLOCATING:
        found += (*_undone(event), *_allocated(event))
    found = [entry for entry in found if entry.amount_minor]
    for entry in found:
        assert entry.amount_minor > 0, "an entry's amount is below zero"
    return found


def _inverse(entry: Entry) -> Entry:
    return entry._replace(debit=entry.credit, credit=entry.debit)


def _charge(event: e.ChargePosted) -> Iterator[Entry]:
    return _charged(event, "charge")


def _charge_reversal(event: e.ChargeReversed) -> Iterator[Entry]:
    return map(_inverse, _charged(event, "charge_reversal"))


def _charged(event: e.ChargePosted | e.ChargeReversed, kind: str) -> Iterator[Entry]:
    on, document = event.effective_on, f"charge:{event.charge_id}"
    revenue = f"{REVENUE}{event.category}"
    yield Entry(kind, on, UNBILLED, revenue, document, None, event.amount_minor)
    for tax in event.taxes:
        yield Entry(kind, on, UNBILLED, f"{TAX}{tax.name}", document, None, tax.amount_minor)


def _credit(event: e.CreditIssued) -> Iterator[Entry]:
    return _credited(event, "credit", event.invoice)


def _credit_reversal(event: e.CreditReversed) -> Iterator[Entry]:
    return map(_inverse, _credited(event, "credit_reversal", None))


def _credited(
    event: e.CreditIssued | e.CreditReversed, kind: str, invoice: str | None
) -> Iterator[Entry]:
    on, document = event.effective_on, f"credit:{event.credit_id}"
    lowered = UNBILLED if event.applies_to == "next_invoice" else CREDITS
    taxes: tuple[Tax, ...] = event.taxes
    yield Entry(kind, on, ALLOWANCES, lowered, document, invoice, event.amount_minor)
    for tax in taxes:
        yield Entry(kind, on, f"{TAX}{tax.name}", lowered, document, invoice, tax.amount_minor)


def _invoice(event: e.InvoiceIssued) -> Iterator[Entry]:
    return _invoiced(event, "invoice")


def _cancellation(event: e.InvoiceCancelled) -> Iterator[Entry]:
    return map(_inverse, _invoiced(event, "cancellation"))


def _invoiced(event: e.InvoiceIssued | e.InvoiceCancelled, kind: str) -> Iterator[Entry]:
    on, number = event.effective_on, event.number
    document = f"invoice:{number}"
    yield Entry(kind, on, RECEIVABLE, UNBILLED, document, number, event.total_minor)
    yield Entry(kind, on, UNBILLED, CREDITS, document, number, event.carried_minor)


def _payment(event: e.PaymentProcessed) -> Iterator[Entry]:
    return _received(event, "payment")


def _reinstatement(event: e.PaymentReinstated) -> Iterator[Entry]:
    return _received(event, "reinstatement")


def _unprocessing(event: e.PaymentUnprocessed) -> Iterator[Entry]:
    return map(_inverse, _received(event, "unprocessing"))


def _received(
    event: e.PaymentProcessed | e.PaymentReinstated | e.PaymentUnprocessed, kind: str
) -> Iterator[Entry]:
    cash, document = f"{CASH}{event.method}", f"payment:{event.payment_id}"
    yield Entry(kind, event.effective_on, cash, CREDITS, document, None, event.amount_minor)


def _return(event: e.PaymentReturned) -> Iterator[Entry]:
    on, cash, document = event.effective_on, f"{CASH}{event.method}", f"payment:{event.payment_id}"
    debit = event.debit
    debit_minor = debit.amount_minor if debit else 0
    yield Entry("return", on, CREDITS, cash, document, None, event.amount_minor - debit_minor)
    if debit:
        yield Entry("return", on, RECEIVABLE, cash, document, debit.number, debit_minor)


def _refund(event: e.RefundIssued) -> Iterator[Entry]:
    return _refunded(event, "refund")


def _refund_reversal(event: e.RefundReversed) -> Iterator[Entry]:
    return map(_inverse, _refunded(event, "refund_reversal"))


def _refunded(event: e.RefundIssued | e.RefundReversed, kind: str) -> Iterator[Entry]:
    cash, document = f"{CASH}{event.method}", f"refund:{event.refund_id}"
    yield Entry(kind, event.effective_on, CREDITS, cash, document, None, event.amount_minor)


def _write_off(event: e.InvoiceWrittenOff) -> Iterator[Entry]:
    return _given_up(event, "write_off")


def _write_off_reversal(event: e.WriteOffReversed) -> Iterator[Entry]:
    return map(_inverse, _given_up(event, "write_off_reversal"))


def _given_up(event: e.InvoiceWrittenOff | e.WriteOffReversed, kind: str) -> Iterator[Entry]:
    on, document = event.effective_on, f"write_off:{event.write_off_id}"
    yield Entry(kind, on, BAD_DEBT, RECEIVABLE, document, event.invoice, event.amount_minor)


def _undone(event: Any) -> Iterator[Entry]:
    for undoing in getattr(event, "undone", ()):
        yield Entry(
            "undoing",
            undoing.on,
            RECEIVABLE,
            CREDITS,
            undoing.source,
            undoing.invoice,
            undoing.amount_minor,
        )


def _allocated(event: Any) -> Iterator[Entry]:
    for made in getattr(event, "allocations", ()):
        to = (made.source, made.invoice)
        yield Entry("recovery", made.on, RECEIVABLE, BAD_DEBT, *to, made.recovered_minor)
        yield Entry("allocation", made.on, CREDITS, RECEIVABLE, *to, made.amount_minor)


_OWN: dict[type[e.Event], Callable[[Any], Iterator[Entry]]] = {
    e.ChargePosted: _charge,
    e.ChargeReversed: _charge_reversal,
    e.CreditIssued: _credit,
    e.CreditReversed: _credit_reversal,
    e.InvoiceIssued: _invoice,
    e.InvoiceCancelled: _cancellation,
    e.PaymentProcessed: _payment,
    e.PaymentReinstated: _reinstatement,
    e.PaymentUnprocessed: _unprocessing,
    e.PaymentReturned: _return,
    e.RefundIssued: _refund,
    e.RefundReversed: _refund_reversal,
    e.InvoiceWrittenOff: _write_off,
    e.WriteOffReversed: _write_off_reversal,
}
NO_ENTRY = frozenset(
    (
        e.AccountOpened,
        e.SettingsChanged,
        e.PaymentSubmitted,
        e.PaymentFailed,
        e.DisputeOpened,
        e.DisputeResolved,
        e.PaymentReallocated,
        e.MessagePosted,
        e.AccountClosed,
    )
)
"""Events of which nothing but their allocations is an entry."""
assert _OWN.keys() | NO_ENTRY == set(e.EVENTS), "an event without entries"
