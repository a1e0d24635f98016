"""What an export is of: months of the journal at one moment, read in pages that hold little.

Entries are read a page a transaction: what was recorded up to a position changes no more, and no
connection is held while somebody takes their time to read. Every month's entries are added up on
the way and must give the sums that the journal keeps beside them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple, Protocol, TypeVar

from api.carrying import LINES, Line, carriers
from api.database import Transaction
from ledger.calendar import months_later
from ledger.month_end import Period
from ledger.store.sql import load

PAGE_ENTRIES = 1_000
"""Read and written at once: some milliseconds, so that what else the process does goes on."""
MONTHS_MAX = 120
VIEWS = ("journal", "receivables")
"""What is read: entries, and of late ones the invoices that carried them."""

_SQL = load("api.exports", "books.sql")

T = TypeVar("T")
Account = tuple[str, str]
"""Currency, and name of an account of the journal (projections/journal/entries.py)."""
Balances = Mapping[Account, int]
"""Minor units by account, in order of the accounts; debit balances are above zero."""


class ExportDiffers(Exception):
    """The entries of a month do not add up to the journal's sums: the export is broken off.

    So it is of sums that are none: nothing adds up to half a minor unit.
    """


class Reads(Protocol):
    """Does work in a transaction of its own that may see the whole region."""

    async def __call__(self, work: Callable[[Transaction], Awaitable[T]]) -> T: ...


class Row(NamedTuple):
    """An entry of the journal, with the number of the customer's account.

    `carried_by` is the invoice that carried a late charge or credit for the next invoice.
    """

    lane: int
    position: int
    n: int
    recorded_at: datetime
    effective_on: date
    currency: str
    amount_minor: int
    kind: str
    debit: str
    credit: str
    document: str
    invoice: str | None
    account_number: str
    carried_by: str | None = None


class Stretch(NamedTuple):
    """A month's entries of a lane up to a position: those that came late for their own, or the rest."""

    lane: int
    upto: int
    is_late: bool


class Month(NamedTuple):
    """A posting period: how many entries, in which stretches, and the balances when it is over."""

    period: Period
    entries: int
    balances: Balances
    stretches: Sequence[Stretch]

    def posting_on(self, row: Row) -> date:
        """The day a line is booked on: its own, or the month's first when it came too late for that."""
        return max(row.effective_on, self.period.first_on)


class Outline(NamedTuple):
    """An export but for its entries: region, moment, balances before the first month, months.

    `parked` counts accounts whose later events could not be read: what they did is missing.
    """

    region: str
    position: str
    parked: int
    opening: Balances
    months: Sequence[Month]

    @property
    def name(self) -> str:
        """What a file of it may be called, but for its ending."""
        first, last = self.months[0].period, self.months[-1].period
        return f"journal-{self.region}-{first}" + (f"-{last}" if last != first else "")

    @property
    def entries(self) -> int:
        return sum(month.entries for month in self.months)


def months_of(first: Period, last: Period) -> list[Period]:
    """The months from the first to the last; raises ValueError for none, or more than an export has."""
    count = (last.first_on.year - first.first_on.year) * 12 + (
        last.first_on.month - first.first_on.month + 1
    )
    if not 1 <= count <= MONTHS_MAX:
        raise ValueError(f"{first} to {last} is not 1 to {MONTHS_MAX} months")
    return [Period(months_later(first.first_on, n, 1)) for n in range(count)]


