"""What a flush holds of one account's items: starts of ranges as stored, and what it changed since.

Several commands of an account are decided in one flush, each on what the ones before it made of
the items. An answer is given from memory only where it is certain to be the one that all items
together would give, which `needs.answered_from` defines.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from ledger.items import AllocationItem, InvoiceItem, Item, PaymentItem, Ref, SourceItem
from ledger.needs import (
    ITEMS_MAX,
    PAYMENTS_MAX,
    AllocationsOf,
    AllocationsTo,
    Named,
    OpenInvoices,
    PaidPayments,
    Query,
    RangeQuery,
    SpareSources,
    WrittenOffInvoices,
    answered_from,
)

BIGINT_MAX = 2**63 - 1

Order = tuple[date, int]
"""Where an item stands in its range."""


class RangeAsked(NamedTuple):
    """One range to read, in the terms of `ledger.read_ranges`."""

    range: str
    of: str
    settle_minor: int
    pass_minor: int
    without: str
    rows_min: int
    rows_max: int


class _Start(NamedTuple):
    """How much of a stored range was read: its rows, the last one's order, whether it ended."""

    rows: int
    last: Order | None
    ended: bool


_GROUP = {
    "invoice": "invoice", "payment": "source", "credit": "source", "carried": "source",
    "allocation": "allocation",
}  # fmt: skip  # one line a group
_GROUP_OF: Mapping[type[RangeQuery], str] = {
    OpenInvoices: "invoice",
    WrittenOffInvoices: "invoice",
    SpareSources: "source",
    PaidPayments: "source",
    AllocationsOf: "allocation",
    AllocationsTo: "allocation",
}


class Held:
    """The items of one account as a flush knows them."""

    def __init__(self, *, nothing_stored: bool) -> None:
        self._nothing_stored = nothing_stored
        self._items: dict[Ref, Item | None] = {}
        self._groups: dict[str, dict[Ref, Item]] = {"invoice": {}, "source": {}, "allocation": {}}
        self._starts: dict[tuple[type[RangeQuery], str], _Start] = {}

    def answer(self, query: Query) -> list[Item] | None:
        """The query's answer, or None when more must be read for it."""
        if isinstance(query, Named):
            item = self._items.get((query.kind, query.id))
            if item is not None:
                return [item]
            return [] if self._nothing_stored or (query.kind, query.id) in self._items else None
        start = self._starts.get(range_key(query))
        if start is None and not self._nothing_stored:
            return None
        items = answered_from(self._groups[_GROUP_OF[type(query)]], query)
        if (
            start is None
            or start.ended
            or (_suffices(query, items) and _within(query, items, start))
        ):
            return items
        return None

    def ask(self, query: RangeQuery, commands: int) -> RangeAsked:
        """What to read for a range query when this many commands of the account wait.

        At least twice the rows read before, so few rounds are enough however many are used up.
        """
        start = self._starts.get(range_key(query))
        rows_min = (2 * start.rows + 1 if start else 0) + (commands if commands > 1 else 0)
        rows_max = max(_limit(query), rows_min)
        kind, of = range_key(query)
        settle_minor, pass_minor, without = BIGINT_MAX, -1, ""
        if isinstance(query, OpenInvoices):
            settle_minor = min(query.settle_minor, BIGINT_MAX)
            pass_minor = min(query.settle_minor + query.cover_minor, BIGINT_MAX)
            without = " ".join(query.without)
        elif not isinstance(query, AllocationsTo):
            settle_minor = min(query.amount_minor, BIGINT_MAX)
        return RangeAsked(_NAME[kind], of, settle_minor, pass_minor, without, rows_min, rows_max)

    def take_named(self, query: Named, item: Item | None) -> None:
        """Takes an item as stored, or that there is none."""
        ref = (query.kind, query.id)
        if ref not in self._items:
            self._items[ref] = item
            if item is not None:
                self._group(item)

    def take_range(self, query: RangeQuery, items: list[Item], *, ended: bool) -> None:
        """Takes the start of a range as stored; `ended`: there is no more of it."""
        last = order_in(query, items[-1]) if items else None
        self._starts[range_key(query)] = _Start(len(items), last, ended)
        for item in items:
            if self._items.get(item.ref) is None:
                self._items[item.ref] = item
                self._group(item)

    def change(self, items: Iterable[Item]) -> None:
        """Takes items as a command changed them."""
        for item in items:
            self._items[item.ref] = item
            self._group(item)

    def _group(self, item: Item) -> None:
        group = _GROUP.get(item.KIND)
        if group is not None:
            self._groups[group][item.ref] = item


def range_key(query: RangeQuery) -> tuple[type[RangeQuery], str]:
    """Which range of the account a query reads."""
    if isinstance(query, AllocationsOf):
        return AllocationsOf, query.source
    if isinstance(query, AllocationsTo):
        return AllocationsTo, query.invoice
    return type(query), ""


def order_in(query: RangeQuery, item: Item) -> Order:
    """Where an item stands in the query's range; the range is read in ascending order of it."""
    if isinstance(item, InvoiceItem):
        return item.due_on, item.seq
    latest_first = isinstance(query, PaidPayments | AllocationsOf)
    return date.min, -item.seq if latest_first else item.seq


_NAME: Mapping[type[RangeQuery], str] = {
    OpenInvoices: "open_invoices",
    WrittenOffInvoices: "written_off_invoices",
    SpareSources: "spare_sources",
    PaidPayments: "paid_payments",
    AllocationsOf: "allocations_of",
    AllocationsTo: "allocations_to",
}


def _limit(query: RangeQuery) -> int:
    return PAYMENTS_MAX if isinstance(query, PaidPayments) else ITEMS_MAX


def _suffices(query: RangeQuery, items: list[Item]) -> bool:
    """Whether the query reads no further than these items even if the range goes on."""
    if len(items) >= _limit(query):
        return True
    if isinstance(query, AllocationsTo):
        return False
    if isinstance(query, OpenInvoices):
        invoices = [item for item in items if isinstance(item, InvoiceItem)]
        settled = sum(invoice.undisputed_minor for invoice in invoices)
        opened = sum(invoice.open_minor for invoice in invoices)
        return settled >= query.settle_minor and opened > query.settle_minor + query.cover_minor
    return sum(_counted(query, item) for item in items) >= query.amount_minor


def _within(query: RangeQuery, items: list[Item], start: _Start) -> bool:
    """Whether the items stand in the part of the range that was read."""
    return not items or (start.last is not None and order_in(query, items[-1]) <= start.last)


def _counted(query: RangeQuery, item: Item) -> int:
    match item:
        case InvoiceItem():
            return item.written_off_minor
        case PaymentItem() if isinstance(query, PaidPayments):
            return item.allocated_minor
        case SourceItem():
            return item.unapplied_minor
        case AllocationItem():
            return item.amount_minor
        case _:
            raise AssertionError(item)
