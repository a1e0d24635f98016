"""Names of accounts in accounting tools: never two alike, readable, and taken by each tool's grammar."""

from typing import get_args
from unicodedata import ucd_3_2_0

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from api.documents.labels import labels
from api.exports.names import BY_PREFIX, FIXED, name, part
from ledger.parts import Method
from projections.journal import accounts
from projections.journal.entries import CASH
from tests.counting import counted, thorough
from tests.exports.made import HOSTILE

# Beancount 3.2, beancount/core/account.py: what one part of a name may be.
PART = regex.compile(r"[\p{Lu}\p{Nd}][\p{L}\p{Nd}\-]*")


def read(written: str) -> str:
    """The text that was written so, by the rules in the words of the page on exports."""
    if written.startswith("X----"):
        return _read(written.removeprefix("X----"))
    if written[0] in "0123456789":
        return _read(written)
    is_turned = regex.search(r"(?<!---[0-9a-f]+)-$", written) is not None
    text = _read(written[: len(written) - is_turned])
    is_capital = (len(text) > 1 and _is_capital(text[1])) != is_turned
    return text if is_capital else text[0].lower() + text[1:]


def _read(written: str) -> str:
    found, at = "", 0
    while at < len(written):
        if escape := regex.match(r"---([0-9a-f]+)-", written, pos=at):
            found, at = found + chr(int(escape[1], 16)), escape.end()
        elif written.startswith("--", at):
            found, at = found + " ", at + 2
        else:
            found, at = found + written[at].replace("-", "_"), at + 1
    return found


def _is_capital(char: str) -> bool:
    return ucd_3_2_0.category(char) == "Lu"


_TEXT = st.one_of(
    st.text(max_size=12),
    st.text("aA1-_ X:2dé", max_size=8),
    st.text(st.characters(categories=["Lu", "Ll", "Lt", "Lo", "Lm"]), max_size=4),
)


@thorough(1_500)
@given(_TEXT)
@example("")
@counted
def test_a_text_can_be_read_back(text: str) -> None:
    """So no two texts have one name; and Beancount, which takes the least, takes it."""
    written = part(text)
    assert PART.fullmatch(written), written
    assert text == read(written)


def test_hostile_texts_have_names_of_their_own() -> None:
    """However alike they look, and whatever they hold."""
    written = [part(text) for text in HOSTILE]
    assert list(HOSTILE) == [read(one) for one in written]
    assert len(HOSTILE) == len(set(written))


def test_every_letter_is_one_to_beancount() -> None:
    """Any single character, at the start or within, gives a part that Beancount takes."""
    wrong = [
        hex(code)
        for code in range(0x11000)
        if not (PART.fullmatch(part(chr(code))) and PART.fullmatch(part(f"a{chr(code)}b")))
    ]
    assert [] == wrong


def test_names_are_readable() -> None:
    """What is usual reads as usual."""
    assert {
        "revenue:usage": "Income:Revenue:Usage",
        "revenue:late_fee": "Income:Revenue:Late-fee",
        "revenue:Calls in January": "Income:Revenue:Calls--in--January-",
        "tax_payable:VAT": "Liabilities:TaxPayable:VAT",
        "tax_payable:GST/HST": "Liabilities:TaxPayable:GST---2f-HST",
        "tax_payable:電話": "Liabilities:TaxPayable:X----電話",
        "cash:bank_transfer": "Assets:Cash:Bank-transfer",
    } == {
        account: name(account)
        for account in (
            *("revenue:usage", "revenue:late_fee", "revenue:Calls in January"),
            *("tax_payable:VAT", "tax_payable:GST/HST", "tax_payable:電話", "cash:bank_transfer"),
        )
    }


def test_a_title_says_the_method_in_words() -> None:
    """In those that documents have for it; the account's name is what it was."""
    for method in get_args(Method):
        title = accounts.described(f"cash:{method}").title
        assert f"Cash: {labels()['en'][method].lower()}" == title
    assert "Revenue: late_fee" == accounts.described("revenue:late_fee").title  # as it was given
    with pytest.raises(KeyError):
        accounts.described("cash:shells")


def test_every_account_of_the_books_has_a_name() -> None:
    """Under the root that its type asks for."""
    roots = {
        "asset": "Assets",
        "liability": "Liabilities",
        "income": "Income",
        "expense": "Expenses",
    }
    assert FIXED.keys() == accounts._ALONE.keys()
    assert BY_PREFIX.keys() == accounts._FAMILIES.keys()
    of = {CASH: get_args(Method)}
    known = [*FIXED, *(f"{prefix}{one}" for prefix in BY_PREFIX for one in of.get(prefix, ["x"]))]
    for account in map(accounts.books_account, known):
        assert roots[accounts.described(account).type] == name(account).partition(":")[0]
