"""What an account's state knows of single things: one row each, read by name or in a bounded range.

An item changes only together with its account's version. Amounts are minor units.
"""

from datetime import date
from typing import ClassVar, Literal

import msgspec

from ledger.parts import AppliesTo, Draw, Lines, Method, Pay, Range, Tax, TaxTotal

Ref = tuple[str, str]
"""An item's kind and id, unique within its account."""


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One thing of an account; `seq` is the order in which things of a kind came about."""

    KIND: ClassVar[str]
    id: str
    seq: int

    @property
    def ref(self) -> Ref:
        return self.KIND, self.id


class ChargeItem(Item, frozen=True, kw_only=True):
    """A charge; `seq` is the version that posted it. Whether it is billed, the account knows."""

    KIND = "charge"
    effective_on: date
    amount_minor: int
    taxes: tuple[Tax, ...] = ()
    category: str
    ahead: bool = False
    reversed: bool = False

    @property
    def total_minor(self) -> int:
        return self.amount_minor + sum(tax.amount_minor for tax in self.taxes)


class InvoiceItem(Item, frozen=True, kw_only=True):
    """An invoice, or a debit item (`lines` is None), and what is open of it.

    total = open + live allocations + written off, unless cancelled. `flagged_minor` is what live
    disputes contest; of it min(open, flagged) is disputed. `reopened_on` is the latest day on
    which its open amount grew. `pending_minor` is what pending payments that name it promise.
    """

    KIND = "invoice"
    issued_on: date
    due_on: date
    total_minor: int
    open_minor: int
    flagged_minor: int = 0
    written_off_minor: int = 0
    written_off_on: date | None = None
    credited_minor: int = 0
    credited_taxes: tuple[TaxTotal, ...] = ()
    reopened_on: date | None = None
    lines: Lines | None = None
    ranges: tuple[Range, ...] = ()
    carried_minor: int = 0
    cancelled: bool = False
    pending_minor: int = 0

    @property
    def payable_minor(self) -> int:
        """What paying the invoice in full pays: nobody pays twice what is on its way."""
        return max(self.open_minor + self.written_off_minor - self.pending_minor, 0)

    @property
    def disputed_minor(self) -> int:
        return min(self.open_minor, self.flagged_minor)

    @property
    def undisputed_minor(self) -> int:
        return self.open_minor - self.disputed_minor

    @property
    def grown_on(self) -> date:
        """The latest day on which the open amount grew: no allocation counts from before it."""
        return self.reopened_on or self.issued_on


class SourceItem(Item, frozen=True, kw_only=True):
    """Money or credit that can be put on invoices: unapplied, allocated or refunded.

    `freed_on` is the latest day on which an allocation of it was undone.
    """

    unapplied_minor: int = 0
    allocated_minor: int = 0
    refunded_minor: int = 0
    freed_on: date | None = None

    @property
    def source(self) -> str:
        return f"{self.KIND}:{self.id}"

    @property
    def counts_from(self) -> date:
        """The day from which the source's money counts."""
        raise AssertionError("a source has a day")

    @property
    def available_on(self) -> date:
        """The day from which all of the unapplied rest was there."""
        return max(self.freed_on, self.counts_from) if self.freed_on else self.counts_from


class PaymentItem(SourceItem, frozen=True, kw_only=True):
    """A payment; `seq` is the version of its processing, or of its submission until then.

    `taken_back` are the invoices (as the Draw's source) and amounts that returns took from it,
    `debits` the debit items they left; both until it is reinstated.
    """

    KIND = "payment"
    status: Literal["pending", "processed", "failed"]
    submitted_minor: int
    pending_from: date
    pay: Pay
    invoice: str | None = None
    method: Method
    processed_on: date | None = None
    processed_minor: int = 0
    returned_minor: int = 0
    returned_on: date | None = None
    reinstated_on: date | None = None
    taken_back: tuple[Draw, ...] = ()
    debits: tuple[str, ...] = ()

    @property
    def counts_from(self) -> date:
        assert self.processed_on is not None, self.id
        return self.processed_on

    @property
    def shown_status(self) -> str:
        """The status of the HTTP contract: a processed payment with a live return is `returned`."""
        return "returned" if self.returned_minor else self.status


