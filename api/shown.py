"""The things of an account as lists show them; rows come from the views' functions, by column name."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal

import msgspec

from api.amounts import Money, money

Row = Mapping[str, Any]


class TaxShown(msgspec.Struct, frozen=True):
    """A tax line; `rate` is as it was given: a fraction of the amount before tax (0.2 is 20 %), informative."""

    name: str
    rate: str
    amount: Money


class AllocationShown(msgspec.Struct, frozen=True):
    """What is left of an amount that was put on an invoice."""

    invoice: str
    amount: Money
    effective_on: date


class ChargeShown(msgspec.Struct, frozen=True, kw_only=True):
    """A charge; `total` is with tax, `late` was effective in a period billed before it was posted."""

    charge_id: str
    status: Literal["unbilled", "billed", "reversed"]
    amount: Money
    taxes: list[TaxShown]
    total: Money
    description: str
    category: str
    quantity: str | None
    unit_price: str | None
    effective_on: date
    recorded_at: datetime
    late: bool
    invoice: str | None
    reversed_on: date | None
    reason: str | None


class InvoiceShown(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice, or (`kind` debit) the debit item that a return of refunded money left.

    total = new_charges - credits + tax + carried_to_credit; the last is an excess of credits that
    became account credit.
    """

    number: str
    kind: Literal["invoice", "debit"]
    status: Literal["open", "paid", "written_off", "cancelled"]
    period_start: date | None
    period_end: date | None
    issued_on: date
    due_on: date
    new_charges: Money
    credits: Money
    tax: Money
    carried_to_credit: Money
    total: Money
    open_amount: Money
    disputed: Money
    written_off: Money
    lines_count: int
    recorded_at: datetime
    cancelled_on: date | None
    reason: str | None


