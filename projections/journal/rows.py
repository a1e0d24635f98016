"""What each event adds to the journal: its entries, and the sums they are part of."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, cast

from ledger import events as e
from ledger.posting import Cut, Cuts
from ledger.store import arrays
from ledger.store.sql import load
from projections.journal.entries import Entry, entries
from projections.lane_days import NOTE_LANE_DAY, LaneDayRow, LaneDays
from projections.model import At, Connection
from projections.writing import Writing, copies, statement


class AccountRow(NamedTuple):
    lane: int
    account_id: bytes
    account_number: str
    currency: str
    position: int


class EntryRow(NamedTuple):
    lane: int
    position: int
    n: int
    account_id: bytes
    recorded_at: datetime
    effective_on: date
    period: date
    currency: str
    amount_minor: int
    kind: str
    debit: str
    credit: str
    document: str
    invoice: str | None


class DailyRow(NamedTuple):
    """Amounts are texts: sums over accounts may pass 64 bits. Sums of months are added up from these."""

    lane: int
    currency: str
    account: str
    kind: str
    effective_on: date
    period: date
    recorded_day: date
    entries: int
    debit_minor: str
    credit_minor: str


_SQL = load("projections.journal", "writing.sql")
_WRITING = Writing(
    {
        AccountRow: statement(_SQL["make_account"], AccountRow),
        EntryRow: statement(_SQL["make_entry"], EntryRow),
        DailyRow: statement(_SQL["add_sums"], DailyRow),
        LaneDayRow: NOTE_LANE_DAY,
    },
    copies({AccountRow: "account", EntryRow: "entry", LaneDayRow: "lane_day"}),
)

_Sum = tuple[int, str, str, str, date, date, date]
"""What a sum is of: the fields of its row before `entries`."""


class JournalRows:
    """A batch of events as the rows they make."""

    def __init__(self) -> None:
        self._accounts: list[AccountRow] = []
        self._currency: dict[bytes, str] = {}
        self._taken: list[tuple[At, date, list[Entry]]] = []
        self._days = LaneDays()
        self._sums: dict[_Sum, list[int]] = {}

    def take(self, at: At, event: e.Event) -> None:
        """Folds one event in."""
        if isinstance(event, e.AccountOpened):
            row = AccountRow(
                at.lane, at.account_id, event.account_number, event.currency, at.position
            )
            self._accounts.append(row)
            self._currency[at.account_id] = event.currency
        found = entries(event)
        day = self._days.note(at)
        if found:
            self._taken.append((at, day, found))

    def write(self, connection: Connection) -> None:
        """Writes the rows within the open transaction; raises WentBackwards."""
        made = self._settled(connection)
        _WRITING.write(connection, made, {DailyRow: self._daily()})

    def held(self) -> int:
        """How many of the rows a later event of their lane may change."""
        return len(self._sums)

    def copy_settled(self, connection: Connection) -> None:
        """Appends the other rows, and lets go of them."""
        _WRITING.copy(connection, self._settled(connection))
        for kept in (self._accounts, self._taken, self._days.rows):
            kept.clear()

    def copy_held(self, connection: Connection) -> None:
        """Appends the sums."""
        self.copy_settled(connection)
        _WRITING.write(connection, {DailyRow: self._daily()})

    def _settled(self, connection: Connection) -> dict[type, Sequence[Any]]:
        """The rows that nothing changes any more; each entry is added to its sums."""
        rows = self._rows(connection)
        return {AccountRow: self._accounts, EntryRow: rows, LaneDayRow: self._days.rows}

    def _rows(self, connection: Connection) -> list[tuple[Any, ...]]:
        lanes = sorted({at.lane for at, _, _ in self._taken})
        cuts = cuts_of(connection, lanes)
        self._learn_currencies(connection)
        # Plain tuples of EntryRow's fields: nothing else is made as often.
        rows: list[tuple[Any, ...]] = []
        for at, day, found in self._taken:
            lane, position, account_id, _, recorded_at = at
            currency = self._currency[account_id]
            for n, (kind, on, debit, credit, document, invoice, amount_minor) in enumerate(found):
                period = cuts.period(lane, position, on)
                row = (
                    *(lane, position, n, account_id, recorded_at, on, period, currency),
                    *(amount_minor, kind, debit, credit, document, invoice),
                )
                rows.append(row)
                self._add((lane, currency, debit, kind, on, period, day), 1, amount_minor)
                self._add((lane, currency, credit, kind, on, period, day), 2, amount_minor)
        return rows

    def _add(self, key: _Sum, side: int, amount_minor: int) -> None:
        found = self._sums.get(key)
        if found is None:
            found = self._sums[key] = [0, 0, 0]
        found[0] += 1
        found[side] += amount_minor

    def _daily(self) -> list[DailyRow]:
        return [
            DailyRow(*key, entries, str(debit), str(credit))
            for key, (entries, debit, credit) in sorted(self._sums.items())
        ]

    def _learn_currencies(self, connection: Connection) -> None:
        """The currencies of the batch's accounts are known, also of those opened before it."""
        unknown = {(at.lane, at.account_id) for at, _, _ in self._taken}
        unknown = {one for one in unknown if one[1] not in self._currency}
        if unknown:
            asked = arrays.columns((arrays.Int4, arrays.Uuid), sorted(unknown))
            rows = connection.execute(_SQL["currencies"], asked).fetchall()
            self._currency.update(cast(Iterable[tuple[bytes, str]], rows))


def cuts_of(connection: Connection, lanes: Sequence[int]) -> Cuts:
    """The cuts of lanes as committed by now; a cut made later is past every event read before."""
    if not lanes:
        return Cuts()
    asked = [arrays.packed(arrays.Int4, lanes)]
    rows = connection.execute(_SQL["cuts"], asked).fetchall()
    return Cuts(Cut(*row) for row in cast(list[tuple[int, date, int]], rows))
