"""What a command must know of an account before it can be decided: items by name, bounded ranges.

A range is read in its order until the amounts read suffice, never further than its limit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from ledger.items import (
    AllocationItem,
    InvoiceItem,
    Item,
    PaymentItem,
    Ref,
    SourceItem,
)

ITEMS_MAX = 5_000
"""Items one range may hold: one event touches at most about this many invoices."""
PAYMENTS_MAX = 50
"""Payments a refund that names none may draw on."""


class Named(msgspec.Struct, frozen=True, gc=False):
    """One item, which may be absent."""

    kind: str
    id: str


class OpenInvoices(msgspec.Struct, frozen=True, gc=False):
    """Open invoices by due date, then order of issue, but for `without`.

    Read until their undisputed amounts reach `settle_minor` and their open amounts pass
    settle + `cover_minor`: enough to allocate the one and to know the first invoice that
    unapplied credit does not cover.
    """

    settle_minor: int
    cover_minor: int
    without: tuple[str, ...] = ()


class SpareSources(msgspec.Struct, frozen=True, gc=False):
    """Sources with an unapplied rest, oldest first, until the rests reach `amount_minor`."""

    amount_minor: int


class WrittenOffInvoices(msgspec.Struct, frozen=True, gc=False):
    """Invoices with a live write-off by due date, until these reach `amount_minor`."""

    amount_minor: int


class AllocationsOf(msgspec.Struct, frozen=True, gc=False):
    """Live allocations of a source, latest first, until they reach `amount_minor`."""

    source: str
    amount_minor: int


class AllocationsTo(msgspec.Struct, frozen=True, gc=False):
    """Live allocations to an invoice, in order."""

    invoice: str


class PaidPayments(msgspec.Struct, frozen=True, gc=False):
    """Payments with live allocations, latest first, until these reach `amount_minor`."""

    amount_minor: int


RangeQuery = (
    OpenInvoices | SpareSources | WrittenOffInvoices | AllocationsOf | AllocationsTo | PaidPayments
)
Query = Named | RangeQuery


class Known:
    """The items read so far for one command, and which queries they answer."""

    def __init__(self) -> None:
        self.items: dict[Ref, Item] = {}
        self._answers: dict[Query, tuple[Ref, ...]] = {}

    def answer(self, query: Query, items: Iterable[Item]) -> None:
        """Takes the items, in the query's order, as the query's answer."""
        refs = []
        for item in items:
            self.items.setdefault(item.ref, item)
            refs.append(item.ref)
        self._answers[query] = tuple(refs)

    def missing(self, queries: Iterator[Query]) -> list[Query]:
        """The queries that have no answer yet."""
        return [query for query in queries if query not in self._answers]

    def hit_limit(self) -> bool:
        """Whether some range was cut at its limit."""
        return any(
            len(refs) >= (PAYMENTS_MAX if isinstance(query, PaidPayments) else ITEMS_MAX)
            for query, refs in self._answers.items()
            if not isinstance(query, Named)
        )


def answered_from(items: Mapping[Ref, Item], query: Query) -> list[Item]:
    """The answer to a query from all of an account's items in memory.

    This is the definition that the store's SQL follows, and what replay and tests use.
    """
    match query:
        case Named(kind, id):
            item = items.get((kind, id))
            return [] if item is None else [item]
        case OpenInvoices(settle_minor, cover_minor, without):
            return _open_invoices(items, settle_minor, cover_minor, without)
        case SpareSources(amount_minor):
            spare = [i for i in items.values() if isinstance(i, SourceItem) and i.unapplied_minor]
            spare.sort(key=lambda source: source.seq)
            return _until([(s, s.unapplied_minor) for s in spare], amount_minor)
        case WrittenOffInvoices(amount_minor):
            written = [i for i in _invoices(items) if i.written_off_minor]
            return _until([(i, i.written_off_minor) for i in written], amount_minor)
        case AllocationsOf(source, amount_minor):
            own = [a for a in _allocations(items) if a.source == source]
            return _until([(a, a.amount_minor) for a in reversed(own)], amount_minor)
        case AllocationsTo(invoice):
            return list[Item](a for a in _allocations(items) if a.invoice == invoice)[:ITEMS_MAX]
        case PaidPayments(amount_minor):
            paid = [i for i in items.values() if isinstance(i, PaymentItem) and i.allocated_minor]
            paid.sort(key=lambda payment: -payment.seq)
            rows = [(p, p.allocated_minor) for p in paid]
            return _until(rows, amount_minor, limit=PAYMENTS_MAX)


def _invoices(items: Mapping[Ref, Item]) -> list[InvoiceItem]:
    found = [i for i in items.values() if isinstance(i, InvoiceItem)]
    return sorted(found, key=lambda invoice: (invoice.due_on, invoice.seq))


def _allocations(items: Mapping[Ref, Item]) -> list[AllocationItem]:
    found = [i for i in items.values() if isinstance(i, AllocationItem) and i.amount_minor]
    return sorted(found, key=lambda allocation: allocation.seq)


def _open_invoices(
    items: Mapping[Ref, Item], settle_minor: int, cover_minor: int, without: tuple[str, ...]
) -> list[Item]:
    read: list[Item] = []
    undisputed = opened = 0
    for invoice in _invoices(items):
        if not invoice.open_minor or invoice.id in without:
            continue
        if undisputed >= settle_minor and opened > settle_minor + cover_minor:
            break
        read.append(invoice)
        undisputed += invoice.undisputed_minor
        opened += invoice.open_minor
    return read[:ITEMS_MAX]


def _until(
    rows: Sequence[tuple[Item, int]], amount_minor: int, limit: int = ITEMS_MAX
) -> list[Item]:
    read: list[Item] = []
    total = 0
    for item, amount in rows[:limit]:
        if total >= amount_minor:
            break
        read.append(item)
        total += amount
    return read
