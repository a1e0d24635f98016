"""What every decision has in common: the account and items at hand, dates, recording events."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import TypeVar

import msgspec

from ledger.account import Account
from ledger.allocation import Plan, Target, first_uncovered
from ledger.commands import Command
from ledger.errors import EffectiveBeforeCause, EffectiveInFuture, IdTaken, ItemUnknown
from ledger.events import Event, PaymentReturned
from ledger.fold import Fold
from ledger.items import InvoiceItem, Item, Ref
from ledger.money import within_64_bits
from ledger.needs import Known

C = TypeVar("C", bound=Command)
ItemT = TypeVar("ItemT", bound=Item)

Evolve = Callable[[Fold], None]


class Deciding:
    """One command's decision in the making: events so far, and the account and items after them."""

    def __init__(self, account: Account, known: Known, today: date, evolve: Evolve) -> None:
        self.account = account
        self.today = today
        self.events: list[Event] = []
        self.changed: dict[Ref, Item] = {}
        self._known = known
        self._items: dict[Ref, Item] = known.items
        self._evolve = evolve

    def find(self, kind: str, id: str) -> Item | None:
        """The item, or None when the account has none of that kind and id."""
        return self.changed.get((kind, id)) or self._items.get((kind, id))

    def item(self, cls: type[ItemT], id: str) -> ItemT:
        """The item; raises ItemUnknown."""
        found = self.find(cls.KIND, id)
        if not isinstance(found, cls):
            raise ItemUnknown(kind=cls.KIND, id=id)
        return found

    def refuse_taken(self, cls: type[Item], id: str) -> None:
        """Raises IdTaken when the account has such an item already."""
        if self.find(cls.KIND, id) is not None:
            raise IdTaken(kind=cls.KIND, id=id)

    def all(self, cls: type[ItemT]) -> list[ItemT]:
        """The items of a kind at hand, in order of their coming about."""
        items = {**self._items, **self.changed}
        return sorted(
            (item for item in items.values() if isinstance(item, cls)), key=lambda item: item.seq
        )

    def effective(self, given: date | None, *causes: tuple[str, date], ahead: bool = False) -> date:
        """The business day an event counts from: the day given, else today.

        Raises EffectiveInFuture unless it may lie `ahead`, and EffectiveBeforeCause when it
        precedes the account's opening or any of the causes it acts on.
        """
        causes = (("the account", self.account.opened_on), *causes)
        if given is None:
            return max(self.today, *(on for _, on in causes))
        if given > self.today and not ahead:
            raise EffectiveInFuture(effective_on=given, today=self.today)
        for cause, cause_on in causes:
            if given < cause_on:
                raise EffectiveBeforeCause(effective_on=given, cause=cause, cause_on=cause_on)
        return given

    def record(self, event: Event) -> None:
        """Takes an event that neither allocates nor opens anything."""
        self._take(self._folded(event), event)

    def record_settled(
        self, event: Event, *, targets: Sequence[Target] = (), recover: str | None = None
    ) -> None:
        """Takes an event with the allocations it causes.

        First the targets, each as far as its invoice is open; then what is unapplied goes to open
        undisputed amounts; then what is left of the source `recover` to written-off invoices.
        """
        fold = self._folded(event)
        plan = Plan(fold, self._known)
        for source, invoice, amount_minor in targets:
            plan.pay_named(source, invoice, amount_minor)
        plan.settle()
        if recover is not None:
            plan.recover(recover)
        if plan.allocations:
            event = msgspec.structs.replace(event, allocations=tuple(plan.allocations))
        self._take(fold, event)

    def _folded(self, event: Event) -> Fold:
        fold = Fold(self.account, {**self._items, **self.changed}, event)
        self._evolve(fold)
        return fold

    def _take(self, fold: Fold, event: Event) -> None:
        if not isinstance(event, PaymentReturned):  # which is never refused
            within_64_bits(fold.turnover_minor)
        account = fold.account()
        invoices = [item for item in fold.changed.values() if isinstance(item, InvoiceItem)]
        if account.unapplied_minor != self.account.unapplied_minor or any(
            map(self._opens_otherwise, invoices)
        ):
            due_on = self._due_on(account, fold, invoices)
            account = msgspec.structs.replace(account, due_on=due_on)
        self.account = account
        self.changed.update(fold.changed)
        self.events.append(event)

    def _due_on(self, account: Account, fold: Fold, invoices: Sequence[InvoiceItem]) -> date | None:
        """The figure of that name after an event that changed the invoices.

        Where credit covers nothing, before and after, what was open need not be known again to see
        what a new invoice adds to it.
        """
        covers = account.unapplied_minor or self.account.unapplied_minor
        if covers or any(self.find(*invoice.ref) for invoice in invoices):
            return first_uncovered(account, fold.items(), self._known)
        days = [invoice.due_on for invoice in invoices if invoice.open_minor]
        if self.account.due_on is not None:
            days.append(self.account.due_on)
        return min(days, default=None)

    def _opens_otherwise(self, invoice: InvoiceItem) -> bool:
        """Whether the invoice is new, or another amount of it is open than was."""
        before = self.find(*invoice.ref)
        return not isinstance(before, InvoiceItem) or before.open_minor != invoice.open_minor
