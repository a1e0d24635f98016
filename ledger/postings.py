"""What each event posts, by account of the general ledger: read off the events alone.

It is written a second time on purpose: the journal that finance reads is made elsewhere, and the
report of a month end, which is made of this, must not share its mistakes.
"""

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from ledger import events as e
from ledger.movements import Figure, movements
from ledger.parts import Method, Tax


class Posting(NamedTuple):
    """A signed amount in minor units, debits positive, that counts from the day `on`.

    `to` is an account of the general ledger, by the name that the journal gives it too.
    """

    to: str
    on: date
    amount_minor: int


ALLOWANCES, BAD_DEBT = "allowances", "bad_debt"
_CONTROL: dict[Figure, tuple[str, int]] = {
    "unbilled": ("unbilled_receivables", 1),
    "open": ("accounts_receivable", 1),
    "unapplied": ("customer_credits", -1),
}
"""The accounts that figures are the balances of, and the sign of a figure there."""


def postings(event: e.Event) -> list[Posting]:
    """What an event posts, each part with its own day; on every day debits equal credits."""
    posted = []
    for movement in movements(event):
        if movement.figure in _CONTROL:
            to, sign = _CONTROL[movement.figure]
            posted.append(Posting(to, movement.on, sign * movement.amount_minor))
    posted += [posting for posting in _beside(event) if posting.amount_minor]
    for allocation in getattr(event, "allocations", ()):
        if allocation.recovered_minor:
            posted.append(Posting(BAD_DEBT, allocation.on, -allocation.recovered_minor))
    return posted


def _beside(event: e.Event) -> Iterator[Posting]:
    """What an event posts to accounts that no figure is the balance of."""
    on = event.effective_on
    match event:
        case e.ChargePosted():
            yield from _of_line(f"revenue:{event.category}", event, -1)
        case e.ChargeReversed():
            yield from _of_line(f"revenue:{event.category}", event, 1)
        case e.CreditIssued():
            yield from _of_line(ALLOWANCES, event, 1)
        case e.CreditReversed():
            yield from _of_line(ALLOWANCES, event, -1)
        case e.PaymentProcessed() | e.PaymentReinstated() | e.RefundReversed():
            yield _cash(event.method, on, event.amount_minor)
        case e.PaymentReturned() | e.PaymentUnprocessed() | e.RefundIssued():
            yield _cash(event.method, on, -event.amount_minor)
        case e.InvoiceWrittenOff():
            yield Posting(BAD_DEBT, on, event.amount_minor)
        case e.WriteOffReversed():
            yield Posting(BAD_DEBT, on, -event.amount_minor)
        case _:
            pass


_Line = e.ChargePosted | e.ChargeReversed | e.CreditIssued | e.CreditReversed


def _of_line(to: str, line: _Line, sign: int) -> Iterator[Posting]:
    """A line's amount before tax, and its tax by name."""
    yield Posting(to, line.effective_on, sign * line.amount_minor)
    for tax in line.taxes:
        yield _tax(tax, line.effective_on, sign)


def _tax(tax: Tax, on: date, sign: int) -> Posting:
    return Posting(f"tax_payable:{tax.name}", on, sign * tax.amount_minor)


def _cash(method: Method, on: date, amount_minor: int) -> Posting:
    return Posting(f"cash:{method}", on, amount_minor)
