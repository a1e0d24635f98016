"""What accounts of the journal are called in accounting tools: readable, and never two alike.

Beancount takes the least: a part begins with an upper-case letter or a digit and goes on with
letters, digits and `-`. What it takes, hledger and Ledger take. Categories and names of taxes are
free text, so they are written so that the text can be read back, character by character:

- letters and ASCII digits stand for themselves, `_` between two of them is `-`, a space `--`;
- any other character is `---`, its code point in hexadecimal, and `-`;
- the first letter is written as a capital. It is one of its own if the second character is a capital,
  else it is small; where it is the other way round, a `-` at the end says so;
- a text that begins with none that has a capital, nor with such a digit, has `X----` before it.
"""

from functools import lru_cache
from itertools import pairwise
from unicodedata import ucd_3_2_0

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

OPENING = "Equity:OpeningBalances"
FIXED = {
    RECEIVABLE: "Assets:AccountsReceivable",
    UNBILLED: "Assets:UnbilledReceivables",
    CREDITS: "Liabilities:CustomerCredits",
    ALLOWANCES: "Income:Allowances",
    BAD_DEBT: "Expenses:BadDebt",
}
BY_PREFIX = {
    CASH: "Assets:Cash",
    REVENUE: "Income:Revenue",
    TAX: "Liabilities:TaxPayable",
}
NAMES_KEPT_MAX = 10_000
_BETWEEN = {"_": "-", " ": "--"}
_LETTERS = {"Lu", "Ll", "Lt", "Lm", "Lo"}
_NO_LETTERS = frozenset("\u1885\u1886\U00010341")
"""Which later editions of Unicode say are marks or numbers."""
_DIGITS = frozenset("0123456789")


@lru_cache(NAMES_KEPT_MAX)
def name(account: str) -> str:
    """The name of an account of the journal; raises KeyError for one that has none."""
    prefix, colon, text = account.partition(":")
    return f"{BY_PREFIX[prefix + colon]}:{part(text)}" if colon else FIXED[account]


def part(text: str) -> str:
    """A text as one part of a name; different texts give different parts."""
    first, rest = text[:1], text[1:]
    written = "".join(_char(*three) for three in _with_neighbours(text))
    capital = _other_case(first) if _category(first) == "Ll" else first
    if first in _DIGITS:
        return written
    if _category(capital) != "Lu":
        return f"X----{written}"
    is_capital = first == capital
    is_expected = is_capital == (_category(rest[:1]) == "Lu")
    return f"{capital}{written[1:]}{'' if is_expected else '-'}"


def _with_neighbours(text: str) -> list[tuple[str, str, str]]:
    around = ["", *text, ""]
    return [
        (before, char, after)
        for (before, char), (_, after) in zip(pairwise(around), pairwise(around[1:]), strict=False)
    ]


def _char(before: str, char: str, after: str) -> str:
    if _is_ordinary(char):
        return char
    if char in _BETWEEN and _is_ordinary(before) and _is_ordinary(after):
        return _BETWEEN[char]
    return f"---{ord(char):x}-"


def _is_ordinary(char: str) -> bool:
    return char in _DIGITS or (_category(char) in _LETTERS and char not in _NO_LETTERS)


def _category(char: str) -> str:
    """By the one edition of Unicode that every Python has: a name never changes with the Python."""
    return ucd_3_2_0.category(char) if char else ""


def _other_case(small: str) -> str:
    """The capital of a small letter, if each is the other's only one; else the letter."""
    capital = small.upper()
    is_pair = len(capital) == 1 and capital.lower() == small and _category(capital) == "Lu"
    return capital if is_pair else small
