"""One account's figures while its events go by: summed anew, so that whatever keeps them can be held against it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from ledger import events as e
from ledger.movements import Movement
from projections.journal.entries import CREDITS, RECEIVABLE, UNBILLED, Entry
from projections.reconciliation.unbilled_lines import UnbilledLines, Wrong

Figure = Literal["open", "unapplied", "unbilled", "pending", "flagged"]
FIGURES: tuple[Figure, ...] = ("open", "unapplied", "unbilled", "pending", "flagged")


@dataclass(slots=True)
class Sum:
    """An amount in minor units, and the position of the last event that moved it; 0: none has."""

    amount_minor: int = 0
    position: int = 0


_SIDES: dict[str, tuple[Figure, int]] = {
    RECEIVABLE: ("open", 1),
    CREDITS: ("unapplied", -1),
    UNBILLED: ("unbilled", 1),
}
"""The figure that a control account equals, and the sign of its debits in it."""
_PAID: dict[type[e.Event], tuple[str, int]] = {
    e.PaymentProcessed: ("processed", 1),
    e.PaymentUnprocessed: ("processed", -1),
    e.PaymentReturned: ("returned", 1),
    e.PaymentReinstated: ("returned", -1),
}


class AccountFold:
    """An account as its events up to one of them say.

    `figures` are its sums by figure; `items` those by figure and thing: open, flagged,
    written_off, charges, credits, tax, carried by invoice; unapplied, refunded by source;
    pending, processed, returned by payment. `days` are its sums by effective and recorded day, in the order of FIGURES, then the
    version and the position of the last event that is in them.
    """

    def __init__(self) -> None:
        self.number: str | None = None
        self.currency: str | None = None
        self.version = 0
        self.position = 0
        self.figures: dict[str, Sum] = {figure: Sum() for figure in FIGURES}
        self.items: dict[tuple[str, str], Sum] = {}
        self.days: dict[tuple[date, date], list[int]] = {}
        self._lines = UnbilledLines()

    @property
    def disputed_minor(self) -> int:
        """Of each invoice what live disputes contest, as far as it is open."""
        nothing = Sum()
        return sum(
            max(min(self.items.get(("open", item), nothing).amount_minor, flagged.amount_minor), 0)
            for (figure, item), flagged in self.items.items()
            if figure == "flagged"
        )

    def take(
        self,
        position: int,
        version: int,
        recorded_day: date,
        event: e.Event,
        moved: Iterable[Movement],
    ) -> list[Wrong]:
        """Adds one event, whose movements are given; what an invoice of it says wrongly of its lines."""
        opens = isinstance(event, e.AccountOpened)
        assert opens == (version == 1), "an account is opened by its first event, and by no other"
        if isinstance(event, e.AccountOpened):
            self.number, self.currency = event.account_number, event.currency
        self.version, self.position = version, position
        for figure, item, on, amount_minor in moved:
            total = self.figures[figure]
            total.amount_minor += amount_minor
            total.position = position
            day = self.days.get((on, recorded_day))
            if day is None:
                day = self.days[on, recorded_day] = [0, 0, 0, 0, 0, 0, 0]
            day[FIGURES.index(figure)] += amount_minor
            day[5:] = version, position
            if item:
                self._add(figure, item, amount_minor)
        for of_thing, item, amount_minor in _beside(event):
            self._add(of_thing, item, amount_minor)
        return self._lines.take(event, version)

    def _add(self, figure: str, item: str, amount_minor: int) -> None:
        found = self.items.get((figure, item))
        if found is None:
            found = self.items[figure, item] = Sum()
        found.amount_minor += amount_minor
        found.position = self.position


def _beside(event: Any) -> Iterator[tuple[str, str, int]]:
    """What an event adds to things that its movements do not say."""
    match event:
        case e.InvoiceIssued():
            yield "charges", event.number, event.lines.charges_minor
            yield "credits", event.number, event.lines.credits_minor
            yield "tax", event.number, event.lines.tax_minor
            yield "carried", event.number, event.carried_minor
        case e.InvoiceWrittenOff():
            yield "written_off", event.invoice, event.amount_minor
        case e.WriteOffReversed():
            yield "written_off", event.invoice, -event.amount_minor
        case e.RefundIssued() | e.RefundReversed():
            sign = 1 if isinstance(event, e.RefundIssued) else -1
            for draw in event.drawn:
                if not draw.source.startswith("carried:"):
                    yield "refunded", draw.source, sign * draw.amount_minor
    if paid := _PAID.get(type(event)):
        figure, sign = paid
        yield figure, event.payment_id, sign * event.amount_minor
    for made in getattr(event, "allocations", ()):
        yield "written_off", made.invoice, -made.recovered_minor


def untied(moved: Iterable[Movement], entries: Iterable[Entry]) -> list[tuple[str, int, int]]:
    """The control accounts that an event's entries move otherwise than its movements do, on any day.

    Each with what the movements say of it and what the entries do, debits positive.
    """
    sums: dict[tuple[Figure, date], list[int]] = {}
    for figure, _, on, amount_minor in moved:
        sums.setdefault((figure, on), [0, 0])[0] += amount_minor
    for entry in entries:
        for account, sign in ((entry.debit, 1), (entry.credit, -1)):
            if side := _SIDES.get(account):
                figure, of_debits = side
                signed = sign * of_debits * entry.amount_minor
                sums.setdefault((figure, entry.on), [0, 0])[1] += signed
    return [
        (account, of_debits * should, of_debits * is_)
        for account, (figure, of_debits) in _SIDES.items()
        for (moves, _), (should, is_) in sums.items()
        if moves == figure and should != is_
    ]
