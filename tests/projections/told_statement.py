"""What a statement must say between two days: each event that changes a balance, from the events."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from ledger import events as e
from tests.projections.told_lines import Known, Row


def statement(known: Iterable[Known], first_on: date, last_on: date) -> list[Row]:
    """The lines in order of day and version; an event that changes nothing has none."""
    lines = [line for one in known for line in _lines(one)]
    shown = [one for one in lines if first_on <= one["effective_on"] <= last_on]
    return sorted(shown, key=lambda line: (line["effective_on"], line["version"], line["n"]))


def _lines(one: Known) -> Iterator[Row]:
    own = _own(one.event)
    if own is not None:
        kind, reference, detail, change = own
        if change:
            yield _line(one, one.event.effective_on, 0, kind, reference, detail, change)
    for n, put in enumerate(getattr(one.event, "allocations", ()), start=1):
        if put.recovered_minor:
            kind, change = "write_off_recovered", put.recovered_minor
            yield _line(one, put.on, n, kind, put.invoice, put.source, change)


def _line(
    one: Known, on: date, n: int, kind: str, reference: str, detail: str, change_minor: int
) -> Row:
    return {
        "effective_on": on,
        "n": n,
        "version": one.version,
        "kind": kind,
        "reference": reference,
        "detail": detail,
        "change_minor": change_minor,
        "recorded_at": one.recorded_at,
    }


def _own(event: Any) -> tuple[str, str, str, int] | None:
    """Kind, reference, detail and what the balance changes by."""
    match event:
        case e.InvoiceIssued():
            period = f"{event.period_start}/{event.period_end}"
            return "invoice_issued", event.number, period, event.lines.total_minor
        case e.InvoiceCancelled():
            return "invoice_cancelled", event.number, event.reason, -event.lines.total_minor
        case e.PaymentProcessed():
            return "payment_processed", event.payment_id, event.method, -event.amount_minor
        case e.PaymentReturned():
            return "payment_returned", event.payment_id, event.reason, event.amount_minor
        case e.PaymentReinstated():
            return "payment_reinstated", event.payment_id, event.method, -event.amount_minor
        case e.PaymentUnprocessed():
            return "payment_unprocessed", event.payment_id, event.method, event.amount_minor
        case e.CreditIssued() | e.CreditReversed() if event.applies_to != "next_invoice":
            total = event.amount_minor + sum(tax.amount_minor for tax in event.taxes)
            if isinstance(event, e.CreditIssued):
                return "credit_issued", event.credit_id, event.reason, -total
            return "credit_reversed", event.credit_id, event.reason, total
        case e.RefundIssued():
            return "refund_issued", event.refund_id, event.reason, event.amount_minor
        case e.RefundReversed():
            return "refund_reversed", event.refund_id, event.reason, -event.amount_minor
        case e.InvoiceWrittenOff():
            return "write_off", event.write_off_id, event.reason, -event.amount_minor
        case e.WriteOffReversed():
            return "write_off_reversed", event.write_off_id, event.reason, event.amount_minor
    return None