async def outline(
    transaction: Transaction,
    *,
    region: str,
    position: str,
    positions: Sequence[int],
    parked: int,
    periods: Sequence[Period],
) -> Outline:
    """The outline at positions that the journal has reached, in a transaction that sees one moment.

    Raises ExportDiffers when a sum is no amount.
    """
    given = {
        "positions": list(positions),
        "first": periods[0].first_on,
        "last": periods[-1].first_on,
    }
    sums = await transaction.rows(_SQL["sums"], given)
    stretches: dict[date, list[Stretch]] = {}
    for month, lane, has_late, has_timely in await transaction.rows(_SQL["stretches"], given):
        kinds = [is_late for is_late, has in ((True, has_late), (False, has_timely)) if has]
        own = stretches.setdefault(month, [])
        own += [Stretch(lane, positions[lane], is_late) for is_late in kinds]
    accounts = dict.fromkeys(((row[0], row[1]) for row in sums), 0)
    moved: dict[date | None, list[tuple[Account, int, int]]] = {}
    for currency, account, month, moved_minor, sides in sums:
        if not moved_minor.is_finite() or moved_minor != moved_minor.to_integral_value():
            raise ExportDiffers("a sum of the journal is no whole number of minor units")
        moved.setdefault(month, []).append(((currency, account), int(moved_minor), int(sides)))
    balances = dict(accounts)
    _add(balances, moved.get(None, ()))
    opening, months = dict(balances), []
    for period in periods:
        added = moved.get(period.first_on, [])
        _add(balances, added)
        sides = sum(sides for _, _, sides in added)
        own = stretches.get(period.first_on, [])
        months.append(Month(period, sides // 2, dict(balances), own))
    return Outline(region, position, parked, opening, months)


def _add(balances: dict[Account, int], moved: Sequence[tuple[Account, int, int]]) -> None:
    for account, minor, _ in moved:
        balances[account] += minor


async def pages(month: Month, read: Reads) -> AsyncIterator[list[Row]]:
    """The month's entries, a lane after the other, what came late first, then by day and position.

    What an event has on a day is never apart.
    """
    for stretch in month.stretches:
        held: list[Row] = []
        place = _FIRST if stretch.is_late else _FIRST._replace(day=month.period.first_on)
        while True:
            found = await _page(read, month, stretch, place)
            rows = held + found
            is_last = len(found) < PAGE_ENTRIES
            whole = len(rows) if is_last else _whole(rows)
            if whole:
                yield rows[:whole]
            if is_last:
                break
            held = rows[whole:]
            place = _Place(rows[-1].effective_on, rows[-1].position, rows[-1].n)


class _Place(NamedTuple):
    """Where the page before has ended, in the order of a stretch."""

    day: date
    position: int
    n: int


_FIRST = _Place(date.min, -1, -1)


async def _page(read: Reads, month: Month, stretch: Stretch, place: _Place) -> list[Row]:
    statement = _SQL["late" if stretch.is_late else "timely"]
    given = {
        "lane": stretch.lane,
        "upto": stretch.upto,
        "month": month.period.first_on,
        "last_on": month.period.last_on,
        "limit": PAGE_ENTRIES,
        **place._asdict(),
    }

    async def work(transaction: Transaction) -> list[Row]:
        await transaction.rows(_SQL["in_order"], ())
        rows = [Row(*row) for row in await transaction.rows(statement, given)]
        return await _carried(transaction, stretch, rows) if stretch.is_late else rows

    return await read(work)


async def _carried(transaction: Transaction, stretch: Stretch, rows: list[Row]) -> list[Row]:
    """The rows, each of a line with the invoice that carries it, whatever day it was issued on."""
    places = [n for n, row in enumerate(rows) if row.kind in LINES]
    lines = [
        Line(stretch.lane, stretch.upto, row.account_number, row.document)
        for row in map(rows.__getitem__, places)
    ]
    found = await carriers(transaction.rows, lines, day=date.max)
    for n, number in zip(places, found, strict=True):
        rows[n] = rows[n]._replace(carried_by=number)
    return rows


def _whole(rows: Sequence[Row]) -> int:
    """How many of the rows are of events and days before the last, of which more may follow."""
    last = (rows[-1].effective_on, rows[-1].position)
    return next(n for n, row in enumerate(rows) if (row.effective_on, row.position) == last)


class Tally:
    """The balances that entries make of an opening, to be held against those of the journal."""

    def __init__(self, opening: Balances) -> None:
        self.balances = dict(opening)
        self._entries = 0

    def add(self, rows: Sequence[Row]) -> None:
        """The entries count."""
        for row in rows:
            for account, minor in ((row.debit, row.amount_minor), (row.credit, -row.amount_minor)):
                key = (row.currency, account)
                self.balances[key] = self.balances.get(key, 0) + minor
        self._entries += len(rows)

    def close(self, month: Month) -> None:
        """Goes on to the month after; raises ExportDiffers."""
        if self._entries != month.entries or self.balances != month.balances:
            raise ExportDiffers(
                f"{month.period}: {self._entries} entries read, {month.entries} expected, and "
                "their sums must be the journal's: `billing-ledger reconcile` tells more, "
                "`billing-ledger rebuild journal --accept-differences` mends it"
            )
        self._entries = 0
