"""What a set of invoices of one currency comes to: for previews of month ends, and reports of them."""

from collections.abc import Iterable
from typing import Self

import msgspec

from ledger.events import InvoiceIssued


class InvoiceTotals(msgspec.Struct, kw_only=True):
    """Sums over invoices, in minor units, as large as they may be.

    total = charges - credits + tax + carried; `categories` sum to the charges before tax, `taxes`
    to the tax, which is net of the credits' own. `applied_minor` is credit put on an invoice as it
    was issued; the rest of its total was open.
    """

    invoices: int = 0
    lines: int = 0
    charges_minor: int = 0
    credits_minor: int = 0
    tax_minor: int = 0
    carried_minor: int = 0
    total_minor: int = 0
    applied_minor: int = 0
    categories: dict[str, int] = msgspec.field(default_factory=dict)
    taxes: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def open_minor(self) -> int:
        """What was open of the invoices once they were issued."""
        return self.total_minor - self.applied_minor

    def add(self, invoice: InvoiceIssued) -> None:
        """Takes an invoice."""
        lines = invoice.lines
        self.invoices += 1
        self.lines += lines.count
        self.charges_minor += lines.charges_minor
        self.credits_minor += lines.credits_minor
        self.tax_minor += lines.tax_minor
        self.carried_minor += invoice.carried_minor
        self.total_minor += invoice.total_minor
        self.applied_minor += applied_at_once(invoice)
        _add(self.categories, ((one.category, one.amount_minor) for one in lines.categories))
        _add(self.taxes, ((one.name, one.amount_minor) for one in lines.taxes))

    def __add__(self, other: Self) -> Self:
        """The sums over both sets, which have no invoice in common."""
        both = type(self)()
        for one in (self, other):
            for name in _NUMBERS:
                setattr(both, name, getattr(both, name) + getattr(one, name))
            _add(both.categories, one.categories.items())
            _add(both.taxes, one.taxes.items())
        return both


_NUMBERS = tuple(
    name for name in InvoiceTotals.__struct_fields__ if name not in ("categories", "taxes")
)


def applied_at_once(invoice: InvoiceIssued) -> int:
    """Credit that was put on the invoice in the event that issued it, in minor units."""
    return sum(one.amount_minor for one in invoice.allocations if one.invoice == invoice.number)


def _add(sums: dict[str, int], amounts: Iterable[tuple[str, int]]) -> None:
    for name, amount_minor in amounts:
        sums[name] = sums.get(name, 0) + amount_minor
