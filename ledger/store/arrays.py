"""Columns of rows as binary PostgreSQL arrays, packed in one go: what set-based statements are given.

psycopg's own lists are dumped element by element and lose their type when every element is null.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from psycopg import Connection
from psycopg.adapt import Dumper
from psycopg.pq import Format

_DAY_ZERO = date(2000, 1, 1).toordinal()
_HEAD = struct.Struct(">iiIii")
_NULL = b"\xff\xff\xff\xff"
_LENGTH = struct.Struct(">i")
_INSTANT_ZERO = datetime(2000, 1, 1, tzinfo=UTC)


class Column(bytes):
    """One array, ready to send; its subclasses name its type."""


class Int4(Column): ...


class Int8(Column): ...


class Bool(Column): ...


class Text(Column): ...


class Uuid(Column):
    """Of uuid; the elements are their 16 bytes."""


class Date(Column): ...


class Instant(Column): ...


class Bytea(Column): ...


class Json(Column):
    """Of jsonb; the elements are encoded JSON."""


def packed(kind: type[Column], values: Sequence[Any], *, nullable: bool = False) -> Column:
    """The array of a type that holds the values; None is null. Raises OverflowError."""
    if not values:
        return kind(_HEAD.pack(0, 0, _ELEMENT[kind], 0, 0)[:12])
    nulls = values.count(None) if nullable else 0
    has_null = nulls > 0
    if not has_null:
        body = _PACK[kind](values)
    elif nulls == len(values):
        body = _NULL * nulls
    else:
        body = _with_nulls(kind, values)
    return kind(_HEAD.pack(1, has_null, _ELEMENT[kind], len(values), 1) + body)


def columns(
    kinds: Sequence[type[Column]], rows: Sequence[tuple[Any, ...]], *, nullable: bool = False
) -> list[Column]:
    """The rows' columns, each of its type."""
    values: Iterable[Sequence[Any]] = zip(*rows, strict=True) if rows else [()] * len(kinds)
    return [packed(kind, v, nullable=nullable) for kind, v in zip(kinds, values, strict=True)]


def register(connection: Connection[Any]) -> None:
    """The connection can send columns."""
    for kind, dumper in _DUMPERS.items():
        connection.adapters.register_dumper(kind, dumper)


def _with_nulls(kind: type[Column], values: Sequence[Any]) -> bytes:
    pack = _PACK[kind]
    return b"".join(_NULL if value is None else pack((value,)) for value in values)


def _fixed(code: str, size: int, convert: Callable[[Any], Any] | None = None) -> Any:
    def pack(values: Sequence[Any]) -> bytes:
        flat: list[Any] = [size] * (2 * len(values))
        flat[1::2] = map(convert, values) if convert else values
        try:
            return struct.pack(f">{f'i{code}' * len(values)}", *flat)
        except struct.error as fault:
            raise OverflowError(f"a value does not fit its {size} bytes: {fault}") from fault

    return pack


def _text(values: Iterable[str]) -> bytes:
    pack = _LENGTH.pack
    return b"".join(
        [part for value in values for raw in (value.encode(),) for part in (pack(len(raw)), raw)]
    )


def _bytea(values: Iterable[bytes]) -> bytes:
    pack = _LENGTH.pack
    return b"".join([part for raw in values for part in (pack(len(raw)), raw)])


def _json(values: Iterable[bytes]) -> bytes:
    pack = _LENGTH.pack  # a jsonb on the wire is a byte 1 and the text
    return b"".join([part for raw in values for part in (pack(len(raw) + 1), b"\x01", raw)])


@lru_cache(maxsize=65_536)
def days(value: date) -> int:
    """As PostgreSQL counts a date."""
    return value.toordinal() - _DAY_ZERO


@lru_cache(maxsize=8_192)
def microseconds(value: datetime) -> int:
    """As PostgreSQL counts an instant."""
    since = value - _INSTANT_ZERO
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


_ELEMENT = {
    Int4: 23,
    Int8: 20,
    Bool: 16,
    Text: 25,
    Uuid: 2950,
    Date: 1082,
    Instant: 1184,
    Bytea: 17,
    Json: 3802,
}
_ARRAY = {
    Int4: 1007,
    Int8: 1016,
    Bool: 1000,
    Text: 1009,
    Uuid: 2951,
    Date: 1182,
    Instant: 1185,
    Bytea: 1001,
    Json: 3807,
}
_PACK: dict[type[Column], Callable[[Sequence[Any]], bytes]] = {
    Int4: _fixed("i", 4),
    Int8: _fixed("q", 8),
    Bool: _fixed("?", 1),
    Text: _text,
    Uuid: _fixed("16s", 16),
    Date: _fixed("i", 4, days),
    Instant: _fixed("q", 8, microseconds),
    Bytea: _bytea,
    Json: _json,
}


class _ColumnDumper(Dumper):
    """Sends a column as it is."""

    format = Format.BINARY

    def dump(self, obj: Column) -> bytes:
        return bytes(obj)


_DUMPERS = {
    kind: type(f"{kind.__name__}Dumper", (_ColumnDumper,), {"oid": oid})
    for kind, oid in _ARRAY.items()
}
