"""Previews of month ends as they are shown: a line for each invoice and refusal, and a last one of totals."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import msgspec

from api.amounts import Money, money
from ledger.closing_batch import RefusedAccount
from ledger.closing_preview import Preview, Previewed, PreviewedInvoice
from ledger.invoice_totals import InvoiceTotals


class CategoryShown(msgspec.Struct, frozen=True):
    """The charges of one category, before tax."""

    category: str
    amount: Money


class TaxNameShown(msgspec.Struct, frozen=True):
    """The tax of one name, net of the credits' own."""

    name: str
    amount: Money


class TotalsShown(msgspec.Struct, frozen=True, kw_only=True):
    """What one invoice, or many of a currency, come to.

    total = new_charges - credits + tax + carried_to_credit; open_amount is what is left of it once
    credit at hand is `applied`.
    """

    lines_count: int
    categories: list[CategoryShown]
    new_charges: Money
    credits: Money
    taxes: list[TaxNameShown]
    tax: Money
    carried_to_credit: Money
    total: Money
    applied: Money
    open_amount: Money


class InvoiceWouldBe(TotalsShown, frozen=True, kw_only=True, tag_field="kind", tag="invoice"):
    """The invoice that an account would get."""

    account_number: str
    number: str
    period_start: date
    period_end: date
    issued_on: date
    due_on: date


class RefusalWouldBe(msgspec.Struct, frozen=True, tag_field="kind", tag="refusal"):
    """An account that is due and would not be billed, and why."""

    account_number: str
    code: str
    message: str


class CurrencyWouldBe(TotalsShown, frozen=True, kw_only=True):
    """All invoices of one currency."""

    currency: str
    invoices: int


class PreviewEnd(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="end"):
    """The last line of a preview; one that ends without it was cut off.

    The counts are those of the run that would follow (`MonthEnd`): every account counts once.
    `also_closed` are earlier months whose books are open and in which anything is posted: closing the
    month's books now would close them too.
    """

    period: str
    issued_on: date | None
    accounts: int
    issued: int
    replayed: int
    nothing_to_bill: int
    not_due: int
    refused: int
    currencies: list[CurrencyWouldBe]
    also_closed: list[str]


def lines(previewed: Sequence[Previewed]) -> Iterator[InvoiceWouldBe | RefusalWouldBe]:
    """A batch of a preview, a line each."""
    for one in previewed:
        if isinstance(one, PreviewedInvoice):
            yield _invoice(one)
        else:
            yield _refusal(one)


def end(preview: Preview, also_closed: list[str]) -> PreviewEnd:
    """The line after all others."""
    currencies = [
        CurrencyWouldBe(**_totals(totals, currency), currency=currency, invoices=totals.invoices)
        for currency, totals in sorted(preview.totals.items())
    ]
    return PreviewEnd(
        period=str(preview.asked.period),
        issued_on=preview.asked.issued_on,
        accounts=sum(preview.counts.values()),
        **preview.counts,
        currencies=currencies,
        also_closed=also_closed,
    )


def _invoice(one: PreviewedInvoice) -> InvoiceWouldBe:
    totals = InvoiceTotals()
    totals.add(one.event)
    return InvoiceWouldBe(
        **_totals(totals, one.currency),
        account_number=one.account_number,
        number=one.event.number,
        period_start=one.event.period_start,
        period_end=one.event.period_end,
        issued_on=one.event.effective_on,
        due_on=one.event.due_on,
    )


def _refusal(one: RefusedAccount) -> RefusalWouldBe:
    return RefusalWouldBe(one.account_number, one.code, one.message)


def _totals(of: InvoiceTotals, currency: str) -> dict[str, Any]:
    """The fields of TotalsShown."""
    return {
        "lines_count": of.lines,
        "categories": [CategoryShown(*one) for one in _amounts(of.categories.items(), currency)],
        "new_charges": money(of.charges_minor, currency),
        "credits": money(of.credits_minor, currency),
        "taxes": [TaxNameShown(*one) for one in _amounts(of.taxes.items(), currency)],
        "tax": money(of.tax_minor, currency),
        "carried_to_credit": money(of.carried_minor, currency),
        "total": money(of.total_minor, currency),
        "applied": money(of.applied_minor, currency),
        "open_amount": money(of.open_minor, currency),
    }


def _amounts(of: Iterable[tuple[str, int]], currency: str) -> Iterator[tuple[str, Money]]:
    for name, amount_minor in sorted(of):
        yield name, money(amount_minor, currency)
