"""What the accounts of the books are called and are, by the names that entries give them."""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from ledger.parts import Method
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
_METHODS: Mapping[str, str] = {
    "cash_check": "cash or check",
    "card": "card",
    "bank_transfer": "bank transfer",
    "direct_debit": "direct debit",
}
assert _METHODS.keys() == {*get_args(Method)}, "a method without words"
_FREE = rf"({REVENUE}|{TAX})[^\u0000-\u001F\u007F-\u009F]+"
CHART = (
    *_ALONE,
    *(f"{CASH}{method}" for method in _METHODS),
    f"{REVENUE}<category>",
    f"{TAX}<name>",
)
"""The accounts that there can be, as people are told of them."""
PATTERN = rf"({'|'.join(_ALONE)}|{CASH}({'|'.join(_METHODS)})|{_FREE})"
"""What the name of such an account matches, whole: a regular expression to Python and JSON schemas."""
_NAME = re.compile(PATTERN)


def books_account(name: str) -> str:
    """An account that entries can name, whether any does; raises ValueError, which says what there is."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:40]!r} is no account of the books; there are {', '.join(CHART)}")
    return name


def described(account: str) -> Described:
    """What an account is; raises KeyError for one that no entry names.

    Allowances are income that was given up: debits lower it.
    """
    family, colon, of = account.partition(":")
    if not colon:
        return _ALONE[account]
    title, type, _ = _FAMILIES[family + colon]
    words = _METHODS[of] if family + colon == CASH else of
    return Described(f"{title}: {words}", type, of)
