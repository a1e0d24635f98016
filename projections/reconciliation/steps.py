"""The rows that an event adds beside things: allocations made and undone, steps of payments, ranges of invoices."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, NamedTuple

from ledger import events as e
from ledger.movements import ALLOCATING

COLUMNS = (
    *("n", "item", "version", "recorded_at", "effective_on", "last_on"),
    *("amount", "other", "told", "made"),
)
"""What the fields of a Step are called; of a range the amounts are its versions, the day its first."""
AMOUNT = COLUMNS.index("amount")


class Step(NamedTuple):
    """A row as the event makes it, in the order of the statement `steps` from `n` on.

    `item` is the invoice of an allocation or a range, the payment of a step. `other_minor` is what
    an allocation recovers, or what a step adds to the money kept.
    """

    place: tuple[str, int]
    item: str
    version: int
    recorded_at: datetime
    on: date
    last_on: date | None
    amount_minor: int
    other_minor: int
    told: str | None
    made: str | None


_STEPS: dict[type[e.Event], tuple[str, str, int]] = {
    e.PaymentSubmitted: ("submitted", "amount_minor", 0),
    e.PaymentProcessed: ("processed", "amount_minor", 1),
    e.PaymentFailed: ("failed", "submitted_minor", 0),
    e.PaymentReturned: ("returned", "amount_minor", -1),
    e.PaymentReinstated: ("reinstated", "amount_minor", 1),
    e.PaymentUnprocessed: ("unprocessed", "amount_minor", -1),
    e.PaymentReallocated: ("reallocated", "", 0),
}
"""By event of a payment, the step, where its amount is, and the sign of what is kept of it."""
_TAKES = ALLOCATING | _STEPS.keys() | {e.InvoiceIssued}


def steps(event: e.Event, version: int, recorded_at: datetime) -> list[Step]:
    """The rows, in no order."""
    return [*_steps(event, (version, recorded_at))] if type(event) in _TAKES else []


def _steps(event: Any, by: tuple[int, datetime]) -> Iterator[Step]:
    for n, undoing in enumerate(getattr(event, "undone", ())):
        amounts, to = (-undoing.amount_minor, 0), (undoing.source, undoing.allocation)
        yield Step(("allocation", -1 - n), undoing.invoice, *by, undoing.on, None, *amounts, *to)
    for n, made in enumerate(getattr(event, "allocations", ())):
        amounts, to = (made.amount_minor, made.recovered_minor), (made.source, f"{by[0]}.{n}")
        yield Step(("allocation", n), made.invoice, *by, made.on, None, *amounts, *to)
    if isinstance(event, e.InvoiceIssued):
        for n, taken in enumerate(event.ranges):
            days = (taken.first_on, taken.last_on)
            versions = (taken.first_version, taken.last_version)
            yield Step(("invoice_range", n), event.number, *by, *days, *versions, None, None)
    if step := _STEPS.get(type(event)):
        told, amount, sign = step
        minor = getattr(event, amount) if amount else 0
        amounts, on = (minor, sign * minor), event.effective_on
        yield Step(("payment_step", 0), event.payment_id, *by, on, None, *amounts, told, None)
