"""Entries as transactions of plain-text accounting: one for what an event does on a day."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
from typing import NamedTuple

from api.exports.books import Balances, Month, Outline, Row


class Posted(NamedTuple):
    """What an event does on a day, and the day it is booked on; `shared` facts are those of each of them."""

    on: date
    position: str
    account_number: str
    recorded_at: str
    kinds: str
    shared: dict[str, str]
    entries: Sequence[tuple[Row, dict[str, str]]]


def transactions(month: Month, rows: Sequence[Row]) -> Iterator[Posted]:
    """The transactions of entries in the order of their pages."""
    for _, found in groupby(rows, lambda row: (row.lane, row.position, row.effective_on)):
        entries = list(found)
        yield _posted(month.posting_on(entries[0]), entries)


def _posted(on: date, rows: list[Row]) -> Posted:
    first = rows[0]
    facts = [_facts(on, row) for row in rows]
    shared = {
        name: value
        for name, value in facts[0].items()
        if all(others.get(name) == value for others in facts)
    }
    own = [{name: of[name] for name in of if name not in shared} for of in facts]
    return Posted(
        on=on,
        position=written(first),
        account_number=first.account_number,
        recorded_at=instant(first.recorded_at),
        kinds=", ".join(dict.fromkeys(row.kind for row in rows)),
        shared=shared,
        entries=list(zip(rows, own, strict=True)),
    )


def _facts(on: date, row: Row) -> dict[str, str]:
    """What is said of an entry beside its amount; its own day only if it is booked on another."""
    found = {"kind": row.kind, "document": row.document}
    if row.invoice is not None:
        found["invoice"] = row.invoice
    if row.carried_by is not None:
        found["carried_by"] = row.carried_by
    if row.effective_on != on:
        found["effective_on"] = row.effective_on.isoformat()
    return found


def written(row: Row) -> str:
    """The position of the row's event, as everywhere."""
    return f"{row.lane}-{row.position}"


def instant(at: datetime) -> str:
    """RFC 3339 in UTC, always with microseconds."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def currencies(balances: Balances) -> list[str]:
    """The currencies that anything is kept in."""
    return sorted({currency for currency, _ in balances})


def accounts(balances: Balances) -> list[str]:
    """The accounts of any currency."""
    return sorted({account for _, account in balances})


def of_currency(balances: Balances, currency: str) -> list[tuple[str, int]]:
    """The accounts of a currency with their balances."""
    return [(account, minor) for (of, account), minor in balances.items() if of == currency]


def said_of(outline: Outline) -> Iterator[str]:
    """What a file of text says of itself, a line each."""
    first, last = outline.months[0].period, outline.months[-1].period
    yield f"Journal of region {outline.region}, posting periods {first} to {last}"
    yield f"As known at {outline.position}"
    if outline.parked:
        yield f"INCOMPLETE: later events of {outline.parked} accounts could not be read"


def end_of(outline: Outline) -> str:
    """What the last line of a file of text says."""
    return f"End of the export: {outline.entries} entries"
