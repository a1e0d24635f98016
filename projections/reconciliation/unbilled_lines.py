"""The lines of an account that no invoice has, as its events tell: what the next invoice must total.

Lines of a cancelled invoice come back as one amount, for the next invoice takes their ranges whole
(`ledger.account.ranges_through`); so no more is held than what is unbilled.
"""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from ledger import events as e
from ledger.parts import Lines, Range


class Line(NamedTuple):
    """A charge or a credit for the next invoice; tax is net, below zero for a credit."""

    effective_on: date
    version: int
    charges_minor: int
    credits_minor: int
    tax_minor: int


class Totals(NamedTuple):
    """How many lines, and their amounts; named as in `ledger.parts.Lines`."""

    lines: int = 0
    charges_minor: int = 0
    credits_minor: int = 0
    tax_minor: int = 0


class Wrong(NamedTuple):
    """A total of an invoice's event that its lines do not have."""

    figure: str
    expected_minor: int
    found_minor: int


class UnbilledLines:
    """The unbilled lines of one account while its events go by."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._freed = Totals()
        self._freed_ranges: set[Range] = set()

    def take(self, event: e.Event, version: int) -> list[Wrong]:
        """Follows one event; what an invoice says of its lines that is not so."""
        match event:
            case e.ChargePosted():
                tax_minor = sum(tax.amount_minor for tax in event.taxes)
                line = Line(event.effective_on, version, event.amount_minor, 0, tax_minor)
                self._lines[f"charge:{event.charge_id}"] = line
            case e.CreditIssued(applies_to="next_invoice"):
                tax_minor = sum(tax.amount_minor for tax in event.taxes)
                line = Line(event.effective_on, version, 0, event.amount_minor, -tax_minor)
                self._lines[f"credit:{event.credit_id}"] = line
            case e.ChargeReversed():
                taxes = sum(tax.amount_minor for tax in event.taxes)
                return self._gone(f"charge:{event.charge_id}", event.amount_minor, 0, taxes)
            case e.CreditReversed(applies_to="next_invoice"):
                taxes = sum(tax.amount_minor for tax in event.taxes)
                return self._gone(f"credit:{event.credit_id}", 0, event.amount_minor, -taxes)
            case e.InvoiceIssued():
                return self._billed(event)
            case e.InvoiceCancelled():
                lines = event.lines
                self._freed = _with(self._freed, lines.count, _amounts(lines))
                self._freed_ranges.update(event.ranges)
        return []

    def _gone(self, id: str, *amounts: int) -> list[Wrong]:
        line = self._lines.pop(id, None)
        if line is not None:
            return _differing(Totals(1, *line[2:]), Totals(1, *amounts))
        if self._freed.lines == 0:
            return [Wrong("lines", 0, 1)]
        self._freed = _with(self._freed, -1, [-amount for amount in amounts])
        return []

    def _billed(self, event: e.InvoiceIssued) -> list[Wrong]:
        taken = [id for id, line in self._lines.items() if _is_in(line, event.ranges)]
        total = Totals()
        for id in taken:
            total = _with(total, 1, self._lines.pop(id)[2:])
        if self._freed_ranges and self._freed_ranges.issubset(event.ranges):
            total = _with(total, self._freed.lines, self._freed[1:])
            self._freed, self._freed_ranges = Totals(), set()
        wrong = _differing(total, Totals(event.lines.count, *_amounts(event.lines)))
        due_minor = event.lines.total_minor + event.carried_minor
        if due_minor != event.total_minor:
            wrong.append(Wrong("total", due_minor, event.total_minor))
        return wrong


def _is_in(line: Line, ranges: Iterable[Range]) -> bool:
    return any(
        taken.first_on <= line.effective_on <= taken.last_on
        and taken.first_version <= line.version <= taken.last_version
        for taken in ranges
    )


def _amounts(lines: Lines) -> tuple[int, int, int]:
    return lines.charges_minor, lines.credits_minor, lines.tax_minor


def _with(total: Totals, lines: int, amounts: Iterable[int]) -> Totals:
    charges, credits, tax = amounts
    return Totals(
        total.lines + lines,
        total.charges_minor + charges,
        total.credits_minor + credits,
        total.tax_minor + tax,
    )


_FIGURES = ("lines", "charges", "credits", "tax")


def _differing(expected: Totals, found: Totals) -> list[Wrong]:
    return [
        Wrong(name, should, says)
        for name, should, says in zip(_FIGURES, expected, found, strict=True)
        if should != says
    ]
