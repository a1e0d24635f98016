"""What documents say, before it is put into words: the figures, days and texts of one account.

Amounts are minor units of the currency. A document is a function of this and of the release.
"""

from datetime import date
from typing import Literal

import msgspec

from ledger.calendar import Terms


class Biller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends the document, as the region's configuration has it."""

    region: str
    zone: str
    company: str
    email: str
    phone: str
    address: str


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """Who gets it, and what they chose: the settings in force on the document's day."""

    account_number: str
    client_id: str | None
    company: str
    country: str
    currency: str
    invoice_delivery: Literal["full_detail", "summary"]
    payment_method: str
    language: str
    terms: Terms


class TaxLine(msgspec.Struct, frozen=True, kw_only=True):
    """A tax of one line; `rate` is as it was given: a fraction of the amount before tax."""

    name: str
    rate: str
    amount_minor: int


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A charge, or a credit with negative amounts, before tax and its tax.

    `belongs_to` is the billing period that a late line is of, first and last day.
    """

    effective_on: date
    description: str
    category: str | None
    quantity: str | None
    unit_price: str | None
    amount_minor: int
    taxes: list[TaxLine]
    belongs_to: tuple[date, date] | None = None


class CategoryAmount(msgspec.Struct, frozen=True, kw_only=True):
    """What the charges of a category come to before tax."""

    category: str
    amount_minor: int


class TaxAmount(msgspec.Struct, frozen=True, kw_only=True):
    """What a tax comes to; rate and base are None where the lines were not read."""

    name: str
    rate: str | None
    base_minor: int | None
    amount_minor: int


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """Money or credit that the invoice's own event put on it, and from which day it counts."""

    kind: Literal["payment", "credit", "carried"]
    reference: str
    on: date
    amount_minor: int


class Invoice(msgspec.Struct, frozen=True, kw_only=True, tag="invoice"):
    """An invoice as it was issued, or (`kind` debit) what a return of refunded money left.

    total = charges - credits + tax + carried. `lines` is None when they are too many to be listed.
    """

    biller: Biller
    customer: Customer
    kind: Literal["invoice", "debit"]
    number: str
    period: tuple[date, date] | None
    issued_on: date
    due_on: date
    lines_count: int
    lines: list[Line] | None
    categories: list[CategoryAmount]
    taxes: list[TaxAmount]
    charges_minor: int
    credits_minor: int
    tax_minor: int
    carried_minor: int
    total_minor: int
    applied: list[Applied]
    returned_payment: str | None = None

    @property
    def is_listed(self) -> bool:
        """Whether the document lists the lines, as the account wanted and their number allows."""
        return (
            self.customer.invoice_delivery == "full_detail"
            and self.lines is not None
            and self.kind == "invoice"
        )

    @property
    def due_minor(self) -> int:
        """What was to be paid when it was issued."""
        return self.total_minor - sum(one.amount_minor for one in self.applied)


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """What changed the balance, and what it then was; `period` is that of an invoice issued.

    `late`: dated before the statement's days, and not known to the statement before.
    """

    effective_on: date
    kind: str
    reference: str
    detail: str | None
    period: tuple[date, date] | None = None
    amount_minor: int
    balance_minor: int
    late: bool = False


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """Open amounts of one age; `name` is that of the aging's field."""

    name: str
    amount_minor: int


class Statement(msgspec.Struct, frozen=True, kw_only=True, tag="statement"):
    """A statement of account: what was owed, what changed it, what is owed and how old it is.

    `after` is the position of the statement that it follows, if it follows one.
    """

    biller: Biller
    customer: Customer
    first_on: date
    last_on: date
    position: str
    after: str | None = None
    opening_minor: int
    lines: list[StatementLine]
    closing_minor: int
    aging: list[Bucket]
    disputed_minor: int


Document = Invoice | Statement
