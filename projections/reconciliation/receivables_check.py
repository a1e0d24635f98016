"""An account in receivables: every row that its events made, and every sum of them that is kept."""

from datetime import datetime

from ledger import events as e
from ledger.movements import Movement, line_total
from projections.reconciliation.account_fold import FIGURES, Sum
from projections.reconciliation.findings import Findings, differing
from projections.reconciliation.streams import Row

_MOVEMENT = ("n", "version", "recorded_at", "effective_on", "figure", "item", "amount_minor")
_CHARGE = (
    *("charge_id", "seq", "effective_on", "category", "description"),
    *("amount_minor", "total_minor"),
)
TOTALS = ("open", "unapplied", "unbilled", "pending")
_TABLE = {
    "allocated": "allocation",
    "pending": "payment",
    "processed": "payment",
    "returned": "payment",
}
"""Of figures of things that are named without their kind, where it is no invoice."""


class ReceivablesCheck:
    """The rows of one account, while its events go by; then `finish`."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._books = findings.books
        self._id = findings.account_id
        self._reversals: set[tuple[int, str]] = set()
        """The position and the charge of reversals that rows tell of."""

    def take(
        self,
        position: int,
        version: int,
        recorded_at: datetime,
        event: e.Event,
        moved: list[Movement],
    ) -> None:
        """The rows of one event are what it makes."""
        stream = self._books.movements
        self._books.strays("receivables.movement", stream.before(self._id, position))
        found = [row[2:] for row in stream.at(self._id, position)]
        expected: list[Row] = [
            (n, version, recorded_at, on, figure, item, amount_minor)
            for n, (figure, item, on, amount_minor) in enumerate(moved)
        ] or [(0, version, recorded_at, event.effective_on, "none", "", 0)]
        if expected != found:
            for one in differing(_MOVEMENT, expected, found):
                figure = (one[0] or one[1])[4]
                self._findings.row_differs("receivables.movement", figure, one, 6, position)
        if isinstance(event, e.ChargePosted):
            self._check_charge(position, version, event)
        elif isinstance(event, e.ChargeReversed):
            self._check_reversal(position, event)

    def finish(self) -> None:
        """What is kept of the account is what its events so far come to."""
        findings, where = self._findings, "receivables.account"
        row, fold = self._books.accounts.get(self._id), self._findings.fold
        if row is None and fold.version:
            findings.differs(where, "row", "there is no row", first_position=fold.position)
        elif row is not None and not fold.version:
            findings.differs(where, "row", "there is a row of an account that is not opened yet")
        elif row is not None:
            findings.check_facts(where, row[1:5])
            for figure, found_minor in zip(TOTALS, row[5:], strict=True):
                findings.check_sum(where, figure, fold.figures[figure], found_minor)
        self._check_days()
        self._check_items()
        for position, charge_id in sorted(self._reversals):
            says = f"charge {charge_id} is said to be reversed, and was not"
            where = f"receivables.charge {charge_id}"
            findings.differs(where, "reversed", says, first_position=position)

    def _check_charge(self, position: int, version: int, event: e.ChargePosted) -> None:
        stream = self._books.charges
        self._books.strays("receivables.charge", stream.before(self._id, position))
        rows = stream.at(self._id, position)
        self._reversals |= {(row[9], row[2]) for row in rows if row[9] is not None}
        total_minor = line_total(event.amount_minor, event.taxes)
        what = (event.charge_id, version, event.effective_on, event.category, event.description)
        expected: list[Row] = [(*what, event.amount_minor, total_minor)]
        found = [row[2:9] for row in rows]
        if expected != found:
            for one in differing(_CHARGE, expected, found):
                where = f"receivables.charge {(one[0] or one[1])[0]}"
                self._findings.row_differs(where, "total", one, 6, position)

    def _check_reversal(self, position: int, event: e.ChargeReversed) -> None:
        if (position, event.charge_id) in self._reversals:
            self._reversals.remove((position, event.charge_id))
        else:
            where = f"receivables.charge {event.charge_id}"
            says = "the row does not say that the charge was reversed"
            self._findings.differs(where, "reversed", says, first_position=position)

    def _check_days(self) -> None:
        stream, where = self._books.days, "receivables.daily"
        self._books.strays(where, stream.before(self._id))
        found = {row[1:3]: list(row[3:]) for row in stream.at(self._id)}
        days = self._findings.fold.days
        for key in sorted(days.keys() | found.keys()):
            *expected, position = days.get(key, [0] * 7)
            has = found.get(key, [0] * 6)
            if expected == has:
                continue
            place = f"{where} of {key[0]}, recorded on {key[1]}"
            for figure, should_minor, has_minor in zip(FIGURES, expected, has, strict=False):
                self._findings.check_sum(place, figure, Sum(should_minor, position), has_minor)
            if expected[-1] != has[-1]:
                says = f"version is {has[-1]}, not {expected[-1]}"
                self._findings.differs(place, "version", says, first_position=position or None)

    def _check_items(self) -> None:
        stream = self._books.items
        self._books.strays("receivables", stream.before(self._id))
        found = {row[1:3]: row[3] for row in stream.at(self._id)}
        items = self._findings.fold.items
        for key in sorted(items.keys() | found.keys()):
            expected, found_minor = items.get(key) or Sum(), found.get(key, 0)
            if expected.amount_minor != found_minor:
                self._findings.check_sum(_where(*key), key[0], expected, found_minor)


def _where(figure: str, item: str) -> str:
    """The table that holds a figure of a thing, and the thing's id."""
    kind, colon, id = item.partition(":")
    if figure in _TABLE or not colon or kind not in ("payment", "credit", "carried"):
        return f"receivables.{_TABLE.get(figure, 'invoice')} {item}"
    return f"receivables.{'invoice' if kind == 'carried' else kind} {id}"
