"""Rows of money: payments and what becomes of them, refunds."""

from typing import Any

import msgspec

from ledger import events as e
from ledger.parts import Draw
from projections.model import At
from projections.receivables import item_rows as i
from projections.receivables.changes import Changes, changed, key, made

_encode = msgspec.json.Encoder().encode


def payment_submitted(rows: Changes, at: At, event: e.PaymentSubmitted) -> None:
    rows.make(
        i.PaymentRow(
            *made(at, event.payment_id),
            event.pay,
            event.invoice,
            event.method,
            event.amount_minor,
            event.effective_on,
            "pending",
            reference=event.reference or None,
        ),
        key(at, event.payment_id),
    )
    _step(rows, at, event, "submitted", event.amount_minor)


def payment_processed(rows: Changes, at: At, event: e.PaymentProcessed) -> None:
    payment = rows.payment(at, event.payment_id)
    payment.stage, payment.processed_on, payment.processed_seq = (
        "processed",
        event.effective_on,
        at.version,
    )
    payment.processed_minor += event.amount_minor
    payment.reference = event.reference or payment.reference
    _step(rows, at, event, "processed", event.amount_minor, received=1)


def payment_failed(rows: Changes, at: At, event: e.PaymentFailed) -> None:
    payment = rows.payment(at, event.payment_id)
    payment.stage, payment.reason = "failed", event.reason
    payment.processed_on = payment.processed_seq = None
    _step(rows, at, event, "failed", event.submitted_minor, reason=event.reason)


def payment_returned(rows: Changes, at: At, event: e.PaymentReturned) -> None:
    payment = rows.payment(at, event.payment_id)
    payment.returned_minor += event.amount_minor
    payment.reason = event.reason
    _step(rows, at, event, "returned", event.amount_minor, received=-1, reason=event.reason)
    if event.debit is not None:
        number, amount_minor, on = event.debit.number, event.debit.amount_minor, event.effective_on
        lane, account_id, id, seq, position, recorded_at, version = made(at, number)
        rows.make(
            i.InvoiceRow(
                lane,
                account_id,
                id,
                "debit",
                seq,
                position,
                recorded_at,
                version,
                None,
                None,
                on,
                on,
                0,
                0,
                0,
                0,
                0,
                amount_minor,
                b"[]",
                b"[]",
                on,
                position,
            ),
            key(at, number),
        )


def payment_reinstated(rows: Changes, at: At, event: e.PaymentReinstated) -> None:
    rows.payment(at, event.payment_id).returned_minor -= event.amount_minor
    _step(rows, at, event, "reinstated", event.amount_minor, received=1)


def payment_unprocessed(rows: Changes, at: At, event: e.PaymentUnprocessed) -> None:
    payment = rows.payment(at, event.payment_id)
    payment.stage = "pending"
    payment.processed_on = payment.processed_seq = None
    payment.processed_minor -= event.amount_minor
    _step(rows, at, event, "unprocessed", event.amount_minor, received=-1)


def payment_reallocated(rows: Changes, at: At, event: e.PaymentReallocated) -> None:
    rows.payment(at, event.payment_id)
    _step(rows, at, event, "reallocated", 0)


def _step(
    rows: Changes,
    at: At,
    event: Any,
    step: str,
    amount_minor: int,
    received: int = 0,
    reason: str | None = None,
) -> None:
    rows.make(
        i.PaymentStepRow(
            at.lane,
            at.account_id,
            at.version,
            at.position,
            at.recorded_at,
            event.payment_id,
            step,
            event.effective_on,
            amount_minor,
            received * amount_minor,
            getattr(event, "reference", None) or None,
            reason,
        )
    )


def refund_issued(rows: Changes, at: At, event: e.RefundIssued) -> None:
    rows.make(
        i.RefundRow(
            *made(at, event.refund_id),
            event.effective_on,
            event.amount_minor,
            event.payment_id,
            event.method,
            event.reason,
            _encode(event.drawn),
        ),
        key(at, event.refund_id),
    )
    _refunded(rows, at, event.drawn, 1)


def refund_reversed(rows: Changes, at: At, event: e.RefundReversed) -> None:
    id = event.refund_id
    refund = rows.find(at, i.RefundRow, lambda: i.RefundChange(*changed(at, id)), id)
    refund.reversed_on, refund.reversed_position = event.effective_on, at.position
    refund.reversed_reason = event.reason
    _refunded(rows, at, event.drawn, -1)


def _refunded(rows: Changes, at: At, drawn: tuple[Draw, ...], sign: int) -> None:
    for draw in drawn:
        row, field = rows.source(at, draw.source)
        if field == "unapplied_minor":  # what is carried is no payment or credit of its own
            row.refunded_minor += sign * draw.amount_minor
