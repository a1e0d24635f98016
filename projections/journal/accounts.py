"""What the accounts of the books are called and are, by the names that entries give them."""

from typing import Literal, NamedTuple

from projections.journal.entries import (
    ALLOWANCES,
    BAD_DEBT,
    CASH,
    CREDITS,
    RECEIVABLE,
    REVENUE,
    TAX,
    UNBILLED,
)

Type = Literal["asset", "liability", "income", "expense"]


class Described(NamedTuple):
    """An account of the books: its title, what it is, and (of a category, tax or method) of which."""

    title: str
    type: Type
    of: str | None = None


_ALONE = {
    UNBILLED: Described("Unbilled receivables", "asset"),
    RECEIVABLE: Described("Accounts receivable", "asset"),
    CREDITS: Described("Customer credits", "liability"),
    ALLOWANCES: Described("Allowances", "income"),
    BAD_DEBT: Described("Bad debt", "expense"),
}
_FAMILIES = {
    REVENUE: Described("Revenue", "income"),
    TAX: Described("Tax payable", "liability"),
    CASH: Described("Cash", "asset"),
}


def described(account: str) -> Described:
    """What an account is; raises KeyError for one that no entry names.

    Allowances are income that was given up: debits lower it.
    """
    family, colon, of = account.partition(":")
    if not colon:
        return _ALONE[account]
    title, type, _ = _FAMILIES[family + colon]
    return Described(f"{title}: {of}", type, of)
