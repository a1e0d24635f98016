"""How a place writes days, numbers and amounts, and on which paper: by CLDR, never by the machine."""

import re
from datetime import date
from decimal import Decimal, localcontext
from functools import cache, lru_cache

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date
from babel.numbers import format_percent

from ledger.money import decimal_text

MINUS = "\u2212"
"""Not the hyphen, at which a line may break."""
_WORLD = "001"
_DAYS_KEPT = 400
_DIGITS_MAX = 40
"""More than a rate has that an event can hold."""
_NOWHERE = "ZZ"
_LETTER = frozenset(
    {"BZ", "CA", "CL", "CO", "CR", "DO", "GT", "MX", "NI", "PA", "PH", "PR", "SV", "US", "VE"}
)
"""Where paper is US Letter, by the paper sizes of CLDR's supplemental data; elsewhere A4."""
_TERRITORY = re.compile(r"[A-Za-z]{2}|[0-9]{3}")


class Formats:
    """The formats of a territory, with the names of months in a language."""

    def __init__(self, language: str, territory: str) -> None:
        numbers = _locale(f"und_{territory}", f"und_{_WORLD}")
        symbols = numbers.number_symbols["latn"]
        self._numbers = numbers
        self.paper = "us-letter" if territory in _LETTER else "a4"
        self._decimal: str = symbols["decimal"]
        self._group: str = symbols["group"]
        self._first, self._further = numbers.decimal_formats[None].grouping
        pattern = numbers.currency_formats["standard"].pattern
        self._is_currency_first = pattern.lstrip("\u200e\u200f").startswith("¤")
        locale = _locale(f"{language}_{territory}", f"{language}_{_WORLD}", language)
        # A document's lines are of few days, and Babel takes as long for one as a line does otherwise.
        self._day = lru_cache(_DAYS_KEPT)(lambda on: str(format_date(on, "medium", locale)))

    def day(self, on: date) -> str:
        """A day, such as Jul 31, 2020."""
        return self._day(on)

    def days(self, period: tuple[date, date]) -> str:
        """From a day to a day."""
        return f"{self.day(period[0])} – {self.day(period[1])}"

    def number(self, decimal: str) -> str:
        """A decimal string, such as -1234.50, with the separators of the place."""
        whole, _, fraction = decimal.removeprefix("-").partition(".")
        head, tail = whole[: -self._first], whole[-self._first :]
        while head:
            head, tail = head[: -self._further], f"{head[-self._further :]}{self._group}{tail}"
        sign = MINUS if decimal.startswith("-") else ""
        return f"{sign}{tail}{self._decimal + fraction if fraction else ''}"

    def percent(self, fraction: str) -> str:
        """A fraction as a decimal string, such as 0.0625, in percent: every digit, no needless zero."""
        with localcontext(prec=_DIGITS_MAX):
            told = format_percent(
                Decimal(fraction), locale=self._numbers, decimal_quantization=False
            )
        return str(told)

    def amount(self, minor: int, currency: str) -> str:
        """An amount without its currency."""
        return self.number(decimal_text(minor, currency))

    def money(self, minor: int, currency: str) -> str:
        """An amount with the code of its currency, on the side where the place puts it."""
        amount = self.amount(minor, currency)
        parts = (currency, amount) if self._is_currency_first else (amount, currency)
        return "\u00a0".join(parts)


@cache
def formats_of(language: str, tag: str, zone: str) -> Formats:
    """The formats for a document in a language (`en`): of the territory that the customer's tag
    names (`en-GB`), else of the region's zone."""
    if (named := _territory_of(tag)) is not None and _is_known(named):
        return Formats(language, named)
    aliases, territories = get_global("zone_aliases"), get_global("zone_territories")
    territory = territories.get(aliases.get(zone, zone), _WORLD)
    return Formats(language, territory if _is_known(territory) else _WORLD)


def _territory_of(tag: str) -> str | None:
    """The region of a language tag (BCP 47): it stands before any extension, which one letter begins."""
    for part in tag.split("-")[1:]:
        if len(part) == 1:
            return None
        if _TERRITORY.fullmatch(part):
            return part.upper()
    return None


def _is_known(territory: str) -> bool:
    if territory == _NOWHERE:
        return False
    try:
        Locale.parse(f"und_{territory}")
    except (UnknownLocaleError, ValueError):
        return False
    return True


def _locale(*tags: str) -> Locale:
    """The first of some locales that is known."""
    for tag in tags:
        try:
            return Locale.parse(tag)
        except UnknownLocaleError:
            continue
    raise AssertionError(tags)
