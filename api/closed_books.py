"""How a month's books are shown: cut off or closed, and the report that they were closed with."""

import re
from datetime import datetime
from typing import Any, Literal, cast

import msgspec

from api.amounts import Money, money
from ledger.closing_report import CurrencyReport
from ledger.errors import UnknownCurrency
from ledger.period_close import Disagreement, PeriodClose

_COUNTED = ("accounts", "invoices", "lines")
"""Figures of invoices that are no amounts."""
_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)


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


class BooksDisagree(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of a lane that is not proved: what the `events` come to, and what a `view` says instead.

    In the journal's tables `figure` is an account of the books, in receivables a figure of
    the month's invoices. `accounts`, `invoices` and `lines` are numbers; all else are amounts, or minor
    units where a damaged view names a currency that is none. `found` is null where it holds no such number.
    """

    lane: int
    period: str
    view: Literal["journal.entry", "journal.daily", "journal.monthly", "receivables"]
    currency: str
    figure: str
    events: Money | int
    found: Money | int | None


class ClosedBooks(msgspec.Struct, frozen=True, kw_only=True):
    """A month's books: cut off (nothing more is posted in them), then closed, once the events, the
    journal and the views were found to agree on all lanes. Currencies are those of lanes proved.

    `closed_with` is the month whose closing closed it: its own, or, when it was still open then, the
    first later one. `also_closed` are the earlier months that are closed with it in that way and in
    which anything was invoiced or posted: each has its own report, at its own path.

    `disagreements` counts what was found to disagree when the other lanes were last looked at, at
    `disagreed_at` (null: nothing was); `disagreeing` are the first of each lane.
    """

    period: str
    closed_with: str
    also_closed: list[str]
    state: Literal["cut_off", "closed"]
    actor: str
    cut_at: datetime
    closed_at: datetime | None
    lanes_proved: int
    currencies: list[CurrencyClosed]
    disagreements: int
    disagreeing: list[BooksDisagree]
    disagreed_at: datetime | None


def closed_books(found: PeriodClose) -> ClosedBooks:
    """The books as replies and commands show them."""
    return ClosedBooks(
        period=found.period,
        closed_with=found.closed_with,
        also_closed=list(found.also_closed),
        state=found.state,
        actor=found.actor,
        cut_at=found.cut_at,
        closed_at=found.closed_at,
        lanes_proved=found.lanes_proved,
        currencies=[_currency(*of) for of in sorted(found.report.currencies.items())],
        disagreements=found.disagreements,
        disagreeing=[_disagree(one) for one in found.disagreeing],
        disagreed_at=found.disagreed_at,
    )


def _disagree(one: Disagreement) -> BooksDisagree:
    is_counted = one.view == "receivables" and one.figure in _COUNTED

    def shown(number: int) -> Money | int:
        try:
            return number if is_counted else money(number, one.currency)
        except UnknownCurrency:
            return number

    return BooksDisagree(
        lane=one.lane,
        period=one.period,
        view=cast(Any, one.view),
        currency=one.currency,
        figure=one.figure,
        events=shown(int(one.events)),
        found=shown(int(one.found)) if _INTEGER.fullmatch(one.found) else None,
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
