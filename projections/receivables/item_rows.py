"""Rows of what accounts hold: invoices, charges, payments, credits, and what becomes of them.

A row made and its change share the names of what changes, so that one line of the fold moves
either: in a row made an amount is what it is, in a change it is what is added. What seldom changes
is a tuple, changed in the table even in the batch that made it.
The order of the fields is the order of the statements' parameters in makes.sql and changes.sql.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple


@dataclass(slots=True)
class InvoiceRow:
    lane: int
    account_id: bytes
    number: str
    kind: str
    seq: int
    position: int
    recorded_at: datetime
    version: int
    period_start: date | None
    period_end: date | None
    issued_on: date
    due_on: date
    lines_count: int
    charges_minor: int
    credits_minor: int
    tax_minor: int
    carried_minor: int
    total_minor: int
    categories: bytes
    taxes: bytes
    moved_on: date
    moved_position: int
    open_minor: int = 0
    flagged_minor: int = 0
    written_off_minor: int = 0
    carried_left_minor: int = 0
    cancelled_on: date | None = None
    cancelled_position: int | None = None
    cancelled_reason: str | None = None


@dataclass(slots=True)
class InvoiceChange:
    lane: int
    account_id: bytes
    number: str
    first_version: int
    version: int
    moved_on: date
    moved_position: int
    open_minor: int = 0
    flagged_minor: int = 0
    written_off_minor: int = 0
    carried_left_minor: int = 0
    cancelled_on: date | None = None
    cancelled_position: int | None = None
    cancelled_reason: str | None = None


class InvoiceRangeRow(NamedTuple):
    lane: int
    account_id: bytes
    number: str
    n: int
    first_on: date
    last_on: date
    first_version: int
    last_version: int


class ChargeRow(NamedTuple):
    lane: int
    account_id: bytes
    charge_id: str
    seq: int
    position: int
    recorded_at: datetime
    version: int
    effective_on: date
    amount_minor: int
    taxes: bytes
    total_minor: int
    category: str
    description: str
    quantity: str | None
    unit_price: str | None
    late: bool
    ahead: bool


@dataclass(slots=True)
class ChargeChange:
    lane: int
    account_id: bytes
    charge_id: str
    first_version: int
    version: int
    reversed_on: date | None = None
    reversed_position: int | None = None
    reason: str | None = None


@dataclass(slots=True)
class PaymentRow:
    lane: int
    account_id: bytes
    payment_id: str
    seq: int
    position: int
    recorded_at: datetime
    version: int
    pay: str
    invoice: str | None
    method: str
    amount_minor: int
    submitted_on: date
    stage: str | None
    processed_on: date | None = None
    processed_seq: int | None = None
    processed_minor: int = 0
    returned_minor: int = 0
    refunded_minor: int = 0
    unapplied_minor: int = 0
    reference: str | None = None
    reason: str | None = None


@dataclass(slots=True)
class PaymentChange:
    """`stage` None: it stays, and so do the day and the version of its processing."""

    lane: int
    account_id: bytes
    payment_id: str
    first_version: int
    version: int
    stage: str | None = None
    processed_on: date | None = None
    processed_seq: int | None = None
    processed_minor: int = 0
    returned_minor: int = 0
    refunded_minor: int = 0
    unapplied_minor: int = 0
    reference: str | None = None
    reason: str | None = None


class PaymentStepRow(NamedTuple):
    lane: int
    account_id: bytes
    version: int
    position: int
    recorded_at: datetime
    payment_id: str
    step: str
    effective_on: date
    amount_minor: int
    received_minor: int
    reference: str | None
    reason: str | None = None


@dataclass(slots=True)
class CreditRow:
    lane: int
    account_id: bytes
    credit_id: str
    seq: int
    position: int
    recorded_at: datetime
    version: int
    effective_on: date
    amount_minor: int
    taxes: bytes
    total_minor: int
    applies_to: str
    invoice: str | None
    dispute_id: str | None
    reason: str
    refunded_minor: int = 0
    unapplied_minor: int = 0
    reversed_on: date | None = None
    reversed_position: int | None = None
    reversed_reason: str | None = None


@dataclass(slots=True)
class CreditChange:
    lane: int
    account_id: bytes
    credit_id: str
    first_version: int
    version: int
    refunded_minor: int = 0
    unapplied_minor: int = 0
    reversed_on: date | None = None
    reversed_position: int | None = None
    reversed_reason: str | None = None


class AllocationRow(NamedTuple):
    lane: int
    account_id: bytes
    version: int
    n: int
    position: int
    recorded_at: datetime
    effective_on: date
    source: str
    invoice: str
    amount_minor: int
    recovered_minor: int
    made_version: int
    made_n: int


@dataclass(slots=True)
class RefundRow:
    lane: int
    account_id: bytes
    refund_id: str
    seq: int
    position: int
    recorded_at: datetime
    version: int
    effective_on: date
    amount_minor: int
    payment_id: str | None
    method: str
    reason: str
    drawn: bytes
    reversed_on: date | None = None
    reversed_position: int | None = None
    reversed_reason: str | None = None


@dataclass(slots=True)
class RefundChange:
    lane: int
    account_id: bytes
    refund_id: str
    first_version: int
    version: int
    reversed_on: date | None = None
    reversed_position: int | None = None
    reversed_reason: str | None = None


@dataclass(slots=True)
class WriteOffRow:
    lane: int
    account_id: bytes
    write_off_id: str
    seq: int
    position: int
    recorded_at: datetime
    version: int
    effective_on: date
    invoice: str
    amount_minor: int
    reason: str
    reversed_on: date | None = None
    reversed_position: int | None = None
    reversed_minor: int | None = None
    reversed_reason: str | None = None


@dataclass(slots=True)
class WriteOffChange:
    lane: int
    account_id: bytes
    write_off_id: str
    first_version: int
    version: int
    reversed_on: date | None = None
    reversed_position: int | None = None
    reversed_minor: int | None = None
    reversed_reason: str | None = None


@dataclass(slots=True)
class DisputeRow:
    lane: int
    account_id: bytes
    dispute_id: str
    seq: int
    position: int
    recorded_at: datetime
    version: int
    effective_on: date
    invoice: str
    amount_minor: int
    reason: str
    outcome: str | None = None
    credit_id: str | None = None
    resolved_on: date | None = None
    resolved_position: int | None = None


@dataclass(slots=True)
class DisputeChange:
    lane: int
    account_id: bytes
    dispute_id: str
    first_version: int
    version: int
    outcome: str | None = None
    credit_id: str | None = None
    resolved_on: date | None = None
    resolved_position: int | None = None
