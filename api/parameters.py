"""Query parameters, read strictly: each known, given once, of its form; or a problem that names it."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from api.moments import DAY_SCHEMA, INSTANT_SCHEMA, day, instant, position
from api.problems import Problem, invalid_query
from ledger.errors import PositionUnknown
from ledger.ids import ID, ID_SAYS, INVOICE_ID, INVOICE_ID_SAYS

PARAMETERS_MAX = 16
LIMIT_DEFAULT = 50
LIMIT_MAX = 500
TEXT_CHARS_MAX = 200
WORDS_SCHEMA = {
    "type": "string",
    "minLength": 1,
    "maxLength": TEXT_CHARS_MAX,
    "pattern": r"^[^\u0000-\u001F\u007F-\u009F]*$",
}
_FIT = re.compile(r"[^\u0000-\u001F\u007F-\u009F]*")
_OPAQUE = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)

T = TypeVar("T")


class Parameter(NamedTuple):
    """A parameter of the query: its form, as a function that raises ValueError and as a schema."""

    name: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    says: str
    required: bool = False


def parsed(query_string: bytes, known: Mapping[str, Parameter]) -> dict[str, Any]:
    """The parameters given, by name; raises Problem (422), and PositionUnknown for a position."""
    if not query_string:
        found: dict[str, str] = {}
    else:
        found = _pairs(query_string, known)
    for parameter in known.values():
        if parameter.required and parameter.name not in found:
            raise invalid_query(parameter.name, "must be given", "missing")
    return {name: _read(known[name], text) for name, text in found.items()}


def _pairs(query_string: bytes, known: Mapping[str, Parameter]) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=PARAMETERS_MAX,
            errors="strict",
        )
    except UnicodeDecodeError:
        raise invalid_query("*", "is not text in UTF-8, percent-encoded") from None
    except ValueError:
        raise invalid_query("*", f"more than {PARAMETERS_MAX} parameters") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            names = ", ".join(known) or "none"
            raise invalid_query(name, f"there is no such parameter; there are {names}", "unknown")
        if name in found:
            raise invalid_query(name, "given twice", "repeated")
        found[name] = value
    return found


def _read(parameter: Parameter, text: str) -> Any:
    try:
        return parameter.read(text)
    except ValueError as fault:
        if parameter.read is position:
            raise PositionUnknown(position=text[:40]) from None
        raise invalid_query(parameter.name, str(fault)) from None


def named(*parameters: Parameter) -> Mapping[str, Parameter]:
    """Parameters by name."""
    return {parameter.name: parameter for parameter in parameters}


def limit(text: str) -> int:
    """A number of rows; raises ValueError."""
    if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= LIMIT_MAX:
        return int(text)
    raise ValueError(f"{text[:40]!r} is not a number from 1 to {LIMIT_MAX}")


def one_of(*choices: str) -> Callable[[str], str]:
    """A reader of one of some words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{text[:40]!r} is none of {', '.join(choices)}")
        return text

    return read


def flag(text: str) -> bool:
    """True or false; raises ValueError."""
    if text not in ("true", "false"):
        raise ValueError(f"{text[:40]!r} is neither true nor false")
    return text == "true"


def identifier(text: str) -> str:
    """A client ID or number of an account; raises ValueError."""
    return _named(text, ID, ID_SAYS)


def invoice_number(text: str) -> str:
    """A number of an invoice or debit item; raises ValueError."""
    return _named(text, INVOICE_ID, INVOICE_ID_SAYS)


def _named(text: str, pattern: re.Pattern[str], what: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not {what}")
    return text


def words(text: str) -> str:
    """Something to search for; raises ValueError."""
    if not 1 <= len(text) <= TEXT_CHARS_MAX or not _FIT.fullmatch(text):
        raise ValueError(f"is not 1 to {TEXT_CHARS_MAX} characters without control characters")
    return text


def opaque(text: str) -> str:
    """What was given out and is given back as it was; raises ValueError."""
    if len(text) > TEXT_CHARS_MAX or not _OPAQUE.fullmatch(text):
        raise ValueError(f"is not 1 to {TEXT_CHARS_MAX} of A-Z a-z 0-9 . _ -")
    return text


POSITION = {
    "type": "string",
    "pattern": "^(0|[1-9]|[1-5][0-9]|6[0-3])-(0|[1-9][0-9]{0,17})$",
}
EFFECTIVE_ON = Parameter(
    "effective_on", day, DAY_SCHEMA, "Only what counts from this day or before; the region's today."
)
KNOWN_AT = Parameter(
    "known_at",
    instant,
    INSTANT_SCHEMA,
    "Only what was recorded by this instant (RFC 3339, UTC); now.",
)
AT = Parameter(
    "at",
    position,
    POSITION,
    "Only what was recorded up to this position of the account's lane.",
)
LIMIT = Parameter(
    "limit",
    limit,
    {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
    "Rows of a page.",
)
CURSOR = Parameter(
    "cursor",
    opaque,
    {"type": "string", "maxLength": TEXT_CHARS_MAX, "pattern": "^[A-Za-z0-9._-]+$"},
    "`next_cursor` of the page before; everything else as in its request.",
)
FROM = Parameter("from", day, DAY_SCHEMA, "Only what counts from this day or later.")
TO = Parameter("to", day, DAY_SCHEMA, "Only what counts from this day or before.")
INVOICE = Parameter(
    "invoice",
    invoice_number,
    {"type": "string", "pattern": f"^{INVOICE_ID.pattern}$"},
    "Only what belongs to the invoice of this number.",
)
DRY_RUN = Parameter(
    "dry_run", flag, {"type": "boolean", "default": False}, "True: nothing is recorded."
)


def wanted_position(header: str | None) -> tuple[int, int] | None:
    """Lane and position of a `Ledger-Position` header: not older than; raises PositionUnknown."""
    if header is None:
        return None
    try:
        return position(header.strip())
    except ValueError:
        raise PositionUnknown(position=header[:40]) from None


def not_both(found: Mapping[str, Any], first: str, second: str) -> None:
    """Raises Problem (422) when both parameters are given."""
    if first in found and second in found:
        raise Problem(
            "invalid_request",
            f"give {first} or {second}, not both",
            errors=invalid_query(second, f"give {first} or {second}, not both").errors,
        )
