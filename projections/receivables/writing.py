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
from projections.receivables import account_rows as a
from projections.receivables import item_rows as i

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


class Statement(NamedTuple):
    """How the rows of one type are written: the statement, its columns and how to read them."""

    sql: bytes
    kinds: tuple[tuple[type[arrays.Column], bool], ...]
    read: Callable[[Any], Sequence[Any]] | None
    counted: bool


def write(
    connection: Connection,
    made: Mapping[type, Sequence[Any]],
    changed: Mapping[type, Sequence[Any]],
) -> None:
    """Writes the rows within the open transaction; raises WentBackwards."""
    sent = []
    with connection.pipeline():
        for rows in (made, changed):
            for kind, several in rows.items():
                if not several:
                    continue
                statement = _STATEMENTS[kind]
                columns, count = _columns(statement, several)
                cursor = connection.cursor()
                cursor.execute(statement.sql, columns)
                sent.append((kind, cursor, count))
    for kind, cursor, count in sent:
        if _STATEMENTS[kind].counted and cursor.rowcount != count:
            raise WentBackwards(f"{kind.__name__}: {count} rows to write, {cursor.rowcount} fitted")


def copy(connection: Connection, made: Mapping[type, Sequence[Any]]) -> None:
    """Appends made rows, keeping to no order of tables, within the open transaction."""
    for kind, rows in made.items():
        if not rows:
            continue
        table, kinds = _COPIES[kind], _STATEMENTS[kind].kinds
        packed = copying.packed(kinds, _by_column(_STATEMENTS[kind], rows))
        with connection.cursor() as cursor, cursor.copy(table) as into:
            into.write(copying.HEAD + packed + copying.END)


def _by_column(statement: Statement, rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    tuples = rows if statement.read is None else map(statement.read, rows)
    return list(zip(*tuples, strict=True))


def _columns(statement: Statement, rows: Sequence[Any]) -> tuple[list[arrays.Column], int]:
    columns = _by_column(statement, rows)
    packed = [
        arrays.packed(kind, column, nullable=nullable)
        for (kind, nullable), column in zip(statement.kinds, columns, strict=True)
    ]
    return packed, len(rows)


def _statement(sql: bytes, row: type, *, counted: bool = True) -> Statement:
    """The statement of a row type: rows that are tuples are columns already."""
    fields = typing.get_type_hints(row)
    kinds = tuple((_kind(name, _plain(of)), of != _plain(of)) for name, of in fields.items())
    read = None if issubclass(row, tuple) else attrgetter(*fields)
    return Statement(sql, kinds, read, counted)


def _kind(name: str, of: type) -> type[arrays.Column]:
    return _BY_NAME.get(name) or _KINDS[of]


def _plain(annotation: Any) -> type:
    """`X` of `X | None`."""
    if isinstance(annotation, types.UnionType):
        annotation = next(a for a in typing.get_args(annotation) if a is not types.NoneType)
    assert isinstance(annotation, type), annotation
    return annotation


_SQL = {
    **load("projections.receivables", "makes.sql"),
    **load("projections.receivables", "changes.sql"),
}
_STATEMENTS: Mapping[type, Statement] = {
    a.AccountRow: _statement(_SQL["make_account"], a.AccountRow),
    a.AccountChange: _statement(_SQL["change_account"], a.AccountChange),
    a.SettingRow: _statement(_SQL["make_setting"], a.SettingRow),
    i.InvoiceRow: _statement(_SQL["make_invoice"], i.InvoiceRow),
    i.InvoiceChange: _statement(_SQL["change_invoice"], i.InvoiceChange),
    i.InvoiceRangeRow: _statement(_SQL["make_invoice_range"], i.InvoiceRangeRow),
    i.ChargeRow: _statement(_SQL["make_charge"], i.ChargeRow),
    i.ChargeChange: _statement(_SQL["change_charge"], i.ChargeChange),
    i.PaymentRow: _statement(_SQL["make_payment"], i.PaymentRow),
    i.PaymentChange: _statement(_SQL["change_payment"], i.PaymentChange),
    i.PaymentStepRow: _statement(_SQL["make_payment_step"], i.PaymentStepRow),
    i.CreditRow: _statement(_SQL["make_credit"], i.CreditRow),
    i.CreditChange: _statement(_SQL["change_credit"], i.CreditChange),
    i.AllocationRow: _statement(_SQL["make_allocation"], i.AllocationRow),
    i.RefundRow: _statement(_SQL["make_refund"], i.RefundRow),
    i.RefundChange: _statement(_SQL["change_refund"], i.RefundChange),
    i.WriteOffRow: _statement(_SQL["make_write_off"], i.WriteOffRow),
    i.WriteOffChange: _statement(_SQL["change_write_off"], i.WriteOffChange),
    i.DisputeRow: _statement(_SQL["make_dispute"], i.DisputeRow),
    i.DisputeChange: _statement(_SQL["change_dispute"], i.DisputeChange),
    a.MessageRow: _statement(_SQL["make_message"], a.MessageRow),
    a.MovementRow: _statement(_SQL["make_movement"], a.MovementRow),
    a.DailyRow: _statement(_SQL["add_daily"], a.DailyRow),
    a.LaneDayRow: _statement(_SQL["note_lane_day"], a.LaneDayRow, counted=False),
}
_COPIES: Mapping[type, sql.Composed] = {
    kind: sql.SQL(_SQL["copy"].decode()).format(
        table=sql.Identifier(table),
        columns=sql.SQL(", ").join(map(sql.Identifier, typing.get_type_hints(kind))),
    )
    for kind, table in {
        a.AccountRow: "account",
        a.SettingRow: "setting",
        i.InvoiceRow: "invoice",
        i.InvoiceRangeRow: "invoice_range",
        i.ChargeRow: "charge",
        i.PaymentRow: "payment",
        i.PaymentStepRow: "payment_step",
        i.CreditRow: "credit",
        i.AllocationRow: "allocation",
        i.RefundRow: "refund",
        i.WriteOffRow: "write_off",
        i.DisputeRow: "dispute",
        a.MessageRow: "message",
        a.MovementRow: "movement",
        a.DailyRow: "daily",
        a.LaneDayRow: "lane_day",
    }.items()
}
"""How made rows are copied: the fields of a row are columns of its table."""
