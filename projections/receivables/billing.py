"""Rows of what is owed: charges, credits, invoices, write-offs, disputes."""

import msgspec

from ledger import events as e
from ledger.movements import line_total
from projections.model import At
from projections.receivables import item_rows as i
from projections.receivables.changes import Changes, changed, key, made

_encode = msgspec.json.Encoder().encode


def charge_posted(rows: Changes, at: At, event: e.ChargePosted) -> None:
    lane, position, account_id, version, recorded_at = at
    rows.make(
        i.ChargeRow(
            lane,
            account_id,
            event.charge_id,
            version,
            position,
            recorded_at,
            version,
            event.effective_on,
            event.amount_minor,
            _encode(event.taxes),
            line_total(event.amount_minor, event.taxes),
            event.category,
            event.description,
            event.quantity,
            event.unit_price,
            event.late,
            event.ahead,
        )
    )


def charge_reversed(rows: Changes, at: At, event: e.ChargeReversed) -> None:
    id = event.charge_id
    charge = rows.find(at, i.ChargeRow, lambda: i.ChargeChange(*changed(at, id)), id)
    charge.reversed_on, charge.reversed_position = event.effective_on, at.position
    charge.reason = event.reason


def credit_issued(rows: Changes, at: At, event: e.CreditIssued) -> None:
    rows.make(
        i.CreditRow(
            *made(at, event.credit_id),
            event.effective_on,
            event.amount_minor,
            _encode(event.taxes),
            line_total(event.amount_minor, event.taxes),
            event.applies_to,
            event.invoice,
            event.dispute_id,
            event.reason,
        ),
        key(at, event.credit_id),
    )


def credit_reversed(rows: Changes, at: At, event: e.CreditReversed) -> None:
    credit = rows.credit(at, event.credit_id)
    credit.reversed_on, credit.reversed_position = event.effective_on, at.position
    credit.reversed_reason = event.reason


def invoice_issued(rows: Changes, at: At, event: e.InvoiceIssued) -> None:
    lane, account_id, number, seq, position, recorded_at, version = made(at, event.number)
    lines = event.lines
    rows.make(
        i.InvoiceRow(
            lane,
            account_id,
            number,
            "invoice",
            seq,
            position,
            recorded_at,
            version,
            event.period_start,
            event.period_end,
            event.effective_on,
            event.due_on,
            lines.count,
            lines.charges_minor,
            lines.credits_minor,
            lines.tax_minor,
            event.carried_minor,
            event.total_minor,
            _encode(lines.categories),
            _encode(lines.taxes),
            event.effective_on,
            position,
        ),
        key(at, number),
    )
    for n, taken in enumerate(event.ranges):
        rows.make(
            i.InvoiceRangeRow(
                lane,
                account_id,
                number,
                n,
                taken.first_on,
                taken.last_on,
                taken.first_version,
                taken.last_version,
            )
        )


def invoice_cancelled(rows: Changes, at: At, event: e.InvoiceCancelled) -> None:
    invoice = rows.invoice(at, event.number)
    invoice.cancelled_on, invoice.cancelled_position = event.effective_on, at.position
    invoice.cancelled_reason = event.reason


def written_off(rows: Changes, at: At, event: e.InvoiceWrittenOff) -> None:
    rows.make(
        i.WriteOffRow(
            *made(at, event.write_off_id),
            event.effective_on,
            event.invoice,
            event.amount_minor,
            event.reason,
        ),
        key(at, event.write_off_id),
    )
    rows.invoice(at, event.invoice).written_off_minor += event.amount_minor


def write_off_reversed(rows: Changes, at: At, event: e.WriteOffReversed) -> None:
    id = event.write_off_id
    row = rows.find(at, i.WriteOffRow, lambda: i.WriteOffChange(*changed(at, id)), id)
    row.reversed_on, row.reversed_position = event.effective_on, at.position
    row.reversed_minor, row.reversed_reason = event.amount_minor, event.reason
    rows.invoice(at, event.invoice).written_off_minor -= event.amount_minor


def dispute_opened(rows: Changes, at: At, event: e.DisputeOpened) -> None:
    rows.make(
        i.DisputeRow(
            *made(at, event.dispute_id),
            event.effective_on,
            event.invoice,
            event.amount_minor,
            event.reason,
        ),
        key(at, event.dispute_id),
    )


def dispute_resolved(rows: Changes, at: At, event: e.DisputeResolved) -> None:
    id = event.dispute_id
    dispute = rows.find(at, i.DisputeRow, lambda: i.DisputeChange(*changed(at, id)), id)
    dispute.outcome, dispute.credit_id = event.outcome, event.credit_id
    dispute.resolved_on, dispute.resolved_position = event.effective_on, at.position
