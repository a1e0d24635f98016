"""The values of the HTTP contract, read strictly: each wrong one is named by its JSON pointer."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, NamedTuple

from api import moments
from api.problems import FieldError
from ledger.calendar import DayOfMonth, EndOfMonth, Net, Terms
from ledger.dunning import KEY_PREFIX as DUNNING
from ledger.errors import AmountOverflow, InvalidAmount, UnknownCurrency
from ledger.ids import GIVEN_NUMBER, GIVEN_NUMBER_SAYS, ID, ID_SAYS, INVOICE_ID, INVOICE_ID_SAYS
from ledger.money import exponent, minor_units
from ledger.month_end import KEY_PREFIX as MONTH_END
from ledger.parts import Tax

TAXES_MAX = 16

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,15})(\.[0-9]{1,12})?", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}", re.ASCII)
KEY = re.compile(rf"(?!{MONTH_END}|{DUNNING})[\x21-\x7e]{{1,255}}", re.ASCII)
KEY_SAYS = (
    "1 to 255 printable ASCII characters without blanks, not beginning with "
    f"{MONTH_END} or {DUNNING}"
)
_NEVER = r"\u007F-\u009F\u2028-\u202E\u2066-\u2069"
"""What is not in text, for a JSON schema, beside the controls that come first: see _is_unfit."""
_SHOWN_MAX = 60


class Reading:
    """One body being read: what its bare amounts are in, and everything wrong so far."""

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self.errors: list[FieldError] = []

    def wrong(self, pointer: str, code: str, message: str) -> None:
        self.errors.append(FieldError(pointer=pointer, code=code, message=message))


Read = Callable[[Reading, str, object], Any]
Schema = Mapping[str, Any]


class Reader:
    """Gives the value at a pointer as the command holds it, and says as a JSON schema what it takes.

    A wrong value is noted, and what is given back then is never used.
    """

    __slots__ = ("_read", "schema")

    def __init__(self, read: Read, schema: Schema) -> None:
        self._read = read
        self.schema = schema

    def __call__(self, reading: Reading, pointer: str, value: object) -> Any:
        return self._read(reading, pointer, value)


def takes(schema: Schema) -> Callable[[Read], Reader]:
    """Makes a reader of a function."""
    return lambda read: Reader(read, schema)


class Field(NamedTuple):
    """A field of a body; `into` is the command's name for it, when that is another."""

    name: str
    read: Reader
    required: bool = False
    into: str = ""


def read_object(
    reading: Reading, pointer: str, value: object, fields: Mapping[str, Field]
) -> dict[str, Any]:
    """The fields given, by the command's names; null is not given, an unknown field is wrong."""
    if not isinstance(value, dict):
        reading.wrong(pointer, "invalid_type", f"{_shown(value)} is not an object")
        return {}
    found = {}
    for name, given in value.items():
        at = f"{pointer}/{_escaped(name)}"
        field = fields.get(name)
        if field is None:
            known = ", ".join(fields) or "none"
            reading.wrong(at, "unknown_field", f"there is no field {_shown(name)} here: {known}")
        elif given is not None:
            found[field.into or name] = field.read(reading, at, given)
    for name, field in fields.items():
        if field.required and value.get(name) is None:
            reading.wrong(f"{pointer}/{name}", "missing_field", f"{name} must be given")
    return found


def schema_of(fields: Mapping[str, Field]) -> Schema:
    """The JSON schema of an object with these fields; null is the same as not given."""
    properties = {
        field.name: field.read.schema if field.required else or_null(field.read.schema)
        for field in fields.values()
    }
    required = [field.name for field in fields.values() if field.required]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def or_null(schema: Schema) -> dict[str, Any]:
    """The schema of the same or null."""
    if "enum" in schema and "type" in schema:
        return {**schema, "type": [schema["type"], "null"], "enum": [*schema["enum"], None]}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [*schema["anyOf"], {"type": "null"}]} if "anyOf" in schema else {**schema}


def object_of(make: Callable[..., Any], *fields: Field) -> Reader:
    """A reader of an object with these fields, made into a value."""
    named = {field.name: field for field in fields}

    @takes(schema_of(named))
    def read(reading: Reading, pointer: str, value: object) -> Any:
        before = len(reading.errors)
        found = read_object(reading, pointer, value, named)
        return make(**found) if len(reading.errors) == before else None

    return read


