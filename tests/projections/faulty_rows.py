"""Rows of tables to be altered, one column each, and what a reconciliation then names."""

from typing import NamedTuple


class Fault(NamedTuple):
    """A column of the account's one such row that is made larger, and what is named for it."""

    table: str
    which: str
    column: str
    where: str
    figure: str
    topic: str
    n: int = 0


FAULTS = (
    Fault(
        "journal.entry",
        "document = 'charge:c3'",
        "amount_minor",
        "journal.entry",
        "unbilled_receivables / revenue:usage",
        "charge_posted",
        2,
    ),
    Fault(
        "journal.entry",
        "document = 'invoice:I2'",
        "effective_on",
        "journal.entry",
        "accounts_receivable / unbilled_receivables",
        "invoice_issued",
        1,
    ),
    Fault(
        "receivables.movement",
        "figure = 'pending' AND version = 7",
        "amount_minor",
        "receivables.movement",
        "pending",
        "payment_submitted",
    ),
    Fault(
        "receivables.account",
        "true",
        "unapplied_minor",
        "receivables.account",
        "unapplied",
        "credit_reversed",
    ),
    Fault(
        "receivables.invoice",
        "number = 'I1'",
        "open_minor",
        "receivables.invoice I1",
        "open",
        "credit_reversed",
    ),
    Fault(
        "receivables.invoice",
        "number = 'I2'",
        "total_minor",
        "receivables.invoice I2",
        "total",
        "invoice_issued",
        1,
    ),
    Fault(
        "receivables.charge",
        "charge_id = 'c4'",
        "total_minor",
        "receivables.charge c4",
        "total",
        "charge_posted",
        3,
    ),
    Fault(
        "receivables.charge",
        "charge_id = 'c2'",
        "reversed_position",
        "receivables.charge c2",
        "ended",
        "charge_reversed",
    ),
    Fault(
        "receivables.invoice",
        "number = 'I1'",
        "due_on",
        "receivables.invoice I1",
        "due_on",
        "invoice_issued",
        0,
    ),
    Fault(
        "receivables.invoice",
        "number = 'I1'",
        "tax_minor",
        "receivables.invoice I1",
        "amount",
        "invoice_issued",
        0,
    ),
    Fault(
        "receivables.invoice",
        "number = 'I3'",
        "cancelled_position",
        "receivables.invoice I3",
        "ended",
        "invoice_cancelled",
        0,
    ),
    Fault(
        "receivables.payment",
        "payment_id = 'p2'",
        "submitted_on",
        "receivables.payment p2",
        "submitted_on",
        "payment_submitted",
        1,
    ),
    Fault(
        "receivables.refund",
        "refund_id = 'r1'",
        "amount_minor",
        "receivables.refund r1",
        "amount",
        "refund_issued",
        0,
    ),
    Fault(
        "receivables.write_off",
        "write_off_id = 'w1'",
        "amount_minor",
        "receivables.write_off w1",
        "amount",
        "invoice_written_off",
        0,
    ),
    Fault(
        "receivables.dispute",
        "dispute_id = 'd1'",
        "effective_on",
        "receivables.dispute d1",
        "effective_on",
        "dispute_opened",
        0,
    ),
    Fault(
        "receivables.dispute",
        "dispute_id = 'd1'",
        "resolved_position",
        "receivables.dispute d1",
        "ended",
        "dispute_resolved",
        0,
    ),
    Fault(
        "receivables.payment",
        "payment_id = 'p2'",
        "unapplied_minor",
        "receivables.payment p2",
        "unapplied",
        "refund_reversed",
    ),
    Fault(
        "receivables.credit",
        "credit_id = 'k1'",
        "unapplied_minor",
        "receivables.credit k1",
        "unapplied",
        "credit_reversed",
    ),
    Fault(
        "ledger.item",
        "kind = 'invoice' AND id = 'I1'",
        "open_minor",
        "ledger.item I1",
        "open",
        "credit_reversed",
    ),
    Fault("journal.account", "true", "currency", "journal.account", "currency", "account_closed"),
)
