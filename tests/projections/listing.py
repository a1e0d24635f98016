"""Reads the lists of an account, and compares them with what its events say."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from ledger import commands as c
from ledger.store.lanes import lane_of
from ledger.store.roles import READER
from tests.projections import told_money
from tests.projections.books import MadeUp
from tests.projections.told_lines import Known, Lines, Row, invoices
from tests.store.databases import Database

LISTS = {
    "charges": "effective_on",
    "unbilled_charges": "effective_on",
    "reversed_charges": "effective_on",
    "activity": "effective_on",
    "invoices": "issued_on",
    "payments": "effective_on",
    "credits": "effective_on",
    "refunds": "effective_on",
    "write_offs": "effective_on",
    "disputes": "effective_on",
    "messages": "effective_on",
}
"""The lists, and the day each is in order of."""


class Lists:
    """Reads the lists of accounts as the reader's role does."""

    def __init__(self, database: Database) -> None:
        self._connection = psycopg.connect(
            database.acting_as(READER), autocommit=True, row_factory=dict_row
        )
        self._connection.execute("SELECT set_config('billing.scope', '*', false)")

    def close(self) -> None:
        self._connection.close()

    def rows(self, function: str, id: UUID, *given: Any, order: str = "") -> list[Row]:
        places = ", ".join(["%b"] * (len(given) + 2))
        query = f"SELECT l.* FROM receivables.{function}({places}) AS l {order}"
        return self._connection.execute(query.encode(), (lane_of(id), id, *given)).fetchall()

    def newest(self, function: str, id: UUID, *given: Any) -> list[Row]:
        on = LISTS.get(function, "effective_on")
        return self.rows(function, id, *given, order=f"ORDER BY l.{on} DESC, l.seq DESC")


@dataclass
class Past:
    """An account with the positions and instants of its events."""

    made: MadeUp
    known: list[Known]
    positions: list[int]
    reached: int

    @property
    def id(self) -> UUID:
        return self.made.id

    @property
    def texts(self) -> dict[str, str]:
        posted = (r.command for r in self.made.requests if isinstance(r.command, c.PostMessage))
        return {command.message_id: command.text for command in posted}

    @property
    def days(self) -> tuple[date, date]:
        on = [one.event.effective_on for one in self.known]
        return min(on), max(on)

    def upto(self, position: int | None) -> list[Known]:
        """The events known at a position."""
        if position is None:
            return self.known
        return [k for k, at in zip(self.known, self.positions, strict=True) if at <= position]


def past_of(database: Database, made: MadeUp) -> Past:
    """The account with where and when its events were recorded."""
    stamps = database.rows(
        "SELECT position, recorded_at FROM ledger.event WHERE account_id = %s ORDER BY position",
        made.id,
    )
    events = zip(made.book.events, stamps, strict=True)
    known = [Known(n, at, event) for n, (event, (_, at)) in enumerate(events, start=1)]
    lane = lane_of(made.id)
    [head] = database.rows("SELECT position FROM ledger.lane_head WHERE lane = %s", lane)
    return Past(made, known, [position for position, _ in stamps], head)


def told(past: Past, day: date, known: list[Known]) -> dict[str, list[Row]]:
    """Every list as the events have it."""
    lines = Lines(known)
    charges = lines.charges(day)
    return {
        "charges": charges,
        "unbilled_charges": [row for row in charges if row["status"] == "unbilled"],
        "reversed_charges": [row for row in charges if row["status"] == "reversed"],
        "activity": lines.activity(day),
        "invoices": invoices(known, day),
        "payments": told_money.payments(known, day),
        "credits": told_money.credits(known, day),
        "refunds": told_money.refunds(known, day),
        "write_offs": told_money.write_offs(known, day),
        "disputes": told_money.disputes(known, day),
        "messages": told_money.messages(known, day, past.texts),
    }


def unlike(where: str, expected: list[Row], shown: list[Row]) -> list[str]:
    if expected == shown:
        return []
    for a, b in zip(expected, shown, strict=False):
        if a != b:
            odd = {n: (a.get(n), b.get(n)) for n in {*a, *b} if a.get(n) != b.get(n)}
            return [f"{where}: {odd or a.keys() ^ b.keys()} in {a}"]
    return [f"{where}: {len(expected)} rows, {len(shown)} shown"]


def lists_differ(lists: Lists, past: Past, day: date, position: int | None) -> list[str]:
    """Where a list, or one of an invoice, is not what the events known say."""
    known, where = past.upto(position), f"{past.made.number} on {day} at {position}"
    expected = told(past, day, known)
    found = []
    for name, rows in expected.items():
        found += unlike(f"{where}: {name}", rows, lists.newest(name, past.id, day, position))
    sources = told_money.Sources(known, day)
    for number in [*Lines(known).bills][-6:]:
        of = (past.id, number, day, position)
        found += lines_differ(lists, past, number, day, position)
        for name in ("payments", "credits"):
            touching = [row for row in expected[name] if touches(row, number)]
            shown = lists.newest(f"invoice_{name}", *of)
            found += unlike(f"{where}: {name} of {number}", touching, shown)
        columns = ("source", "amount_minor", "recovered_minor", "effective_on")
        put = sources.allocations("invoice", number, *columns)
        order = "ORDER BY l.effective_on, l.seq, l.n"
        shown = lists.rows("invoice_allocations", *of, order=order)
        shown = [{column: row[column] for column in columns} for row in shown]
        found += unlike(f"{where}: put on {number}", put, shown)
    return found


def lines_differ(
    lists: Lists, past: Past, number: str, day: date, position: int | None
) -> list[str]:
    """Where the lines of an invoice, or the charges that stand on it, are not what they were."""
    where = f"{past.made.number} on {day} at {position}"
    of, lines = (past.id, number, day, position), Lines(past.upto(position))
    expected = lines.invoice_lines(number, day)
    charges = [row for row in lines.charges(day) if row["invoice"] == number]
    return [
        *unlike(f"{where}: lines {number}", expected, lists.newest("invoice_lines", *of)),
        *unlike(f"{where}: on {number}", charges, lists.newest("invoice_charges", *of)),
    ]


def touches(row: Row, number: str) -> bool:
    """Whether a payment or credit names an invoice or is on it."""
    return row["invoice"] == number or any(a["invoice"] == number for a in row["allocations"])
