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
SAMPLE, DISTINCT_MAX = 64, 16
"""A column is taken to repeat itself when so many values have no more distinct ones among them."""

_NULL = b"\xff\xff\xff\xff"
_COUNT, _LENGTH = Struct(">h"), Struct(">i")

Kinds = Sequence[tuple[type[arrays.Column], bool]]
"""Columns' types, and whether they may be null."""
Encode = Callable[[Sequence[Any]], list[bytes]]
"""Values, none of them null, as COPY's fields: each its length and itself."""


def packed(kinds: Kinds, columns: Sequence[Sequence[Any]]) -> bytes:
    """The rows, given as columns of one length, None being null. Raises OverflowError."""
    try:
        parts = _parts(kinds, columns)
        return b"".join(chain.from_iterable(zip(*parts, strict=True)))
    except error as fault:
        raise OverflowError(f"a value does not fit its column: {fault}") from fault


def _parts(kinds: Kinds, columns: Sequence[Sequence[Any]]) -> list[Iterable[bytes]]:
    """For each part of a row what it is in every row: columns side by side, and single ones."""
    parts: list[Iterable[bytes]] = []
    rows = len(columns[0])
    beside = _Beside(_COUNT.pack(len(kinds)))
    for (kind, nullable), values in zip(kinds, columns, strict=True):
        has_nulls = nullable and None in values
        distinct = len(set(values[:SAMPLE]))
        if distinct == 1 and values.count(values[0]) == len(values):
            beside.add_constant(_NULL if has_nulls else _ENCODE[kind](values[:1])[0])
        elif kind in _FIXED and not has_nulls:
            code, size, convert = _FIXED[kind]
            beside.add("i" + code, repeat(size), map(convert, values) if convert else values)
        else:
            repeats = distinct <= min(DISTINCT_MAX, len(values) // 2)
            parts += [beside.packed(rows), _one_by_one(kind, values, has_nulls, repeats)]
            beside = _Beside()
    return [*parts, beside.packed(rows)]


class _Beside:
    """Columns side by side that are of fixed size, or the same in every row."""

    def __init__(self, constant: bytes = b"") -> None:
        self._codes, self._values = "", list[Iterable[Any]]()
        self._constant = constant

    def add_constant(self, constant: bytes) -> None:
        self._constant += constant

    def add(self, code: str, *values: Iterable[Any]) -> None:
        if self._constant:
            self._codes += f"{len(self._constant)}s"
            self._values.append(repeat(self._constant))
            self._constant = b""
        self._codes += code
        self._values += values

    def packed(self, rows: int) -> Iterable[bytes]:
        """Their part of so many rows."""
        if not self._codes:
            return repeat(self._constant, rows)
        self.add("")
        return map(_struct(self._codes).pack, *self._values)


def _one_by_one(
    kind: type[arrays.Column], values: Sequence[Any], has_nulls: bool, repeats: bool
) -> Iterable[bytes]:
    """A column whose values differ in size, or of which some are null."""
    encode = _ENCODE[kind]
    if repeats:
        table = {v: _NULL if v is None else encode((v,))[0] for v in set(values)}
        return map(table.__getitem__, values)
    if has_nulls:
        return [_NULL if value is None else encode((value,))[0] for value in values]
    return encode(values)


@lru_cache
def _struct(codes: str) -> Struct:
    return Struct(">" + codes)


def _fixed(code: str, size: int, convert: Callable[[Any], Any] | None) -> Encode:
    pack = _struct("i" + code).pack
    return lambda values: list(map(pack, repeat(size), map(convert, values) if convert else values))


def _text(values: Iterable[str]) -> list[bytes]:
    pack = _LENGTH.pack
    return [pack(len(raw)) + raw for raw in map(str.encode, values)]


def _bytea(values: Iterable[bytes]) -> list[bytes]:
    pack = _LENGTH.pack
    return [pack(len(raw)) + raw for raw in values]


def _json(values: Iterable[bytes]) -> list[bytes]:
    return _bytea([b"\x01" + raw for raw in values])  # a jsonb on the wire is a byte 1 first


_FIXED: dict[type[arrays.Column], tuple[str, int, Callable[[Any], Any] | None]] = {
    arrays.Int4: ("i", 4, None),
    arrays.Int8: ("q", 8, None),
    arrays.Bool: ("?", 1, None),
    arrays.Uuid: ("16s", 16, None),
    arrays.Date: ("i", 4, arrays.days),
    arrays.Instant: ("q", 8, arrays.microseconds),
}
_ENCODE: dict[type[arrays.Column], Encode] = {
    **{kind: _fixed(*form) for kind, form in _FIXED.items()},
    arrays.Text: _text,
    arrays.Bytea: _bytea,
    arrays.Json: _json,
}
