"""Writes a batch's rows: one statement a table, all sent at once, every row count checked.

Into tables that nobody else writes, made rows are copied.
"""

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any, NamedTuple

from psycopg import sql

from ledger.store import arrays, copying
from ledger.store.sql import load
from projections.model import Connection, WentBackwards

_KINDS: Mapping[type, type[arrays.Column]] = {
    int: arrays.Int8,
    str: arrays.Text,
    date: arrays.Date,
    datetime: arrays.Instant,
    bytes: arrays.Json,
    bool: arrays.Bool,
}
_BY_NAME: Mapping[str, type[arrays.Column]] = {
    "lane": arrays.Int4,
    "n": arrays.Int4,
    "made_n": arrays.Int4,
    "account_id": arrays.Uuid,
}

_SQL = load("projections", "writing.sql")


class Statement(NamedTuple):
    """How the rows of one type are written: the statement, its columns and how to read them.

    `counted`: it must write as many rows as it is given.
    """

    sql: bytes
    kinds: tuple[tuple[type[arrays.Column], bool], ...]
    read: Callable[[Any], Sequence[Any]] | None
    counted: bool


def statement(sql: bytes, row: type, *, counted: bool = True) -> Statement:
    """The statement of a row type, its parameters the row's fields; tuples are columns already."""
    fields = typing.get_type_hints(row)
    kinds = tuple((_kind(name, _plain(of)), of != _plain(of)) for name, of in fields.items())
    read = None if issubclass(row, tuple) else attrgetter(*fields)
    return Statement(sql, kinds, read, counted)


def copies(tables: Mapping[type, str]) -> dict[type, sql.Composed]:
    """How made rows are copied into their tables: the fields of a row are columns of its table."""
    return {
        kind: sql.SQL(_SQL["copy"].decode()).format(
            table=sql.Identifier(table),
            columns=sql.SQL(", ").join(map(sql.Identifier, typing.get_type_hints(kind))),
        )
        for kind, table in tables.items()
    }


class Writing:
    """How the rows of a read model get into its tables, by type."""

    def __init__(
        self, statements: Mapping[type, Statement], copies: Mapping[type, sql.Composed]
    ) -> None:
        self._statements = statements
        self._copies = copies

    def write(self, connection: Connection, *several: Mapping[type, Sequence[Any]]) -> None:
        """Writes the rows within the open transaction; raises WentBackwards."""
        sent = []
        with connection.pipeline():
            for by_type in several:
                for kind, rows in by_type.items():
                    if not rows:
                        continue
                    statement = self._statements[kind]
                    cursor = connection.cursor()
                    cursor.execute(statement.sql, _packed(statement, rows))
                    sent.append((kind, cursor, len(rows)))
        for kind, cursor, count in sent:
            if self._statements[kind].counted and cursor.rowcount != count:
                raise WentBackwards(
                    f"{kind.__name__}: {count} rows to write, {cursor.rowcount} fitted"
                )

    def copy(self, connection: Connection, made: Mapping[type, Sequence[Any]]) -> None:
        """Appends made rows, keeping to no order of tables, within the open transaction."""
        for kind, rows in made.items():
            if not rows:
                continue
            statement = self._statements[kind]
            packed = copying.packed(statement.kinds, _by_column(statement, rows))
            with connection.cursor() as cursor, cursor.copy(self._copies[kind]) as into:
                into.write(copying.HEAD + packed + copying.END)


def _by_column(statement: Statement, rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    tuples = rows if statement.read is None else map(statement.read, rows)
    return list(zip(*tuples, strict=True))


def _packed(statement: Statement, rows: Sequence[Any]) -> list[arrays.Column]:
    return [
        arrays.packed(kind, column, nullable=nullable)
        for (kind, nullable), column in zip(
            statement.kinds, _by_column(statement, rows), strict=True
        )
    ]


def _kind(name: str, of: type) -> type[arrays.Column]:
    return _BY_NAME.get(name) or _KINDS[of]


def _plain(annotation: Any) -> type:
    """`X` of `X | None`."""
    if isinstance(annotation, types.UnionType):
        annotation = next(a for a in typing.get_args(annotation) if a is not types.NoneType)
    assert isinstance(annotation, type), annotation
    return annotation
