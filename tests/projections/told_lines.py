"""What lists of charges and invoices must say on a day, told from the events known, in plain loops.

Nothing here knows of ranges: an invoice takes every line that waits for one when it is made.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import msgspec

from ledger import events as e

Row = dict[str, Any]


@dataclass(frozen=True)
class Known:
    """An event, its version and the instant it was recorded."""

    version: int
    recorded_at: datetime
    event: Any


@dataclass
class Bill:
    """An invoice, or a debit item, and what cancelled it."""

    made: Known
    cancelled: Known | None = None

    def stands(self, day: date) -> bool:
        return self.made.event.effective_on <= day and not self.is_cancelled(day)

    def is_cancelled(self, day: date) -> bool:
        return self.cancelled is not None and self.cancelled.event.effective_on <= day


@dataclass
class Line:
    """A charge or a credit for the next invoice, what reversed it and which invoices took it."""

    kind: str
    id: str
    posted: Known
    late: bool
    ended: Known | None = None
    bills: list[Bill] = field(default_factory=list)

    @property
    def total_minor(self) -> int:
        event = self.posted.event
        total = event.amount_minor + sum(tax.amount_minor for tax in event.taxes)
        return total if self.kind == "charge" else -total

    def waits(self) -> bool:
        return self.ended is None and all(bill.cancelled for bill in self.bills)

    def is_reversed(self, day: date) -> bool:
        return self.ended is not None and self.ended.event.effective_on <= day

    def invoice(self, day: date) -> str | None:
        standing = [bill.made.event.number for bill in self.bills if bill.stands(day)]
        assert len(standing) < 2, (self.id, standing)
        return standing[0] if standing else None


def built(value: Any) -> Any:
    """As it is in JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))


def newest_first(rows: Iterable[Row], by: str = "effective_on") -> list[Row]:
    return sorted(rows, key=lambda row: (row[by], row["seq"]), reverse=True)


class Lines:
    """Every line and every invoice of the events known."""

    def __init__(self, known: Iterable[Known]) -> None:
        self.lines: list[Line] = []
        self.bills: dict[str, Bill] = {}
        self._through = date.min
        self._by_id: dict[tuple[str, str], Line] = {}
        for one in known:
            self._take(one)

    def _take(self, known: Known) -> None:
        match event := known.event:
            case e.ChargePosted():
                self._post("charge", event.charge_id, known)
            case e.CreditIssued(applies_to="next_invoice"):
                self._post("credit", event.credit_id, known)
            case e.ChargeReversed():
                self._by_id["charge", event.charge_id].ended = known
            case e.CreditReversed(applies_to="next_invoice"):
                self._by_id["credit", event.credit_id].ended = known
            case e.InvoiceIssued():
                bill = self.bills[event.number] = Bill(known)
                self._through = event.period_end
                for line in self.lines:
                    if line.waits() and line.posted.event.effective_on <= event.period_end:
                        line.bills.append(bill)
            case e.InvoiceCancelled():
                self.bills[event.number].cancelled = known

    def _post(self, kind: str, id: str, known: Known) -> None:
        late = known.event.effective_on <= self._through
        line = self._by_id[kind, id] = Line(kind, id, known, late)
        self.lines.append(line)

    def charges(self, day: date) -> list[Row]:
        rows = []
        for line in self.lines:
            event, ended = line.posted.event, line.is_reversed(day)
            if line.kind == "charge" and event.effective_on <= day:
                number = line.invoice(day)
                assert not (ended and number), line
                status = "reversed" if ended else "billed" if number else "unbilled"
                reversal = line.ended.event if line.ended and ended else None
                rows.append(
                    {
                        "charge_id": line.id,
                        "seq": line.posted.version,
                        "status": status,
                        "amount_minor": event.amount_minor,
                        "taxes": built(event.taxes),
                        "total_minor": line.total_minor,
                        "description": event.description,
                        "category": event.category,
                        "quantity": event.quantity,
                        "unit_price": event.unit_price,
                        "effective_on": event.effective_on,
                        "recorded_at": line.posted.recorded_at,
                        "late": event.late,
                        "ahead": event.ahead,
                        "reversed_on": reversal.effective_on if reversal else None,
                        "reason": reversal.reason if reversal else None,
                        "invoice": number,
                    }
                )
        return newest_first(rows)

    def activity(self, day: date) -> list[Row]:
        waiting = [
            line
            for line in self.lines
            if line.posted.event.effective_on <= day
            and not line.is_reversed(day)
            and line.invoice(day) is None
        ]
        return newest_first(self._line_row(line) for line in waiting)

    def invoice_lines(self, number: str, day: date) -> list[Row]:
        bill = self.bills[number]
        if bill.made.event.effective_on > day:
            return []
        return newest_first(self._line_row(line) for line in self.lines if bill in line.bills)

    def _line_row(self, line: Line) -> Row:
        event, is_charge = line.posted.event, line.kind == "charge"
        return {
            "kind": line.kind,
            "id": line.id,
            "seq": line.posted.version,
            "category": event.category if is_charge else None,
            "description": event.description if is_charge else event.reason,
            "quantity": event.quantity if is_charge else None,
            "unit_price": event.unit_price if is_charge else None,
            "amount_minor": event.amount_minor,
            "taxes": built(event.taxes),
            "total_minor": line.total_minor,
            "effective_on": event.effective_on,
            "recorded_at": line.posted.recorded_at,
            "late": line.late,
            "ahead": event.ahead if is_charge else False,
        }


