"""How the model applies money to invoices and takes it back: the words "allocation" and "return"."""

from __future__ import annotations

from datetime import date

from ledger.parts import Tax
from tests.model.figures import Records
from tests.model.records import Allocation, Invoice, Source, Stamp, Step, Taxes


class Refused(Exception):
    """The request is against the rules, for every one of these codes."""

    def __init__(self, codes: set[str]) -> None:
        super().__init__(", ".join(sorted(codes)))
        self.codes = codes


def by_name(taxes: tuple[Tax, ...]) -> Taxes:
    return tuple((tax.name, tax.amount_minor) for tax in taxes)


def with_tax(amount: int, taxes: tuple[Tax, ...]) -> int:
    return amount + sum(tax.amount_minor for tax in taxes)


class Applying(Records):
    """Records that can be added to: the steps that commands are made of."""

    def next_version(self, on: date) -> Stamp:
        self.version += 1
        return Stamp(self.version, on)

    def book(self, at: Stamp, amount: int, why: str) -> None:
        """Counts an amount in the balance by events."""
        self.tally.append(Step(at.version, at.on, amount, why))

    def move(self, source: Source, at: Stamp, amount: int, why: str) -> None:
        if amount:
            source.steps.append(Step(at.version, at.on, amount, why))

    def put(
        self, source: Source, invoice: Invoice, amount: int, at: Stamp, recovered: int = 0
    ) -> int:
        """Applies an amount from the first day on which source, invoice and event all are there."""
        if amount <= 0:
            return 0
        days = [at.on, source.grown_on, invoice.grown_on]
        if recovered:
            days += [step.on for step in invoice.write_offs]
        allocation = Allocation(source, invoice, Stamp(at.version, max(days)), amount, recovered)
        source.allocations.append(allocation)
        invoice.allocations.append(allocation)
        if recovered:
            self.book(allocation.made, recovered, "recovered")
        return amount

    def put_named(self, source: Source, invoice: Invoice, at: Stamp, recovers: bool) -> None:
        """The invoice named: its open amount, disputed or not, then what was written off of it."""
        self.put(source, invoice, min(source.unapplied(), invoice.open()), at)
        if recovers:
            self.recover(source, invoice, at)

    def put_again(self, source: Source, invoice: Invoice, amount: int, at: Stamp) -> int:
        """Money comes back to an invoice it was on before: as if the invoice were named."""
        put = self.put(source, invoice, min(amount, invoice.open()), at)
        written_off = min(amount - put, invoice.written_off())
        return put + self.put(source, invoice, written_off, at, recovered=written_off)

    def recover(self, source: Source, invoice: Invoice, at: Stamp) -> None:
        amount = min(source.unapplied(), invoice.written_off())
        self.put(source, invoice, amount, at, recovered=amount)

    def put_unnamed(self, source: Source, at: Stamp, recovers: bool) -> None:
        """Undisputed open amounts by due date, then order of issue; then written-off ones."""
        for invoice in self.in_due_order():
            if source.unapplied() > 0:
                self.put(source, invoice, min(source.unapplied(), invoice.undisputed()), at)
        for invoice in self.in_due_order():
            if recovers and source.unapplied() > 0:
                self.recover(source, invoice, at)

    def settle(self, at: Stamp) -> None:
        """No unapplied credit stays beside an undisputed open amount: the oldest is used first."""
        for source in self.sources():
            if source.unapplied() > 0:
                self.put_unnamed(source, at, recovers=False)

    def undo(self, allocation: Allocation, amount: int, at: Stamp) -> None:
        """Takes back part of an allocation, no earlier than it was made; the invoice reopens."""
        on = max(at.on, allocation.made.on)
        allocation.undone.append(Step(at.version, on, amount))

    def undo_latest(self, source: Source, amount: int, at: Stamp) -> list[tuple[Invoice, int]]:
        """Takes an amount out of a source's allocations, the latest first; says where from."""
        taken: list[tuple[Invoice, int]] = []
        for allocation in reversed(source.allocations):
            part = min(amount, allocation.live())
            if part > 0:
                self.undo(allocation, part, at)
                taken.append((allocation.invoice, part))
                amount -= part
        return taken

    def undo_all(self, source: Source, at: Stamp) -> None:
        self.undo_latest(source, sum(a.live() for a in source.allocations), at)