def list_of(read: Reader, items_max: int) -> Reader:
    """A reader of an array of at most `items_max`, as a tuple."""

    @takes({"type": "array", "items": read.schema, "maxItems": items_max})
    def read_list(reading: Reading, pointer: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            reading.wrong(pointer, "invalid_type", f"{_shown(value)} is not an array")
            return ()
        if len(value) > items_max:
            says = f"there are {len(value)}, more than {items_max}"
            reading.wrong(pointer, "too_many", says)
            return ()
        return tuple(read(reading, f"{pointer}/{i}", item) for i, item in enumerate(value))

    return read_list


# What makes text read in another order than it is written: a company or a description could show a
# name or an amount that is not there to people who never saw it typed (UTR 36, "Bidirectional Text
# Spoofing"). Arabic and Hebrew need none of them: their letters carry their direction, and the marks
# that help at borders, U+061C, U+200E and U+200F, are taken (UAX 9, section 2).
_REORDERS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Controls, surrogates, which are no characters, and two separators that some readers break lines at.
_UNFIT = frozenset(("Cc", "Cs", "Zl", "Zp"))


def text(chars_max: int, *, required: bool = False, lines: bool = False) -> Reader:
    """A reader of text in NFC without control characters; `lines` may break it."""
    controls = r"\u0000-\u0008\u000B-\u001F" if lines else r"\u0000-\u001F"
    fit = f"[^{controls}{_NEVER}]*"
    pattern = rf"^{fit}[^\s{controls}{_NEVER}]{fit}$" if required else f"^{fit}$"

    @takes({"type": "string", "maxLength": chars_max, "pattern": pattern})
    def read(reading: Reading, pointer: str, value: object) -> str:
        if not isinstance(value, str):
            reading.wrong(pointer, "invalid_type", f"{_shown(value)} is not a string")
            return ""
        if not (value.isascii() and value.isprintable()):
            value = unicodedata.normalize("NFC", value.replace("\r\n", "\n") if lines else value)
            unfit = next((char for char in value if _is_unfit(char, lines)), None)
            if unfit is not None:
                reading.wrong(pointer, "invalid_text", f"U+{ord(unfit):04X} cannot be in text")
        if len(value) > chars_max:
            says = f"{len(value)} characters are more than {chars_max}"
            reading.wrong(pointer, "too_long", says)
        if required and not value.strip():
            reading.wrong(pointer, "invalid_text", "the text is blank")
        return value

    return read


def _is_unfit(char: str, lines: bool) -> bool:
    if lines and char in "\n\t":
        return False
    return char in _REORDERS or unicodedata.category(char) in _UNFIT


def matching(pattern: re.Pattern[str], code: str, what: str) -> Reader:
    """A reader of a string that fits a pattern whole."""

    @takes({"type": "string", "pattern": f"^{pattern.pattern}$"})
    def read(reading: Reading, pointer: str, value: object) -> str:
        if not isinstance(value, str):
            reading.wrong(pointer, "invalid_type", f"{_shown(value)} is not a string")
        elif not pattern.fullmatch(value):
            reading.wrong(pointer, code, f"{_shown(value)} is not {what}")
        else:
            return value
        return ""

    return read


identifier = matching(ID, "invalid_id", ID_SAYS)
invoice = matching(INVOICE_ID, "invalid_id", INVOICE_ID_SAYS)
given_number = matching(GIVEN_NUMBER, "invalid_id", GIVEN_NUMBER_SAYS)
key = matching(KEY, "invalid_key", KEY_SAYS)
decimal = matching(_DECIMAL, "invalid_decimal", "an ASCII decimal with up to 12 decimals")
language = matching(_LANGUAGE, "invalid_language", "a language tag such as en or pt-BR")


def one_of(*choices: str) -> Reader:
    """A reader of one of some words."""

    @takes({"type": "string", "enum": list(choices)})
    def read(reading: Reading, pointer: str, value: object) -> object:
        if not isinstance(value, str) or value not in choices:
            says = f"{_shown(value)} is none of {', '.join(choices)}"
            reading.wrong(pointer, "invalid_choice", says)
        return value

    return read


@takes({"type": "boolean"})
def flag(reading: Reading, pointer: str, value: object) -> object:
    """True or false."""
    if not isinstance(value, bool):
        reading.wrong(pointer, "invalid_type", f"{_shown(value)} is neither true nor false")
    return value


def whole(least: int, most: int) -> Reader:
    """A reader of a whole number within bounds."""

    @takes({"type": "integer", "minimum": least, "maximum": most})
    def read(reading: Reading, pointer: str, value: object) -> object:
        if type(value) is not int or not least <= value <= most:
            says = f"{_shown(value)} is not a whole number from {least} to {most}"
            reading.wrong(pointer, "invalid_number", says)
        return value

    return read


@takes(moments.DAY_SCHEMA)
def day(reading: Reading, pointer: str, value: object) -> date | None:
    """A date YYYY-MM-DD."""
    try:
        return moments.day(value if isinstance(value, str) else "")
    except ValueError:
        years = f"from {moments.FIRST_DAY.year} to {moments.LAST_DAY.year}"
        says = f"{_shown(value)} is not a date YYYY-MM-DD {years}"
        reading.wrong(pointer, "invalid_date", says)
    return None


@takes({"type": "string", "pattern": "^[A-Z]{3}$"})
def currency(reading: Reading, pointer: str, value: object) -> str:
    """An ISO 4217 currency."""
    try:
        exponent(value if isinstance(value, str) else "")
    except UnknownCurrency:
        reading.wrong(pointer, "unknown_currency", f"{_shown(value)} is not an ISO 4217 currency")
    return str(value)


_AMOUNT = r"^(0|[1-9][0-9]{0,15})(\.[0-9]{1,4})?$"
_AMOUNT_TAKEN = {
    "anyOf": [
        {"type": "string", "pattern": _AMOUNT},
        {
            "type": "object",
            "properties": {
                "amount": {"type": "string", "pattern": _AMOUNT},
                "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            },
            "required": ["amount", "currency"],
            "additionalProperties": False,
        },
    ]
}


@takes(_AMOUNT_TAKEN)
def amount_or_zero(reading: Reading, pointer: str, value: object) -> int:
    """Minor units of "61.11" or {"amount": "61.11", "currency": "USD"}, in the account's currency."""
    if isinstance(value, dict):
        return _money(reading, pointer, value)
    if not isinstance(value, str):
        says = f"{_shown(value)} is not a decimal string or an amount with its currency"
        reading.wrong(pointer, "invalid_amount", says)
        return 0
    try:
        return minor_units(value, reading.currency)
    except (InvalidAmount, AmountOverflow) as refusal:
        reading.wrong(pointer, "invalid_amount", str(refusal))
        return 0


@takes(_AMOUNT_TAKEN)
def amount(reading: Reading, pointer: str, value: object) -> int:
    """As `amount_or_zero`, but more than zero."""
    before = len(reading.errors)
    found: int = amount_or_zero(reading, pointer, value)
    if not found and len(reading.errors) == before:
        reading.wrong(pointer, "invalid_amount", "the amount must be more than zero")
    return found


def _money(reading: Reading, pointer: str, value: dict[object, object]) -> int:
    before = len(reading.errors)
    named = read_object(reading, pointer, value, _MONEY)
    if len(reading.errors) > before:
        return 0
    if named["currency"] != reading.currency:
        says = f"the account is kept in {reading.currency}, not {named['currency']}"
        reading.wrong(f"{pointer}/currency", "currency_mismatch", says)
        return 0
    found: int = amount_or_zero(reading, f"{pointer}/amount", named["amount"])
    return found


_MONEY = {
    "amount": Field("amount", text(40), required=True),
    "currency": Field("currency", currency, required=True),
}

_RATE_SAYS = (
    "A fraction of the amount before tax: 0.2 is 20 %. Informative; `amount` is what counts."
)
_tax = object_of(
    lambda name, amount_minor, rate="": Tax(name=name, rate=rate, amount_minor=amount_minor),
    Field("name", text(64, required=True), required=True),
    Field("rate", Reader(decimal, {**decimal.schema, "description": _RATE_SAYS})),
    Field("amount", amount_or_zero, required=True, into="amount_minor"),
)
taxes = list_of(_tax, TAXES_MAX)


@takes({"anyOf": [{"const": "month_end"}, {"type": "integer", "minimum": 1, "maximum": 31}]})
def billing_cycle(reading: Reading, pointer: str, value: object) -> object:
    """ "month_end" or a day of the month."""
    if value != "month_end" and (type(value) is not int or not 1 <= value <= 31):
        says = f'{_shown(value)} is neither "month_end" nor a day from 1 to 31'
        reading.wrong(pointer, "invalid_choice", says)
    return value


_TERMS: Mapping[str, Reader] = {
    "net": object_of(
        lambda kind, days: Net(days),
        Field("kind", one_of("net"), required=True),
        Field("days", whole(0, 366), required=True),
    ),
    "end_of_month": object_of(
        lambda kind, days: EndOfMonth(days),
        Field("kind", one_of("end_of_month"), required=True),
        Field("days", whole(0, 366), required=True),
    ),
    "day_of_month": object_of(
        lambda kind, day, cutoff=31: DayOfMonth(day, cutoff),
        Field("kind", one_of("day_of_month"), required=True),
        Field("day", whole(1, 31), required=True),
        Field("cutoff", whole(1, 31)),
    ),
}


@takes({"anyOf": [read.schema for read in _TERMS.values()]})
def terms(reading: Reading, pointer: str, value: object) -> Terms | None:
    """Payment terms by their kind."""
    kind = value.get("kind") if isinstance(value, dict) else None
    read = _TERMS.get(kind) if isinstance(kind, str) else None
    if read is None:
        says = f"terms are an object whose kind is one of {', '.join(_TERMS)}"
        reading.wrong(pointer, "invalid_terms", says)
        return None
    found: Terms | None = read(reading, pointer, value)
    return found


def _escaped(name: object) -> str:
    """A name as a token of a JSON pointer (RFC 6901, section 3)."""
    return str(name).replace("~", "~0").replace("/", "~1")


def _shown(value: object) -> str:
    shown = ascii(value)
    return shown if len(shown) <= _SHOWN_MAX else f"{shown[:_SHOWN_MAX]}..."
