"""A document's words: its labels, days and amounts as text, and texts of the ledger made fit to print."""

import re
import unicodedata
from datetime import date
from itertools import pairwise

from api.documents.content import Biller, Customer
from api.documents.formats import Formats, formats_of
from api.documents.labels import labels, language_of
from api.documents.room import View, pairs, share_pt
from ledger.calendar import DayOfMonth, EndOfMonth, Net, Terms

_WORD_WIDTH_MAX = 22
_ID_WIDTH_MAX = 44
"""Of a word in a column, and of an id beside its label, in narrow letters; a longer one may be broken
anywhere."""
_PIECE_WIDTH = 6
"""Of what stays together in such a word."""
BREAK = "\u200b"
"""Where a word may be broken. Templates put a break of no width there, so that it is not copied."""
# Line breaks and the like become spaces; what has no shape, or turns the text after it round, is named.
_SPACES = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
_UNSEEN = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff\ue000-\uf8ff\U000f0000-\U0010ffff]"
)
_WORD = re.compile(r"\S{12,}")


class Words:
    """How one customer of one biller is written to."""

    def __init__(self, biller: Biller, customer: Customer) -> None:
        self.language = language_of(customer.language)
        self.formats: Formats = formats_of(self.language, customer.language, biller.zone)
        self._labels = labels()[self.language]
        self._currency = customer.currency

    def say(self, label: str, **given: object) -> str:
        """What stands in the table of words, with what belongs in its places."""
        return self._labels[label].format(**given)

    def amount(self, minor: int) -> str:
        """An amount without its currency."""
        return self.formats.amount(minor, self._currency)

    def money(self, minor: int) -> str:
        """An amount with its currency."""
        return self.formats.money(minor, self._currency)

    def terms(self, terms: Terms) -> str:
        """When an invoice falls due."""
        match terms:
            case Net(days):
                return self.say("net", days=days) if days else self.say("net_0")
            case EndOfMonth(days):
                return self.say("end_of_month", days=days) if days else self.say("end_of_month_0")
            case DayOfMonth(day, cutoff):
                name = "day_of_month" if cutoff == 31 else "day_of_month_cutoff"
                return self.say(name, day=day, cutoff=cutoff)

    def frame(self, biller: Biller, customer: Customer, title: str, on: date) -> View:
        """What every document has: who sends it to whom, its paper, and what stands on each page."""
        address = [fit(line) for line in biller.address.splitlines() if line.strip()]
        named = [fit(customer.company), fit(customer.country)]
        return {
            "language": self.language,
            "paper": self.formats.paper,
            "named": {
                "title": title,
                "author": visible(biller.company),
                "on": (on.year, on.month, on.day),
            },
            "biller": {
                "company": fit(biller.company),
                "address": address,
                "reached": [fit(one) for one in (biller.email, biller.phone) if one],
            },
            "customer": {"label": self.say("bill_to"), "lines": named},
            "amounts_in": self.say("amounts_in", currency=customer.currency),
            "page": self.say("page"),
            "of": self.say("of"),
            "continued": f"{title} · {customer.account_number}",
        }

    def slip(
        self,
        customer: Customer,
        due_minor: int,
        number: str | None = None,
        due_on: str | None = None,
    ) -> View | None:
        """What to cut off and send with a check; None for who pays otherwise, or owes nothing."""
        if customer.payment_method != "cash_check" or due_minor <= 0:
            return None
        rows = [
            (self.say("bill_to"), fit(customer.company)),
            (self.say("account_number"), fit_id(customer.account_number)),
            *([(self.say("number"), fit_id(number))] if number else []),
            *([(self.say("due_on"), due_on)] if due_on else []),
            (self.say("amount_due"), self.money(due_minor)),
        ]
        return {
            "title": self.say("slip"),
            "cut": self.say("cut"),
            "pay_to": self.say("pay_to"),
            "details": pairs(rows, share_pt(self.formats.paper, 1 / 2)),
            "enclosed": self.say("amount_enclosed"),
        }


def fit(text: str) -> str:
    """A text of the ledger as it can be printed on its line: nothing in it is unseen or endless."""
    return _broken(visible(text), _WORD_WIDTH_MAX)


def visible(text: str) -> str:
    """A text of the ledger as one line in which no control character is left."""
    return _UNSEEN.sub(lambda found: code_points(found[0]), _SPACES.sub(" ", text))


def fit_id(text: str) -> str:
    """An id beside its label: it has more room, and is to be copied as it is."""
    return _broken(text, _ID_WIDTH_MAX)


def code_points(text: str) -> str:
    """Characters that cannot be shown, by their names: `[U+0007]`."""
    return "".join(f"[U+{ord(character):04X}]" for character in text)


def _broken(text: str, width_max: int) -> str:
    """The text with places to break a line in words that are wider than that."""
    return _WORD.sub(lambda found: _broken_word(found[0], width_max), text)


def _broken_word(word: str, width_max: int) -> str:
    if sum(map(_width, word)) <= width_max:
        return word
    parts, width = [word[0]], _width(word[0])
    for before, character in pairwise(word):
        is_joined = unicodedata.combining(character) or "\u200d" in (before, character)
        if width >= _PIECE_WIDTH and not is_joined:
            parts.append(BREAK)
            width = 0
        parts.append(character)
        width += _width(character)
    return "".join(parts)


def _width(character: str) -> int:
    return 2 if character.isupper() or character in "mw@%" or ord(character) > 0x2E80 else 1
