"""One event's change of an account and its items: totals follow the items, so they cannot drift."""

from collections.abc import Mapping
from datetime import date

import msgspec

from ledger.account import Account
from ledger.events import Event, InvoiceIssued
from ledger.items import (
    AllocationItem,
    CreditItem,
    InvoiceItem,
    Item,
    PaymentItem,
    Ref,
    SourceItem,
    source_ref,
)
from ledger.money import AMOUNT_MINOR_MAX
from ledger.parts import Allocation, Undoing

SIGNED_TOTAL = "unbilled_minor"
"""The one total that may be below zero: credits for the next invoice can exceed the charges."""
SEQ_PER_VERSION = 65_536
"""Allocations one event may hold: an allocation's order is version * this + its index."""


class Fold:
    """The account and the items as they become while one event is applied."""

    def __init__(self, account: Account, items: Mapping[Ref, Item], event: Event) -> None:
        self.event = event
        self.version = account.version + 1
        self.changed: dict[Ref, Item] = {}
        self._account = account
        self._items = items
        self._moves: dict[str, int] = {}
        self._turnover = 0
        self._fields: dict[str, object] = {"version": self.version}
        self._allocations = 0

    @property
    def before(self) -> Account:
        """The account before the event."""
        return self._account

    def account(self) -> Account:
        """The account as it has become."""
        before, changes = self._account, dict(self._fields)
        for name, by in self._moves.items():
            if by:
                changes[name] = getattr(before, name) + by
        changes["turnover_minor"] = min(self.turnover_minor, AMOUNT_MINOR_MAX)
        return msgspec.structs.replace(before, **changes)

    @property
    def turnover_minor(self) -> int:
        """The account's turnover with this event, be it beyond 64 bits."""
        return self._account.turnover_minor + self._turnover

    def total(self, name: str) -> int:
        """A total of the account as it has become."""
        total: int = getattr(self._account, name)
        return total + self._moves.get(name, 0)

    def set(self, **fields: object) -> None:
        """Sets fields of the account that are not totals."""
        self._fields.update(fields)

    def move(self, name: str, amount_minor: int) -> None:
        """Moves a total of the account, and its turnover with it.

        What leaves a total that is never below zero has come into it before: it is counted once.
        """
        self._moves[name] = self._moves.get(name, 0) + amount_minor
        if amount_minor > 0 or name == SIGNED_TOTAL:
            self._turnover += abs(amount_minor)

    def move_lines(self, count: int) -> None:
        """Moves the number of unbilled lines."""
        self._moves["unbilled_lines"] = self._moves.get("unbilled_lines", 0) + count

    def find(self, kind: str, id: str) -> Item | None:
        """The item as it has become, or None when there is none."""
        return self.changed.get((kind, id)) or self._items.get((kind, id))

    def items(self) -> dict[Ref, Item]:
        """Every item at hand, as it has become."""
        return {**self._items, **self.changed}

    def put(self, item: Item) -> None:
        """Sets an item and moves the account's totals by what changed in it."""
        if isinstance(item, InvoiceItem):
            before = self.find(*item.ref)
            assert 0 <= item.open_minor, item
            assert 0 <= item.written_off_minor, item
            self._shift(before, item, "open_minor", "open_minor")
            self._shift(before, item, "disputed_minor", "disputed_minor")
            self._shift(before, item, "written_off_minor", "live_written_off_minor")
        elif isinstance(item, SourceItem):
            before = self.find(*item.ref)
            assert 0 <= item.unapplied_minor, item
            assert 0 <= item.allocated_minor, item
            self._shift(before, item, "unapplied_minor", "unapplied_minor")
        self.changed[item.ref] = item

    def invoice(self, number: str) -> InvoiceItem:
        item = self.find("invoice", number)
        assert isinstance(item, InvoiceItem), number
        return item

    def payment(self, payment_id: str) -> PaymentItem:
        item = self.find("payment", payment_id)
        assert isinstance(item, PaymentItem), payment_id
        return item

    def credit(self, credit_id: str) -> CreditItem:
        item = self.find("credit", credit_id)
        assert isinstance(item, CreditItem), credit_id
        return item

    def source(self, source: str) -> SourceItem:
        item = self.find(*source_ref(source))
        assert isinstance(item, SourceItem), source
        return item

    def allocate(self, allocation: Allocation) -> None:
        """Puts money of a source on an invoice."""
        source, invoice = self.source(allocation.source), self.invoice(allocation.invoice)
        amount, recovered = allocation.amount_minor, allocation.recovered_minor
        self.put(
            msgspec.structs.replace(
                source,
                unapplied_minor=source.unapplied_minor - amount,
                allocated_minor=source.allocated_minor + amount,
            )
        )
        self.put(
            msgspec.structs.replace(
                invoice,
                open_minor=invoice.open_minor + recovered - amount,
                written_off_minor=invoice.written_off_minor - recovered,
                reopened_on=max(invoice.grown_on, allocation.on)
                if recovered
                else invoice.reopened_on,
            )
        )
        self.move("written_off_minor", -recovered)
        at_issue = isinstance(self.event, InvoiceIssued) and self.event.number == invoice.id
        names_it = isinstance(source, CreditItem) and source.invoice == invoice.id
        assert self._allocations < SEQ_PER_VERSION, self.version
        self.put(
            AllocationItem(
                id=f"{self.version}.{self._allocations}",
                seq=self.version * SEQ_PER_VERSION + self._allocations,
                source=allocation.source,
                invoice=allocation.invoice,
                amount_minor=amount,
                on=allocation.on,
                releasable=not names_it and (at_issue or not isinstance(source, PaymentItem)),
            )
        )
        self._allocations += 1

    def undo(self, undoing: Undoing) -> None:
        """Takes an allocation back, wholly or in part; its invoice reopens."""
        allocation = self.find("allocation", undoing.allocation)
        assert isinstance(allocation, AllocationItem), undoing
        assert undoing.amount_minor <= allocation.amount_minor, undoing
        source, invoice = self.source(undoing.source), self.invoice(undoing.invoice)
        amount = undoing.amount_minor
        self.put(msgspec.structs.replace(allocation, amount_minor=allocation.amount_minor - amount))
        self.put(
            msgspec.structs.replace(
                source,
                unapplied_minor=source.unapplied_minor + amount,
                allocated_minor=source.allocated_minor - amount,
                freed_on=latest(source.freed_on, undoing.on),
            )
        )
        self.put(
            msgspec.structs.replace(
                invoice,
                open_minor=invoice.open_minor + amount,
                reopened_on=latest(invoice.reopened_on, undoing.on),
            )
        )

    def _shift(self, before: Item | None, after: Item, field: str, total: str) -> None:
        self.move(total, getattr(after, field) - (getattr(before, field) if before else 0))


def latest(day: date | None, other: date) -> date:
    """The later of two days, the first of which may be missing."""
    return other if day is None else max(day, other)
