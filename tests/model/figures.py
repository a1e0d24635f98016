"""The figures of an account, each recomputed from the records by its definition, for any two clocks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from tests.model.records import (
    ALL_DAYS,
    ALL_VERSIONS,
    Credit,
    Dispute,
    Invoice,
    Line,
    Payment,
    Refund,
    Source,
    Stamp,
    Step,
    WriteOff,
    total,
)

BUCKETS = ("current", "d1_30", "d31_60", "d61_90", "d91")


def bucket(days_late: int) -> str:
    """The aging bucket of an amount: the due day itself is current."""
    if days_late <= 0:
        return "current"
    return BUCKETS[min((days_late - 1) // 30 + 1, 4)]


@dataclass
class Figures:
    """What the summary shows."""

    balance: int
    total_amount_due: int
    available_credit: int
    due_on: date | None
    past_due: int
    days_past_due: int
    current_activity: int
    pending_payments: int
    payable_now: int
    unapplied: int
    disputed: int
    aging: dict[str, int]


class Records:
    """All records of one account, and the figures they add up to."""

    def __init__(self) -> None:
        self.version = 0
        self.opened: Stamp | None = None
        self.closed: Stamp | None = None
        self.settings: list[tuple[Stamp, dict[str, Any]]] = []
        self.lines: dict[str, Line] = {}
        self.credits: dict[str, Credit] = {}
        self.payments: dict[str, Payment] = {}
        self.carried: list[Source] = []
        self.invoices: dict[str, Invoice] = {}
        self.refunds: dict[str, Refund] = {}
        self.write_offs: dict[str, WriteOff] = {}
        self.disputes: dict[str, Dispute] = {}
        self.messages: set[str] = set()
        self.tally: list[Step] = []

    def sources(self) -> list[Source]:
        """Everything that money or credit can come from, oldest first."""
        found: list[Source] = [c for c in self.credits.values() if c.line is None]
        found += [p for p in self.payments.values() if p.steps]
        return sorted(found + self.carried, key=lambda source: source.order)

    def all_lines(self) -> list[Line]:
        return [*self.lines.values(), *(c.line for c in self.credits.values() if c.line)]

    def in_due_order(self) -> list[Invoice]:
        return sorted(self.invoices.values(), key=lambda invoice: invoice.due_order)

    def settings_on(self, day: date, known: int = ALL_VERSIONS) -> dict[str, Any]:
        """The settings in force on a day: of each, the latest change, or what it was at opening."""
        chosen: dict[str, Any] = {}
        for stamp, values in sorted(self.settings, key=lambda s: (s[0].on, s[0].version)):
            if stamp.holds(day, known):
                chosen |= values
        return chosen

    def balance_by_events(self, day: date, known: int) -> int:
        """Billed - processed - credits - write-offs + refunds + returns, net of what undid them."""
        return total(self.tally, day, known)

    def figures(self, day: date, known: int = ALL_VERSIONS) -> Figures:
        """Every figure effective on a day, as known at a version."""
        opened = {i.number: i.open(day, known) for i in self.invoices.values()}
        unapplied = sum(source.unapplied(day, known) for source in self.sources())
        balance = sum(opened.values()) - unapplied
        due_on = None
        past_due = days_past_due = disputed = 0
        aging = dict.fromkeys(BUCKETS, 0)
        cover = max(unapplied, 0)
        for invoice in self.in_due_order():
            amount = opened[invoice.number]
            late = (day - invoice.due_on).days
            aging[bucket(late)] += amount
            flagged = min(amount, invoice.flagged(day, known))
            disputed += flagged
            covered = min(cover, amount)
            cover -= covered
            left = amount - covered
            if left > 0 and due_on is None:
                due_on = invoice.due_on
            left_undisputed = left - min(left, flagged)
            if late > 0 and left_undisputed > 0:
                past_due += left_undisputed
                days_past_due = max(days_past_due, late)
        pending = sum(total(p.pending, day, known) for p in self.payments.values())
        return Figures(
            balance=balance,
            total_amount_due=max(balance, 0),
            available_credit=max(-balance, 0),
            due_on=due_on,
            past_due=past_due,
            days_past_due=days_past_due,
            current_activity=sum(x.amount for x in self.all_lines() if x.unbilled(day, known)),
            pending_payments=pending,
            payable_now=max(max(balance, 0) - pending, 0),
            unapplied=unapplied,
            disputed=disputed,
            aging=aging,
        )

    def oldest_days(self, day: date, known: int = ALL_VERSIONS) -> int:
        """Days since the oldest due date of an open amount, disputed or not; 0 when none is late."""
        late = [(day - i.due_on).days for i in self.invoices.values() if i.open(day, known) > 0]
        return max([0, *late])

    def freed_on(self) -> date:
        """The last day on which a cancelled invoice set lines free that no invoice took since."""
        last = max((i.issued.version for i in self.invoices.values() if i.lines), default=0)
        cancelled = [i.cancelled for i in self.invoices.values() if i.cancelled]
        return max((at.on for at in cancelled if at.version > last), default=date.min)

    def waits_from(self, line: Line) -> date:
        """The day from which a line waits for an invoice."""
        return max(line.posted.on, self.freed_on()) if line.was_billed else line.posted.on

    def unbilled_lines(self) -> list[Line]:
        return [line for line in self.all_lines() if line.unbilled(ALL_DAYS)]