class CreditItem(SourceItem, frozen=True, kw_only=True):
    """A credit; one for the next invoice is never a source, but a line."""

    KIND = "credit"
    effective_on: date
    amount_minor: int
    taxes: tuple[Tax, ...] = ()
    applies_to: AppliesTo
    invoice: str | None = None
    reversed: bool = False

    @property
    def counts_from(self) -> date:
        return self.effective_on

    @property
    def total_minor(self) -> int:
        return self.amount_minor + sum(tax.amount_minor for tax in self.taxes)


class CarriedItem(SourceItem, frozen=True, kw_only=True):
    """The excess of an invoice's credits, carried to account credit; its id is the invoice's."""

    KIND = "carried"
    issued_on: date

    @property
    def counts_from(self) -> date:
        return self.issued_on


class Reopened(msgspec.Struct, frozen=True, gc=False):
    """An allocation's part that a refund took back."""

    source: str
    invoice: str
    amount_minor: int


class RefundItem(Item, frozen=True, kw_only=True):
    """A refund and where its money came from, so that it can be reversed."""

    KIND = "refund"
    effective_on: date
    amount_minor: int
    method: Method
    drawn: tuple[Draw, ...]
    reopened: tuple[Reopened, ...] = ()
    reversed: bool = False


class WriteOffItem(Item, frozen=True, kw_only=True):
    """A write-off; what of it was recovered, its invoice knows."""

    KIND = "write_off"
    effective_on: date
    invoice: str
    amount_minor: int
    reversed: bool = False


class DisputeItem(Item, frozen=True, kw_only=True):
    """A dispute of an invoice's amount."""

    KIND = "dispute"
    effective_on: date
    invoice: str
    flagged_minor: int
    resolved: bool = False


class AllocationItem(Item, frozen=True, kw_only=True):
    """What is left of an allocation; its id is `<version>.<index>`.

    `releasable`: a cancellation of the invoice sets it free (it was applied at issue, or is
    account credit that did not name the invoice).
    """

    KIND = "allocation"
    source: str
    invoice: str
    amount_minor: int
    on: date
    releasable: bool = False


class NamedTotal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The total of a category or of a tax."""

    name: str
    amount_minor: int


class DayLines(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Totals of the unbilled lines that count from one day, as in `Lines`.

    An account has up to 31 of them in one item, which is stored anew with every charge: they are
    kept short.
    """

    on: date
    count: int
    charges_minor: int
    credits_minor: int
    tax_minor: int
    categories: tuple[NamedTotal, ...] = ()
    taxes: tuple[NamedTotal, ...] = ()

    @property
    def total_minor(self) -> int:
        return self.charges_minor - self.credits_minor + self.tax_minor


class UnbilledItem(Item, frozen=True, kw_only=True):
    """The unbilled lines of a calendar month, totalled by day; its id is the month's last day."""

    KIND = "unbilled"
    days: tuple[DayLines, ...] = ()


class MessageItem(Item, frozen=True, kw_only=True):
    """A message exists."""

    KIND = "message"


ITEMS: tuple[type[Item], ...] = (
    ChargeItem,
    InvoiceItem,
    PaymentItem,
    CreditItem,
    CarriedItem,
    RefundItem,
    WriteOffItem,
    DisputeItem,
    AllocationItem,
    UnbilledItem,
    MessageItem,
)
ITEM_OF = {item.KIND: item for item in ITEMS}


def source_ref(source: str) -> Ref:
    """The ref of the item a source string names: `payment:P-1` is ("payment", "P-1")."""
    kind, _, id = source.partition(":")
    return kind, id