class Owed:
    """What was open, contested and written off of each invoice on a day."""

    def __init__(self, known: Iterable[Known], day: date) -> None:
        self.open: defaultdict[str, int] = defaultdict(int)
        self.flagged: defaultdict[str, int] = defaultdict(int)
        self.written_off: defaultdict[str, int] = defaultdict(int)
        self.recovered: defaultdict[str, int] = defaultdict(int)
        self._day = day
        for one in known:
            self._allocate(one.event)
            if one.event.effective_on <= day:
                self._take(one.event)

    def _allocate(self, event: Any) -> None:
        for undoing in getattr(event, "undone", ()):
            if undoing.on <= self._day:
                self.open[undoing.invoice] += undoing.amount_minor
        for put in getattr(event, "allocations", ()):
            if put.on <= self._day:
                self.open[put.invoice] += put.recovered_minor - put.amount_minor
                self.recovered[put.invoice] += put.recovered_minor

    def _take(self, event: Any) -> None:
        match event:
            case e.InvoiceIssued():
                self.open[event.number] += event.total_minor
            case e.InvoiceCancelled():
                self.open[event.number] -= event.total_minor
            case e.PaymentReturned() if event.debit:
                self.open[event.debit.number] += event.debit.amount_minor
            case e.InvoiceWrittenOff():
                self.open[event.invoice] -= event.amount_minor
                self.written_off[event.invoice] += event.amount_minor
            case e.WriteOffReversed():
                self.open[event.invoice] += event.amount_minor
                self.written_off[event.invoice] -= event.amount_minor
            case e.DisputeOpened():
                self.flagged[event.invoice] += event.amount_minor
            case e.DisputeResolved():
                self.flagged[event.invoice] -= event.amount_minor


def invoices(known: list[Known], day: date) -> list[Row]:
    """The invoices and debit items issued by the day."""
    owed, rows = Owed(known, day), []
    bills = Lines(known).bills
    for one in known:
        event = one.event
        if event.effective_on > day:
            continue
        if isinstance(event, e.InvoiceIssued):
            rows.append(_invoice(one, bills[event.number], owed, day))
        elif isinstance(event, e.PaymentReturned) and event.debit:
            rows.append(_debit(one, owed))
    return newest_first(rows, "issued_on")


def _invoice(one: Known, bill: Bill, owed: Owed, day: date) -> Row:
    event, cancelled = one.event, bill.cancelled if bill.is_cancelled(day) else None
    return {
        "kind": "invoice",
        "period_start": event.period_start,
        "period_end": event.period_end,
        "due_on": event.due_on,
        "charges_minor": event.lines.charges_minor,
        "credits_minor": event.lines.credits_minor,
        "tax_minor": event.lines.tax_minor,
        "carried_minor": event.carried_minor,
        "total_minor": event.total_minor,
        "lines_count": event.lines.count,
        "categories": built(event.lines.categories),
        "taxes": built(event.lines.taxes),
        "cancelled_on": cancelled.event.effective_on if cancelled else None,
        "reason": cancelled.event.reason if cancelled else None,
        **_standing(one, event.number, owed),
        **({"status": "cancelled"} if cancelled else {}),
    }


def _debit(one: Known, owed: Owed) -> Row:
    debit = one.event.debit
    nothing = ("charges_minor", "credits_minor", "tax_minor", "carried_minor", "lines_count")
    return {
        "kind": "debit",
        "due_on": one.event.effective_on,
        "total_minor": debit.amount_minor,
        "categories": [],
        "taxes": [],
        **dict.fromkeys(("period_start", "period_end", "cancelled_on", "reason")),
        **dict.fromkeys(nothing, 0),
        **_standing(one, debit.number, owed),
    }


def _standing(one: Known, number: str, owed: Owed) -> Row:
    left = owed.open[number]
    written_off = owed.written_off[number] - owed.recovered[number]
    return {
        "number": number,
        "seq": one.version,
        "status": "open" if left else "written_off" if written_off else "paid",
        "issued_on": one.event.effective_on,
        "open_minor": left,
        "disputed_minor": max(min(left, owed.flagged[number]), 0),
        "written_off_minor": written_off,
        "recorded_at": one.recorded_at,
    }
