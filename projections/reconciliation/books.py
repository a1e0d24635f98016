"""What a lane holds of its accounts, as one transaction sees it: streams of rows, and the small tables whole."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

import psycopg
from psycopg import ServerCursor

from ledger.posting import Cut, Cuts
from ledger.store.sql import load
from projections.journal.entries import CONTROLS
from projections.model import Connection
from projections.reconciliation.differences import Difference, Differences
from projections.reconciliation.streams import Row, Stream

ROWS_AT_ONCE = 2_000
"""Rows that a stream holds; there are some eight streams."""

TEXT_CHARS_MAX = 1_000
"""Of what is said of a difference: a text that was altered may be of any length."""

SQL = load("projections.reconciliation", "reading.sql")
_UNREADABLE = (psycopg.DataError, ValueError)
"""What reading a row raises that holds what no event can; of numbers in JSON Python has a longest."""
_Sums = dict[tuple[str, str, str, date, date, date], list[int]]


class ViewsReplaced(Exception):
    """A rebuild has swapped a read model while the lane was read: what was seen is of neither."""

    def __init__(self) -> None:
        super().__init__(
            "read models are being rebuilt again and again: reconcile once that is over"
        )


class RowUnreadable(Exception):
    """A row holds what no event can, such as a day that is none; the message is the statement that read it."""

    def __init__(self, block: str, fault: Exception) -> None:
        super().__init__(block)
        self.says = str(fault)


class PositionLost(Exception):
    """No row tells how far something is in the lane, so that none of it can be proved."""

    def __init__(self, table: str, seen_at: datetime) -> None:
        super().__init__(table)
        self.seen_at = seen_at


class Books:
    """A lane's rows at one moment, and the differences found in them; to be closed.

    Raises ViewsReplaced and PositionLost.
    """

    def __init__(self, connection: Connection, lane: int) -> None:
        self.lane = lane
        self.differences = Differences()
        self._connection = connection
        [(self.seen_at, *positions, self.is_head_timed)] = self.rows("positions")
        self._refuse_lost(positions)
        log, receivables, journal = positions
        self.log_position, self.receivables_position, self.journal_position = (
            log,
            receivables,
            journal,
        )
        self.cuts = Cuts()
        self.receivables_parked: dict[bytes, Row] = {}
        self.journal_parked: dict[bytes, Row] = {}
        self.accounts: dict[bytes, Row] = {}
        self.written: dict[bytes, Row] = {}
        self.journal_accounts: dict[bytes, Row] = {}
        with ExitStack() as stack:
            self.events = self._stream("events", stack)
            self.movements = Stream(self._stream("movements", stack))
            self.things = Stream(self._stream("things", stack))
            self.steps = Stream(self._stream("steps", stack))
            self.days = Stream(self._stream("days", stack))
            self.items = Stream(self._stream("items", stack))
            self.entries = Stream(self._stream("entries", stack))
            self.written_items = Stream(self._stream("written_items", stack))
            self.close = stack.pop_all().close
        self.streams = (
            ("receivables.movement", self.movements),
            ("receivables.daily", self.days),
            ("", self.things),
            ("", self.steps),
            ("receivables, a figure of a thing", self.items),
            ("journal.entry", self.entries),
            ("ledger.item", self.written_items),
        )
        """Each with where its rows are; if that is empty, they say their table themselves."""
        self.by_account = {
            "receivables.account": self.accounts,
            "journal.account": self.journal_accounts,
            "ledger.account": self.written,
        }
        self.sums: _Sums = {}
        """Of the journal, as they should be: entries, debits, credits, position of the last entry."""
        self.has_unread = False
        """Whether an event cannot be read: it is not known then what the read models have of it."""
        self.lane_days: dict[str, dict[date, int]] = {"receivables": {}, "journal": {}}
        """By read model, the first position of each day of what it has taken."""
        self.controls: dict[tuple[str, str], int] = {}
        """By currency and control account, what the figures say that it should be, debits positive."""

    def begin(self) -> None:
        """The small tables are read, and every stream has its first rows; raises RowUnreadable."""
        self.cuts = Cuts(Cut(*row) for row in self.rows("cuts"))
        for block, rows in (
            ("receivables_parked", self.receivables_parked),
            ("journal_parked", self.journal_parked),
            ("accounts", self.accounts),
            ("written", self.written),
            ("journal_accounts", self.journal_accounts),
        ):
            rows.update((row[0], row) for row in self.rows(block))
        for _, stream in self.streams:
            stream.begin()

    def rows(self, block: str, **given: object) -> list[Any]:
        """What a statement says of the lane."""
        with self._connection.cursor(binary=True) as cursor:
            try:
                cursor.execute(SQL[block], {"lane": self.lane, **given})
                return cast(list[Any], cursor.fetchall())
            except _UNREADABLE as fault:
                raise RowUnreadable(block, fault) from fault

    def replaced(self) -> bool:
        """Whether a rebuild has put other tables in the place of those that are read."""
        [(replaced,)] = self.rows("replaced")
        return bool(replaced)

    def expect_sums(self, row: Row, position: int) -> None:
        """An entry is part of the sums of its debit and its credit; `row` is as in `entries` from n on."""
        _, recorded_at, on, period, currency, amount_minor, kind, debit, credit, *_ = row
        day = recorded_at.date()
        for account, side in ((debit, 1), (credit, 2)):
            key = (currency, account, kind, on, period, day)
            found = self.sums.get(key)
            if found is None:
                found = self.sums[key] = [0, 0, 0, 0]
            found[0] += 1
            found[side] += amount_minor
            found[3] = max(found[3], position)

    def expect_day(self, model: str, day: date, position: int) -> None:
        """A read model has taken an event that was recorded on a day."""
        days = self.lane_days[model]
        if position < days.get(day, position + 1):
            days[day] = position

    def expect_control(self, currency: str, account: str, amount_minor: int) -> None:
        """A control account moves with its figure."""
        assert account in CONTROLS, account
        key = (currency, account)
        self.controls[key] = self.controls.get(key, 0) + amount_minor

    def number_of(self, account_id: bytes) -> str:
        """An account's number as any table says it, or else its id."""
        for rows in self.by_account.values():
            if row := rows.get(account_id):
                return str(row[1])
        return str(UUID(bytes=account_id))

    def differs(self, where: str, figure: str, says: str, **found: Any) -> None:
        """Notes a difference; `found` are its other fields."""
        given: dict[str, Any] = {"currency": None, **found}
        account_number = given.pop("account_number", None)
        self.differences.add(
            Difference(
                lane=self.lane,
                account_number=None if account_number is None else _fit(account_number),
                where=_fit(where),
                figure=_fit(figure),
                says=_fit(says),
                **given,
            )
        )

    def strays(self, where: str, rows: Iterable[Row]) -> None:
        """Rows of a stream that are of no event of the log."""
        for row in rows:
            self.differs(
                where or f"receivables.{row[2]}",
                "row",
                f"{_shown(row[1:])} is of no event of the log",
                account_number=self.number_of(row[0]),
            )

    def _refuse_lost(self, positions: Iterable[int | None]) -> None:
        """Raises ViewsReplaced, since tables that are new held nothing at that moment, or PositionLost."""
        tables = ("ledger.lane_head", "receivables.tracking", "journal.tracking")
        for table, position in zip(tables, positions, strict=True):
            if position is None:
                raise ViewsReplaced if self.replaced() else PositionLost(table, self.seen_at)

    def _stream(self, block: str, stack: ExitStack) -> Iterator[Row]:
        cursor = stack.enter_context(closing(ServerCursor[Row](self._connection, block)))
        cursor.execute(SQL[block], {"lane": self.lane}, binary=True)
        return _rows_of(cursor, block)


def _rows_of(cursor: ServerCursor[Row], block: str) -> Iterator[Row]:
    """The rows; raises RowUnreadable."""
    try:
        while batch := cursor.fetchmany(ROWS_AT_ONCE):
            yield from batch
    except _UNREADABLE as fault:
        raise RowUnreadable(block, fault) from fault


def _fit(text: str) -> str:
    """A text as it can be kept, whatever a row held that it tells of: no NUL, and no longer than may be."""
    return text[:TEXT_CHARS_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}")


def _shown(values: Row) -> str:
    return "(" + ", ".join(str(value) for value in values) + ")"
