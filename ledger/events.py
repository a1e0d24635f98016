"""What has happened to an account: immutable facts that stand alone, each with its business day.

Amounts are minor units of the account's currency. An event states every amount it moves and every
allocation it makes or undoes, so no later rule and no other event is needed to read it.
"""

from datetime import date

import msgspec

from ledger.calendar import BillingCycle, Terms
from ledger.parts import (
    Allocation,
    AppliesTo,
    DebitItem,
    Draw,
    Lines,
    Method,
    Outcome,
    Pay,
    Range,
    Settings,
    SettingsChange,
    Tax,
    Undoing,
)


class Event(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A fact, and the business day it happened on in the region's zone."""

    effective_on: date


class AccountOpened(Event, frozen=True, kw_only=True):
    """An account exists, in one currency."""

    account_number: str
    client_id: str | None = None
    company: str
    country: str
    currency: str
    billing_cycle: BillingCycle
    terms: Terms
    settings: Settings


class SettingsChanged(Event, frozen=True, kw_only=True):
    """Settings, billing cycle or terms change from the effective day; it may lie ahead."""

    changes: SettingsChange


class ChargePosted(Event, frozen=True, kw_only=True):
    """The customer owes an amount and its tax, unbilled until an invoice takes it.

    `late`: effective in a period that had been billed when it was posted. `ahead`: dated after
    the region's today when it was posted; it counts from its day.
    """

    charge_id: str
    amount_minor: int
    taxes: tuple[Tax, ...] = ()
    category: str
    description: str
    quantity: str | None = None
    unit_price: str | None = None
    late: bool = False
    ahead: bool = False


class ChargeReversed(Event, frozen=True, kw_only=True):
    """An unbilled charge no longer stands; it repeats the charge's amounts."""

    charge_id: str
    amount_minor: int
    taxes: tuple[Tax, ...] = ()
    category: str
    reason: str


class CreditIssued(Event, frozen=True, kw_only=True):
    """Less is owed: on an invoice (credit note), on the account, or on the next invoice.

    `dispute_id` names the dispute that it upholds.
    """

    credit_id: str
    amount_minor: int
    taxes: tuple[Tax, ...] = ()
    applies_to: AppliesTo
    invoice: str | None = None
    dispute_id: str | None = None
    reason: str
    allocations: tuple[Allocation, ...] = ()


class CreditReversed(Event, frozen=True, kw_only=True):
    """A credit no longer stands; its unapplied rest and its allocations are taken back."""

    credit_id: str
    amount_minor: int
    taxes: tuple[Tax, ...] = ()
    applies_to: AppliesTo
    reason: str
    undone: tuple[Undoing, ...] = ()
    allocations: tuple[Allocation, ...] = ()


class PaymentSubmitted(Event, frozen=True, kw_only=True):
    """A payment is on its way; it does not count yet."""

    payment_id: str
    amount_minor: int
    pay: Pay
    invoice: str | None = None
    method: Method
    reference: str | None = None


class PaymentProcessed(Event, frozen=True, kw_only=True):
    """An amount of a pending payment was received; the rest of what was submitted failed."""

    payment_id: str
    submitted_minor: int
    amount_minor: int
    method: Method
    reference: str | None = None
    allocations: tuple[Allocation, ...] = ()


class PaymentFailed(Event, frozen=True, kw_only=True):
    """Nothing of a pending payment was received."""

    payment_id: str
    submitted_minor: int
    reason: str


class PaymentReturned(Event, frozen=True, kw_only=True):
    """The bank took processed money back (NSF, chargeback)."""

    payment_id: str
    amount_minor: int
    method: Method
    reason: str
    undone: tuple[Undoing, ...] = ()
    debit: DebitItem | None = None
    allocations: tuple[Allocation, ...] = ()


class PaymentReinstated(Event, frozen=True, kw_only=True):
    """Returned money came back after all."""

    payment_id: str
    amount_minor: int
    method: Method
    allocations: tuple[Allocation, ...] = ()


class PaymentUnprocessed(Event, frozen=True, kw_only=True):
    """A processing was booked in error: the payment is pending again."""

    payment_id: str
    submitted_minor: int
    amount_minor: int
    method: Method
    undone: tuple[Undoing, ...] = ()
    allocations: tuple[Allocation, ...] = ()


class PaymentReallocated(Event, frozen=True, kw_only=True):
    """A payment's money was put on other invoices."""

    payment_id: str
    undone: tuple[Undoing, ...] = ()
    allocations: tuple[Allocation, ...] = ()


class RefundIssued(Event, frozen=True, kw_only=True):
    """Money was given back: allocations undone, then drawn from the sources' unapplied rests."""

    refund_id: str
    amount_minor: int
    payment_id: str | None = None
    method: Method
    reason: str
    undone: tuple[Undoing, ...] = ()
    drawn: tuple[Draw, ...]
    allocations: tuple[Allocation, ...] = ()


class RefundReversed(Event, frozen=True, kw_only=True):
    """A refund bounced: its money is with its sources again."""

    refund_id: str
    amount_minor: int
    method: Method
    reason: str
    drawn: tuple[Draw, ...]
    allocations: tuple[Allocation, ...] = ()


class InvoiceWrittenOff(Event, frozen=True, kw_only=True):
    """Part or all of an open amount was given up as bad debt."""

    write_off_id: str
    invoice: str
    amount_minor: int
    reason: str


class WriteOffReversed(Event, frozen=True, kw_only=True):
    """What is left of a write-off is owed again."""

    write_off_id: str
    invoice: str
    amount_minor: int
    reason: str
    allocations: tuple[Allocation, ...] = ()


class DisputeOpened(Event, frozen=True, kw_only=True):
    """The customer contests an amount of an invoice."""

    dispute_id: str
    invoice: str
    amount_minor: int
    reason: str


class DisputeResolved(Event, frozen=True, kw_only=True):
    """A dispute ended; when upheld, `credit_id` names the credit recorded with it."""

    dispute_id: str
    invoice: str
    amount_minor: int
    outcome: Outcome
    credit_id: str | None = None
    allocations: tuple[Allocation, ...] = ()


class InvoiceIssued(Event, frozen=True, kw_only=True):
    """Unbilled lines became an invoice; `effective_on` is its day of issue.

    total = lines' total + carried; `carried_minor` is the excess of credits that became account
    credit, so that the total is never negative.
    """

    number: str
    period_start: date
    period_end: date
    due_on: date
    lines: Lines
    ranges: tuple[Range, ...]
    carried_minor: int = 0
    total_minor: int
    allocations: tuple[Allocation, ...] = ()


class InvoiceCancelled(Event, frozen=True, kw_only=True):
    """An invoice no longer stands: its lines are unbilled again, credit applied to it is free."""

    number: str
    lines: Lines
    ranges: tuple[Range, ...]
    carried_minor: int = 0
    total_minor: int
    reason: str
    undone: tuple[Undoing, ...] = ()
    allocations: tuple[Allocation, ...] = ()


class MessagePosted(Event, frozen=True, kw_only=True):
    """A message to the customer; its text is kept apart and can be erased."""

    message_id: str
    digest: str


class AccountClosed(Event, frozen=True, kw_only=True):
    """No more charges; money events still work."""

    reason: str


EVENTS: tuple[type[Event], ...] = (
    AccountOpened,
    SettingsChanged,
    ChargePosted,
    ChargeReversed,
    CreditIssued,
    CreditReversed,
    PaymentSubmitted,
    PaymentProcessed,
    PaymentFailed,
    PaymentReturned,
    PaymentReinstated,
    PaymentUnprocessed,
    PaymentReallocated,
    RefundIssued,
    RefundReversed,
    InvoiceWrittenOff,
    WriteOffReversed,
    DisputeOpened,
    DisputeResolved,
    InvoiceIssued,
    InvoiceCancelled,
    MessagePosted,
    AccountClosed,
)
"""Every kind of event, in the order of the words they stand for; topics are given in the store."""
