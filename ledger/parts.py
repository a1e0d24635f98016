"""The values that events and commands are made of: taxes, terms of reference, parts of a whole.

Amounts are minor units of the account's currency.
"""

from datetime import date
from typing import Annotated, Literal

import msgspec

from ledger.calendar import BillingCycle, Terms

Method = Literal["cash_check", "card", "bank_transfer", "direct_debit"]
AppliesTo = Literal["invoice", "account", "next_invoice"]
Pay = Literal["total", "invoice", "amount"]
Outcome = Literal["upheld", "rejected"]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A part of an event or command: a value without identity."""


class Tax(Part, frozen=True):
    """One tax line: its name, rate (a fraction, "0.2" is 20 %, as given; informative) and amount."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    rate: Annotated[str, msgspec.Meta(max_length=32)]
    amount_minor: Annotated[int, msgspec.Meta(ge=0)]


Language = Annotated[
    str, msgspec.Meta(max_length=35, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$(?!\n)")
]
"""A language tag of BCP 47."""


class Settings(Part, frozen=True, omit_defaults=False):
    """What the customer chooses."""

    invoice_delivery: Literal["full_detail", "summary"] = "full_detail"
    delivery_channel: Literal["paper", "electronic"] = "paper"
    payment_method: Method = "cash_check"
    language: Language = "en"


class SettingsChange(Part, frozen=True):
    """The settings that change; None leaves one as it was."""

    invoice_delivery: Literal["full_detail", "summary"] | None = None
    delivery_channel: Literal["paper", "electronic"] | None = None
    payment_method: Method | None = None
    language: Language | None = None
    billing_cycle: BillingCycle | None = None
    terms: Terms | None = None


class Allocation(Part, frozen=True):
    """Money of a source (`payment:<id>`, `credit:<id>` or `carried:<invoice>`) put on an invoice.

    It counts from `on`. `recovered_minor` of it first takes back a write-off of that invoice.
    """

    source: str
    invoice: str
    amount_minor: int
    on: date
    recovered_minor: int = 0


class Undoing(Part, frozen=True):
    """An allocation taken back, wholly or in part, from `on`; the invoice reopens by the amount.

    `allocation` is `<version>.<index>`: the event that made it and its place in it.
    """

    allocation: str
    source: str
    invoice: str
    amount_minor: int
    on: date


class Draw(Part, frozen=True):
    """Money taken out of, or given back to, the unapplied rest of a source."""

    source: str
    amount_minor: int


class Range(Part, frozen=True):
    """Lines an invoice took: effective in [first_on, last_on], of versions [first, last]."""

    first_on: date
    last_on: date
    first_version: int
    last_version: int


class CategoryTotal(Part, frozen=True):
    """Sum of the charges of one category before tax."""

    category: str
    amount_minor: int


class TaxTotal(Part, frozen=True):
    """Sum of the tax lines of one name."""

    name: str
    amount_minor: int


class Lines(Part, frozen=True):
    """Totals of a set of charges and credits for the next invoice.

    Their sum is charges - credits + tax, where charges and credits are before tax and tax is net
    of the credits' tax. `categories` sum to the charges, `taxes` to the tax.
    """

    count: int
    charges_minor: int
    credits_minor: int
    tax_minor: int
    categories: tuple[CategoryTotal, ...] = ()
    taxes: tuple[TaxTotal, ...] = ()

    @property
    def total_minor(self) -> int:
        return self.charges_minor - self.credits_minor + self.tax_minor


class DebitItem(Part, frozen=True):
    """An amount due at once because returned money had already been refunded."""

    number: str
    amount_minor: int