class LineShown(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an invoice or of the current activity: a charge, or a credit with negative total."""

    kind: Literal["charge", "credit"]
    id: str
    category: str | None
    description: str
    quantity: str | None
    unit_price: str | None
    amount: Money
    taxes: list[TaxShown]
    total: Money
    effective_on: date
    recorded_at: datetime
    late: bool


class PaymentShown(msgspec.Struct, frozen=True, kw_only=True):
    """A payment; `effective_on` is the day it was processed, or else submitted."""

    payment_id: str
    status: Literal["pending", "processed", "failed", "returned"]
    pay: Literal["total", "invoice", "amount"]
    invoice: str | None
    amount: Money
    processed: Money
    returned: Money
    refunded: Money
    method: str
    reference: str | None
    reason: str | None
    effective_on: date
    recorded_at: datetime
    allocations: list[AllocationShown]
    unapplied: Money


class CreditShown(msgspec.Struct, frozen=True, kw_only=True):
    """A credit; `total` is with tax. One for the next invoice names that invoice once it is made."""

    credit_id: str
    status: Literal["issued", "reversed"]
    amount: Money
    taxes: list[TaxShown]
    total: Money
    applies_to: Literal["invoice", "account", "next_invoice"]
    invoice: str | None
    dispute_id: str | None
    reason: str
    effective_on: date
    recorded_at: datetime
    allocations: list[AllocationShown]
    refunded: Money
    unapplied: Money
    reversed_on: date | None
    reversed_reason: str | None


class DrawnShown(msgspec.Struct, frozen=True):
    """What a refund took of a source: `payment:<id>`, `credit:<id>` or `carried:<invoice>`."""

    source: str
    amount: Money


class RefundShown(msgspec.Struct, frozen=True, kw_only=True):
    """A refund and what it was drawn on."""

    refund_id: str
    status: Literal["issued", "reversed"]
    amount: Money
    payment_id: str | None
    method: str
    reason: str
    drawn: list[DrawnShown]
    effective_on: date
    recorded_at: datetime
    reversed_on: date | None
    reversed_reason: str | None


class WriteOffShown(msgspec.Struct, frozen=True, kw_only=True):
    """A write-off, and what of it was recovered or reversed."""

    write_off_id: str
    status: Literal["issued", "reversed"]
    invoice: str
    amount: Money
    recovered: Money
    reversed: Money
    reason: str
    effective_on: date
    recorded_at: datetime
    reversed_on: date | None
    reversed_reason: str | None


class DisputeShown(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute; `credit_id` names the credit note of one that was upheld."""

    dispute_id: str
    status: Literal["open", "upheld", "rejected"]
    invoice: str
    amount: Money
    reason: str
    effective_on: date
    recorded_at: datetime
    resolved_on: date | None
    credit_id: str | None


class MessageShown(msgspec.Struct, frozen=True, kw_only=True):
    """A message; the text of one that was erased is null, `digest` is its SHA-256 in hex."""

    message_id: str
    text: str | None
    digest: str
    effective_on: date
    recorded_at: datetime


def charge(row: Row, currency: str) -> ChargeShown:
    """A row of receivables.charges and its like."""
    return ChargeShown(**_shown(row, currency, "seq", "ahead"))


def invoice(row: Row, currency: str) -> InvoiceShown:
    """A row of receivables.invoices."""
    renamed = {
        "new_charges_minor": row["charges_minor"],
        "carried_to_credit_minor": row["carried_minor"],
        "open_amount_minor": row["open_minor"],
    }
    left_out = ("charges_minor", "carried_minor", "open_minor", "categories", "taxes", "seq")
    kept = {name: value for name, value in row.items() if name not in left_out}
    return InvoiceShown(**_shown({**kept, **renamed}, currency))


def line(row: Row, currency: str) -> LineShown:
    """A row of receivables.invoice_lines or receivables.activity."""
    return LineShown(**_shown(row, currency, "seq", "ahead"))


def payment(row: Row, currency: str) -> PaymentShown:
    """A row of receivables.payments."""
    return PaymentShown(**_shown(row, currency, "seq"))


def credit(row: Row, currency: str) -> CreditShown:
    """A row of receivables.credits."""
    return CreditShown(**_shown(row, currency, "seq"))


def refund(row: Row, currency: str) -> RefundShown:
    """A row of receivables.refunds."""
    return RefundShown(**_shown(row, currency, "seq"))


def write_off(row: Row, currency: str) -> WriteOffShown:
    """A row of receivables.write_offs."""
    return WriteOffShown(**_shown(row, currency, "seq"))


def dispute(row: Row, currency: str) -> DisputeShown:
    """A row of receivables.disputes."""
    return DisputeShown(**_shown(row, currency, "seq"))


def message(row: Row, currency: str) -> MessageShown:
    """A row of receivables.messages."""
    return MessageShown(text=row["body"], **_shown(row, currency, "seq", "body"))


def _shown(row: Row, currency: str, *left_out: str) -> dict[str, Any]:
    """The columns as the contract names them: amounts as Money, lists of amounts likewise."""
    shown: dict[str, Any] = {}
    for name, value in row.items():
        if name in left_out:
            continue
        if name.endswith("_minor"):
            shown[name.removesuffix("_minor")] = money(value, currency)
        elif name == "taxes":
            shown[name] = [
                TaxShown(tax["name"], tax["rate"], money(tax["amount_minor"], currency))
                for tax in value
            ]
        elif name == "allocations":
            shown[name] = allocations(value, currency)
        elif name == "drawn":
            shown[name] = [
                DrawnShown(draw["source"], money(draw["amount_minor"], currency)) for draw in value
            ]
        else:
            shown[name] = value
    return shown


def allocations(found: Sequence[Row], currency: str) -> list[AllocationShown]:
    """Allocations as the views keep them."""
    return [
        AllocationShown(
            one["invoice"],
            money(one["amount_minor"], currency),
            date.fromisoformat(one["effective_on"]),
        )
        for one in found
    ]
