"""Which invoices money goes to: the one named, then open ones by due date, then by order of issue.

Everything an event allocates or takes back is planned here and written into that event.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from ledger.account import Account
from ledger.errors import TooManyItems
from ledger.fold import Fold
from ledger.items import AllocationItem, InvoiceItem, Item, Ref, SourceItem
from ledger.needs import (
    ITEMS_MAX,
    Known,
    Named,
    OpenInvoices,
    Query,
    SpareSources,
    WrittenOffInvoices,
)
from ledger.parts import Allocation, Undoing

Target = tuple[str, str, int]
"""A source, an invoice, and the most of the one to put on the other."""


class Plan:
    """The allocations an event causes, applied to its fold as they are planned."""

    def __init__(self, fold: Fold, known: Known) -> None:
        self.allocations: list[Allocation] = []
        self._fold = fold
        self._known = known

    def pay_named(self, source: str, invoice: str, amount_minor: int) -> None:
        """Puts up to an amount of a source on an invoice, disputed or not, as far as it is open.

        A payment then recovers what was written off of it.
        """
        rest = min(amount_minor, self._fold.source(source).unapplied_minor)
        paid = min(rest, self._fold.invoice(invoice).open_minor)
        self._allocate(source, invoice, paid)
        if source.startswith("payment:"):
            written_off = self._fold.invoice(invoice).written_off_minor
            self._allocate(source, invoice, min(rest - paid, written_off), recovering=True)

    def settle(self) -> None:
        """Puts unapplied money, oldest source first, on undisputed open amounts.

        Raises TooManyItems when more than a range may hold are open.
        """
        if self._fold.total("unapplied_minor") and self._undisputed():
            sources = self._spare()
            for invoice in in_due_order(self._fold.items()):
                left = invoice.undisputed_minor
                while left and sources:
                    amount = min(left, sources[0].unapplied_minor)
                    self._allocate(sources[0].source, invoice.id, amount)
                    left -= amount
                    sources[0] = self._fold.source(sources[0].source)
                    if not sources[0].unapplied_minor:
                        sources.pop(0)
        if self._fold.total("unapplied_minor") and self._undisputed():
            assert self._known.hit_limit(), "a range did not hold what its need promised"
            raise TooManyItems(what="invoices or payments", limit=ITEMS_MAX)

    def recover(self, source: str) -> None:
        """Puts what is left of a source on written-off invoices, by due date."""
        rest = self._fold.source(source).unapplied_minor
        if not rest or not self._fold.total("live_written_off_minor"):
            return
        for invoice in in_due_order(self._fold.items()):
            amount = min(rest, invoice.written_off_minor)
            self._allocate(source, invoice.id, amount, recovering=True)
            rest -= amount
        if rest and self._fold.total("live_written_off_minor"):
            assert self._known.hit_limit(), "a range did not hold what its need promised"
            raise TooManyItems(what="written-off invoices", limit=ITEMS_MAX)

    def _allocate(
        self, source: str, invoice: str, amount_minor: int, *, recovering: bool = False
    ) -> None:
        if not amount_minor:
            return
        taken, put_on = self._fold.source(source), self._fold.invoice(invoice)
        on = max(self._fold.event.effective_on, taken.available_on, put_on.grown_on)
        if recovering and put_on.written_off_on:
            on = max(on, put_on.written_off_on)
        allocation = Allocation(
            source=source,
            invoice=invoice,
            amount_minor=amount_minor,
            on=on,
            recovered_minor=amount_minor if recovering else 0,
        )
        self._fold.allocate(allocation)
        self.allocations.append(allocation)

    def _undisputed(self) -> int:
        return self._fold.total("open_minor") - self._fold.total("disputed_minor")

    def _spare(self) -> list[SourceItem]:
        items = self._fold.items().values()
        spare = [i for i in items if isinstance(i, SourceItem) and i.unapplied_minor]
        return sorted(spare, key=lambda source: source.seq)


def in_due_order(items: Mapping[Ref, Item]) -> list[InvoiceItem]:
    """The invoices at hand by due date, then by order of issue."""
    invoices = [item for item in items.values() if isinstance(item, InvoiceItem)]
    return sorted(invoices, key=lambda invoice: (invoice.due_on, invoice.seq))


def first_open(items: Mapping[Ref, Item], cover_minor: int) -> date | None:
    """The due date of the first open amount that so much does not cover; `items` are all there are."""
    for invoice in in_due_order(items):
        if invoice.open_minor > cover_minor:
            return invoice.due_on
        cover_minor -= invoice.open_minor
    return None


def first_uncovered(account: Account, items: Mapping[Ref, Item], known: Known) -> date | None:
    """The figure `due_on`: the earliest due date of an open amount that unapplied credit leaves.

    The items must hold the invoices that OpenInvoices promises; raises TooManyItems when that
    range was cut before the cover was used up.
    """
    if account.open_minor <= account.unapplied_minor:
        return None
    cover = account.unapplied_minor
    for invoice in in_due_order(items):
        if invoice.open_minor > cover:
            return invoice.due_on
        cover -= invoice.open_minor
    assert known.hit_limit(), "a range did not hold what its need promised"
    raise TooManyItems(what="open invoices", limit=ITEMS_MAX)


def taken_back(
    allocations: Iterable[AllocationItem], amount_minor: int, on: date
) -> tuple[Undoing, ...]:
    """Undoings of allocations, latest first, up to an amount, counting from `on` or their own day."""
    undone = []
    for allocation in sorted(allocations, key=lambda a: -a.seq):
        part = min(amount_minor, allocation.amount_minor)
        if part:
            undone.append(
                Undoing(
                    allocation=allocation.id,
                    source=allocation.source,
                    invoice=allocation.invoice,
                    amount_minor=part,
                    on=max(on, allocation.on),
                )
            )
        amount_minor -= part
    return tuple(undone)


def needs_for_money(
    account: Account,
    known: Known,
    freed: Mapping[str, int],
    targets: Sequence[Target] = (),
) -> Iterator[Query]:
    """What must be known to put what sources get on the targets' invoices, then on open ones.

    `freed` is the amount that each source gets; the targets are those of `record_settled`.
    """
    numbers = tuple(sorted({invoice for _, invoice, _ in targets}))
    for number in numbers:
        yield Named("invoice", number)
    found = [known.items.get(("invoice", number)) for number in numbers]
    invoices = {item.id: item for item in found if isinstance(item, InvoiceItem)}
    rest = sum(freed.values()) - _placed(freed, targets, invoices)
    yield OpenInvoices(rest, account.unapplied_minor + rest, numbers)
    undisputed = sum(invoice.undisputed_minor for invoice in invoices.values())
    recoverable = sum(invoice.written_off_minor for invoice in invoices.values())
    left = rest - (account.undisputed_minor - undisputed)
    if left > 0 and account.live_written_off_minor > recoverable:
        yield WrittenOffInvoices(left + recoverable)


def _placed(
    freed: Mapping[str, int], targets: Iterable[Target], invoices: Mapping[str, InvoiceItem]
) -> int:
    """How much of what sources get is certain to go on the targets, as `Plan.pay_named` does it."""
    left = dict(freed)
    opened = {number: invoice.open_minor for number, invoice in invoices.items()}
    written_off = {number: invoice.written_off_minor for number, invoice in invoices.items()}
    for source, number, amount_minor in targets:
        rests = [opened, written_off] if source.startswith("payment:") else [opened]
        rest = min(amount_minor, left.get(source, 0))
        for room in rests:
            part = min(rest, room.get(number, 0))
            rest -= part
            room[number] = room.get(number, 0) - part
            left[source] = left.get(source, 0) - part
    return sum(freed.values()) - sum(left.values())


def needs_after_reopening(
    account: Account, known: Known, reopened: Iterable[str], amount_minor: int
) -> Iterator[Query]:
    """What must be known when invoices reopen by an amount: them, and credit to put on them.

    The amount includes unapplied money that the event takes away, which cannot be put on them.
    """
    numbers = tuple(sorted(set(reopened)))
    for number in numbers:
        yield Named("invoice", number)
    yield OpenInvoices(amount_minor, account.unapplied_minor + amount_minor, numbers)
    if account.unapplied_minor and amount_minor:
        yield SpareSources(min(account.unapplied_minor, amount_minor))
