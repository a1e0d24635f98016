"""An account in the journal: every entry of its events, and that they move the control accounts as figures move."""

from datetime import datetime

from ledger.movements import Movement
from projections.journal.entries import CONTROLS, CREDITS, RECEIVABLE, UNBILLED, Entry
from projections.reconciliation.account_fold import untied
from projections.reconciliation.findings import Findings, differing
from projections.reconciliation.streams import Row

_ENTRY = (
    *("n", "recorded_at", "effective_on", "period", "currency", "amount_minor"),
    *("kind", "debit", "credit", "document", "invoice"),
)
_CONTROL = {"open": (RECEIVABLE, 1), "unapplied": (CREDITS, -1), "unbilled": (UNBILLED, 1)}
"""The control account of a figure, and the sign of the figure in its debits."""


class JournalCheck:
    """The entries of one account, while its events go by; then `finish`."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._books = findings.books
        self._id = findings.account_id
        self._first_position: int | None = None

    def take(
        self, position: int, recorded_at: datetime, moved: list[Movement], entered: list[Entry]
    ) -> None:
        """The entries of one event are what it debits and credits."""
        self._first_position = self._first_position or position
        books, currency = self._books, self._findings.fold.currency
        assert currency is not None, "an event before its account's opening"
        books.strays("journal.entry", books.entries.before(self._id, position))
        found = [row[2:] for row in books.entries.at(self._id, position)]
        expected: list[Row] = []
        for n, (kind, on, debit, credit, document, invoice, amount_minor) in enumerate(entered):
            period = books.cuts.period(books.lane, position, on)
            row = (n, recorded_at, on, period, currency, amount_minor)
            expected.append((*row, kind, debit, credit, document, invoice))
            books.expect_sums(expected[-1], position)
        if expected != found:
            for one in differing(_ENTRY, expected, found):
                row = one[0] or one[1]
                figure = f"{row[7]} / {row[8]}"
                self._findings.row_differs("journal.entry", figure, one, 5, position)
        self._tie(position, currency, moved, entered)

    def take_as_found(self, rows: list[Row]) -> None:
        """Entries of events that cannot be read: sums over accounts are held against them as they are."""
        for _, position, *row in rows:
            self._books.expect_sums(tuple(row), position)
            _, _, _, _, currency, amount_minor, _, debit, credit, *_ = row
            for account, signed in ((debit, amount_minor), (credit, -amount_minor)):
                if account in CONTROLS:
                    self._books.expect_control(currency, account, signed)

    def finish(self) -> None:
        """The journal knows the account if it has events of it."""
        where, row = "journal.account", self._books.journal_accounts.get(self._id)
        if row is not None and self._first_position is not None:
            self._findings.check_facts(where, row[1:3])
            if row[3] != self._first_position:
                says = f"the position is {row[3]}, not {self._first_position}"
                first = {"first_position": self._first_position}
                self._findings.differs(where, "position", says, **first)
        elif row is not None or self._first_position is not None:
            says = "there is no row" if row is None else "there is a row before its time"
            position = self._findings.fold.position
            self._findings.differs(where, "row", says, first_position=position)

    def _tie(
        self, position: int, currency: str, moved: list[Movement], entered: list[Entry]
    ) -> None:
        """The control accounts move as the figures do, on every day."""
        for account, expected_minor, found_minor in untied(moved, entered):
            self._findings.event_differs(
                position,
                account,
                "the event's entries do not move the control account as its movements do",
                expected_minor=expected_minor,
                found_minor=found_minor,
            )
        for figure, _, _, amount_minor in moved:
            if control := _CONTROL.get(figure):
                account, sign = control
                self._books.expect_control(currency, account, sign * amount_minor)
