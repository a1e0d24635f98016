"""How a month's books are shown: cut off or closed, and the report that they were closed with."""

from datetime import datetime
from typing import Literal

import msgspec

from api.amounts import Money, money
from ledger.closing_report import CurrencyReport
from ledger.period_close import PeriodClose


class AmountOf(msgspec.Struct, frozen=True):
    """An amount of a category, or of an account of the books; debits positive."""

    name: str
    amount: Money


class CurrencyClosed(msgspec.Struct, frozen=True, kw_only=True):
    """What a month comes to in a currency.

    `accounts` got `invoices` in the month's end, of `lines`; total = charges - credits + tax +
    carried. `movements` are what is posted in the month, by account of the books.
    """

    currency: str
    accounts: int
    invoices: int
    lines: int
    charges: Money
    credits: Money
    tax: Money
    carried: Money
    total: Money
    categories: list[AmountOf]
    movements: list[AmountOf]


class ClosedBooks(msgspec.Struct, frozen=True, kw_only=True):
    """A month's books: cut off (nothing more is posted in them), then closed, once the events, the
    journal and the views were found to agree on all lanes. Currencies are those of lanes proved."""

    period: str
    state: Literal["cut_off", "closed"]
    actor: str
    cut_at: datetime
    closed_at: datetime | None
    lanes_proved: int
    currencies: list[CurrencyClosed]


def closed_books(found: PeriodClose) -> ClosedBooks:
    """The books as replies and commands show them."""
    return ClosedBooks(
        period=found.period,
        state=found.state,
        actor=found.actor,
        cut_at=found.cut_at,
        closed_at=found.closed_at,
        lanes_proved=found.lanes_proved,
        currencies=[_currency(*of) for of in sorted(found.report.currencies.items())],
    )


def _currency(currency: str, of: CurrencyReport) -> CurrencyClosed:
    totals = of.invoices
    return CurrencyClosed(
        currency=currency,
        accounts=of.accounts,
        invoices=totals.invoices,
        lines=totals.lines,
        charges=money(totals.charges_minor, currency),
        credits=money(totals.credits_minor, currency),
        tax=money(totals.tax_minor, currency),
        carried=money(totals.carried_minor, currency),
        total=money(totals.total_minor, currency),
        categories=_amounts(totals.categories, currency),
        movements=_amounts(of.movements, currency),
    )


def _amounts(amounts: dict[str, int], currency: str) -> list[AmountOf]:
    return [AmountOf(name, money(amounts[name], currency)) for name in sorted(amounts)]
