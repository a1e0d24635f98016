"""Rows in the binary form of COPY: the cheapest way into tables that have few indexes yet.

Columns of fixed size that stand side by side are packed together, and texts that repeat are
encoded once.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain, repeat
from struct import Struct, error
from typing import Any

from ledger.store import arrays

HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
END = b"\xff\xff"
REPEATS_MIN = 4
"""How often a column's values repeat, on average, before each is encoded only once."""

_NULL = b"\xff\xff\xff\xff"
_LENGTH = Struct(">i")

Kinds = Sequence[tuple[type[arrays.Column], bool]]
"""Columns' types, and whether they may be null."""


def packed(kinds: Kinds, columns: Sequence[Sequence[Any]]) -> bytes:
    """The rows, given as columns of one length, None being null. Raises OverflowError."""
    parts: list[Iterable[bytes]] = []
    beside = _Beside()
    beside.add("h", repeat(len(kinds)))
    for (kind, nullable), values in zip(kinds, columns, strict=True):
        nulls = values.count(None) if nullable else 0
        if nulls == len(values):
            beside.add("i", repeat(-1))
        elif kind in _FIXED and not nulls:
            code, size, convert = _FIXED[kind]
            beside.add("i" + code, repeat(size), map(convert, values) if convert else values)
        else:
            parts += [beside.packed(), _one_by_one(kind, values)]
            beside = _Beside()
    parts.append(beside.packed())
    try:
        return b"".join(chain.from_iterable(zip(*parts)))  # noqa: B905 # constants have no end
    except error as fault:
        raise OverflowError(f"a value does not fit its column: {fault}") from fault


class _Beside:
    """Columns of fixed size side by side."""

    def __init__(self) -> None:
        self._codes, self._values = "", list[Iterable[Any]]()

    def add(self, code: str, *values: Iterable[Any]) -> None:
        self._codes += code
        self._values += values

    def packed(self) -> Iterable[bytes]:
        """Their part of each row."""
        if not self._codes:
            return repeat(b"")
        return map(_struct(self._codes).pack, *self._values)


def _one_by_one(kind: type[arrays.Column], values: Sequence[Any]) -> Iterable[bytes]:
    """A column whose values differ in size, or of which some are null."""
    encode = _ENCODED[kind]
    distinct = set(values)
    if len(distinct) * REPEATS_MIN > len(values):
        return [_NULL if value is None else encode(value) for value in values]
    encoded = {value: _NULL if value is None else encode(value) for value in distinct}
    return map(encoded.__getitem__, values)


@lru_cache
def _struct(codes: str) -> Struct:
    return Struct(">" + codes)


def _with_length(raw: bytes) -> bytes:
    return _LENGTH.pack(len(raw)) + raw


def _fixed(code: str, size: int, convert: Callable[[Any], Any] | None) -> Callable[[Any], bytes]:
    pack = _struct("i" + code).pack
    if convert is None:
        return lambda value: pack(size, value)
    return lambda value: pack(size, convert(value))


_FIXED: dict[type[arrays.Column], tuple[str, int, Callable[[Any], Any] | None]] = {
    arrays.Int4: ("i", 4, None),
    arrays.Int8: ("q", 8, None),
    arrays.Bool: ("?", 1, None),
    arrays.Uuid: ("16s", 16, None),
    arrays.Date: ("i", 4, arrays.days),
    arrays.Instant: ("q", 8, arrays.microseconds),
}
_ENCODED: dict[type[arrays.Column], Callable[[Any], bytes]] = {
    **{kind: _fixed(*form) for kind, form in _FIXED.items()},
    arrays.Text: lambda value: _with_length(value.encode()),
    arrays.Bytea: _with_length,
    arrays.Json: lambda raw: _with_length(b"\x01" + raw),  # a jsonb on the wire is a byte 1 first
}
