"""What the model remembers of one account: plain records, each with its own days and versions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

ALL_DAYS = date.max
ALL_VERSIONS = 2**63
Taxes = tuple[tuple[str, int], ...]


@dataclass
class Stamp:
    """The day something happened and the version of the account that recorded it."""

    version: int
    on: date

    def holds(self, day: date, known: int) -> bool:
        return self.on <= day and self.version <= known


@dataclass
class Step(Stamp):
    """A signed change of an amount."""

    amount: int
    why: str = ""


def total(steps: list[Step], day: date = ALL_DAYS, known: int = ALL_VERSIONS) -> int:
    """Sum of the changes that count on a day, of those known at a version."""
    return sum(step.amount for step in steps if step.on <= day and step.version <= known)


@dataclass
class Line:
    """A charge, or a credit for the next invoice (with a negative amount); tax is included."""

    kind: str
    id: str
    posted: Stamp
    amount: int
    taxes: Taxes
    reversed: Stamp | None = None
    invoices: list[Invoice] = field(default_factory=list)

    def unbilled(self, day: date = ALL_DAYS, known: int = ALL_VERSIONS) -> bool:
        return (
            self.posted.holds(day, known)
            and not (self.reversed and self.reversed.holds(day, known))
            and not any(invoice.stands(day, known) for invoice in self.invoices)
        )

    @property
    def was_billed(self) -> bool:
        """Whether it waits for an invoice again."""
        return bool(self.invoices) and self.unbilled()


@dataclass
class Source:
    """Money or credit: `steps` are what came in and went out, `allocations` what was applied."""

    name: str
    order: int
    steps: list[Step] = field(default_factory=list)
    allocations: list[Allocation] = field(default_factory=list)

    def unapplied(self, day: date = ALL_DAYS, known: int = ALL_VERSIONS) -> int:
        applied = sum(allocation.live(day, known) for allocation in self.allocations)
        return total(self.steps, day, known) - applied

    def sum_of(self, *why: str) -> int:
        return sum(step.amount for step in self.steps if step.why in why)

    @property
    def refunded(self) -> int:
        return -self.sum_of("refunded", "refund reversed")

    @property
    def grown_on(self) -> date:
        """The last day on which its unapplied rest grew, since it last began from nothing."""
        begun = max((s.version for s in self.steps if s.why == "unprocessed"), default=0)
        grown = [step for step in self.steps if step.amount > 0 and step.why != "debit"]
        grown += [undone for allocation in self.allocations for undone in allocation.undone]
        return max((step.on for step in grown if step.version > begun), default=date.min)


@dataclass
class Payment(Source):
    """A payment: `pending` holds what is promised."""

    id: str = ""
    submitted: int = 0
    submitted_on: date = date.min
    invoice: str | None = None
    status: str = "pending"
    pending: list[Step] = field(default_factory=list)
    taken_back: list[tuple[Invoice, int]] = field(default_factory=list)
    debits: list[Invoice] = field(default_factory=list)

    @property
    def returned(self) -> int:
        return -self.sum_of("returned", "reinstated")

    @property
    def returnable(self) -> int:
        return self.sum_of("processed", "unprocessed", "returned", "reinstated")


@dataclass
class Credit(Source):
    """A credit; one for the next invoice is a line instead of a source."""

    id: str = ""
    on: date = date.min
    amount: int = 0
    taxes: Taxes = ()
    applies_to: str = "account"
    invoice: str | None = None
    line: Line | None = None
    reversed: Stamp | None = None


@dataclass
class Allocation:
    """Part of a source applied to an invoice; `recovered` of it took back a write-off first."""

    source: Source
    invoice: Invoice
    made: Stamp
    amount: int
    recovered: int = 0
    at_issue: bool = False
    undone: list[Step] = field(default_factory=list)

    def live(self, day: date = ALL_DAYS, known: int = ALL_VERSIONS) -> int:
        made = self.amount if self.made.holds(day, known) else 0
        return made - total(self.undone, day, known)


@dataclass
class Invoice:
    """An invoice, or a debit item (which has no lines)."""

    number: str
    issued: Stamp
    due_on: date
    total: int
    lines: list[Line] = field(default_factory=list)
    is_debit: bool = False
    carried: Source | None = None
    cancelled: Stamp | None = None
    allocations: list[Allocation] = field(default_factory=list)
    write_offs: list[Step] = field(default_factory=list)
    flags: list[Step] = field(default_factory=list)
    notes: list[Credit] = field(default_factory=list)

    def stands(self, day: date = ALL_DAYS, known: int = ALL_VERSIONS) -> bool:
        return self.issued.holds(day, known) and not (
            self.cancelled is not None and self.cancelled.holds(day, known)
        )

    def written_off(self, day: date = ALL_DAYS, known: int = ALL_VERSIONS) -> int:
        recovered = sum(a.recovered for a in self.allocations if a.made.holds(day, known))
        return total(self.write_offs, day, known) - recovered

    def open(self, day: date = ALL_DAYS, known: int = ALL_VERSIONS) -> int:
        owed = self.total if self.stands(day, known) else 0
        applied = sum(allocation.live(day, known) for allocation in self.allocations)
        return owed - applied - self.written_off(day, known)

    def flagged(self, day: date = ALL_DAYS, known: int = ALL_VERSIONS) -> int:
        return total(self.flags, day, known)

    def disputed(self, day: date = ALL_DAYS, known: int = ALL_VERSIONS) -> int:
        return min(self.open(day, known), self.flagged(day, known))

    def undisputed(self, day: date = ALL_DAYS, known: int = ALL_VERSIONS) -> int:
        return self.open(day, known) - self.disputed(day, known)

    def live_notes(self) -> list[Credit]:
        return [note for note in self.notes if note.reversed is None]

    def creditable(self) -> int:
        return self.total - sum(note.amount for note in self.live_notes())

    def creditable_tax(self, name: str) -> int:
        billed = sum(a for line in self.lines for n, a in line.taxes if n == name)
        return billed - sum(a for note in self.live_notes() for n, a in note.taxes if n == name)

    @property
    def grown_on(self) -> date:
        """The last day on which its open amount grew."""
        days = [undone.on for allocation in self.allocations for undone in allocation.undone]
        days += [step.on for step in self.write_offs if step.amount < 0]
        days += [allocation.made.on for allocation in self.allocations if allocation.recovered]
        return max([self.issued.on, *days])

    @property
    def due_order(self) -> tuple[date, int]:
        return self.due_on, self.issued.version


@dataclass
class Refund:
    id: str
    issued: Stamp
    drawn: list[tuple[Source, int]]
    reopened: list[tuple[Source, Invoice, int]]
    reversed: Stamp | None = None


@dataclass
class WriteOff:
    id: str
    issued: Stamp
    invoice: Invoice
    amount: int
    reversed: Stamp | None = None


@dataclass
class Dispute:
    id: str
    opened: Stamp
    invoice: Invoice
    amount: int
    resolved: Stamp | None = None
