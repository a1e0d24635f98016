"""Compares what the views say with the fold of the same events in memory."""

import time
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from ledger.book import Book
from ledger.history import as_of
from ledger.items import CarriedItem, ChargeItem, CreditItem, InvoiceItem, PaymentItem
from ledger.store.lanes import lane_of
from ledger.store.roles import READER, acting_as
from projections.reading import Reading, Summary
from projections.receivables import RECEIVABLES
from tests.store.databases import Database

POLL_S = 0.05
TABLES = ("tracking", "parked", "lane_day", *RECEIVABLES.tables)


def views_differ(
    service_url: str, books: Mapping[UUID, Book], *, within_s: float = 0, today: date | None = None
) -> list[str]:
    """What differs between the views and the books, once the views have all their events.

    Compares every account's live figures (on `today`, or a day after its last event) and items.
    """
    deadline = time.monotonic() + within_s
    reading = Reading(service_url)
    try:
        while late := [id for id, book in books.items() if _version(reading, id) < _held(book)]:
            if time.monotonic() > deadline:
                return [f"the views lack events of {len(late)} accounts: {late[:3]}"]
            time.sleep(POLL_S)
        found = []
        for id, book in books.items():
            day = today or _last_day(book)
            found += live_differs(reading, id, book, day)
        return found + items_differ(service_url, books)
    finally:
        reading.close()


def dump(database: Database) -> dict[str, list[str]]:
    """Every row of the live views as text, by table."""
    return {
        table: database.rows(f"SELECT t::text FROM receivables.{table} AS t ORDER BY t::text")
        for table in TABLES
    }


def schemas(database: Database) -> list[str]:
    """The schemas of the live views and of those that a rebuild has left."""
    return database.rows(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'receivables%' ORDER BY nspname"
    )


def live_differs(reading: Reading, id: UUID, book: Book, today: date) -> list[str]:
    """What differs in an account's live row and open invoices."""
    expected = as_of(book.events, today)
    return _differs(f"{id} live on {today}", reading, id, expected, today, None)


def as_of_differs(
    reading: Reading, id: UUID, book: Book, day: date, position: int, version: int
) -> list[str]:
    """What differs in an account as of a day and a position that knows `version` of its events."""
    expected = as_of(book.events[:version], day)
    return _differs(f"{id} on {day} at version {version}", reading, id, expected, day, position)


def _differs(
    where: str, reading: Reading, id: UUID, expected: Any, day: date, position: int | None
) -> list[str]:
    shown = reading.summary(id, day, position)
    if shown is None:
        return [] if expected.version == 0 else [f"{where}: no row"]
    pairs = {
        "standing": (expected.standing, shown.standing),
        "version": (expected.version, shown.version),
        "unapplied": (sum(expected.unapplied_minor.values()), shown.unapplied_minor),
        "open items": (list(expected.open_items), reading.open_items(id, day, position)),
        "settings": (expected.settings, _settings(shown)),
    }
    return [f"{where}: {name}: {a} / {b}" for name, (a, b) in pairs.items() if a != b]


def _settings(shown: Summary) -> dict[str, object]:
    if shown.language is None:
        return {}
    names = ("invoice_delivery", "delivery_channel", "payment_method", "language")
    chosen: dict[str, object] = {name: getattr(shown, name) for name in names}
    return chosen | {"billing_cycle": shown.billing_cycle, "terms": _terms(shown.terms)}


def _terms(terms: object) -> object:
    from ledger.calendar import Terms

    return msgspec.convert(terms, Terms)


def items_differ(service_url: str, books: Mapping[UUID, Book]) -> list[str]:
    """What differs in the rows of invoices, payments, credits and charges."""
    found = []
    conninfo = acting_as(service_url, READER, search_path="receivables")
    with psycopg.connect(conninfo) as connection:
        connection.execute("SELECT set_config('billing.scope', '*', true)")
        for id, book in books.items():
            for table, (columns, expected) in _expected(book).items():
                rows = connection.execute(
                    f"SELECT {columns} FROM {table} WHERE lane = %s AND account_id = %s".encode(),
                    (lane_of(id), id),
                ).fetchall()
                if expected != set(rows) or len(expected) != len(rows):
                    odd = sorted(map(str, expected ^ set(rows)))
                    found.append(f"{id}: {table}: {odd[:6]}")
    return found


def _expected(book: Book) -> dict[str, tuple[str, set[Any]]]:
    items = book.items.values()
    carried = {i.id: i.unapplied_minor for i in items if isinstance(i, CarriedItem)}
    invoices = [i for i in items if isinstance(i, InvoiceItem)]
    payments = [i for i in items if isinstance(i, PaymentItem)]
    credits = [i for i in items if isinstance(i, CreditItem)]
    charges = [i for i in items if isinstance(i, ChargeItem)]
    return {
        "invoice": (
            (
                "number, seq, due_on, total_minor, open_minor, flagged_minor, disputed_minor,"
                " written_off_minor, carried_left_minor, cancelled_on IS NOT NULL, lines_count"
            ),
            {
                (
                    *(i.id, i.seq, i.due_on, i.total_minor, i.open_minor, i.flagged_minor),
                    *(i.disputed_minor, i.written_off_minor, carried.get(i.id, 0), i.cancelled),
                    i.lines.count if i.lines else 0,
                )
                for i in invoices
            },
        ),
        "payment": (
            (
                "payment_id, status, stage, amount_minor, processed_on, processed_minor,"
                " returned_minor, refunded_minor, unapplied_minor"
            ),
            {
                (
                    *(p.id, p.shown_status, p.status, p.submitted_minor, p.processed_on),
                    *(p.processed_minor, p.returned_minor, p.refunded_minor, p.unapplied_minor),
                )
                for p in payments
            },
        ),
        "credit": (
            "credit_id, total_minor, reversed_on IS NOT NULL, refunded_minor, unapplied_minor",
            {
                (c.id, c.total_minor, c.reversed, c.refunded_minor, c.unapplied_minor)
                for c in credits
            },
        ),
        "charge": (
            "charge_id, seq, effective_on, total_minor, reversed_on IS NOT NULL",
            {(c.id, c.seq, c.effective_on, c.total_minor, c.reversed) for c in charges},
        ),
    }


def _version(reading: Reading, id: UUID) -> int:
    shown = reading.summary(id, date.max)
    return shown.version if shown else 0


def _held(book: Book) -> int:
    return book.account.version if book.account else 0


def _last_day(book: Book) -> date:
    return max(event.effective_on for event in book.events) + timedelta(days=1)
