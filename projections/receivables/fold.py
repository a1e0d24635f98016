"""What each event does to the receivables rows: folded in memory for a batch, then written at once."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from ledger import events as e
from ledger.movements import ALLOCATING, Movement, movements
from ledger.parts import Allocation, Undoing
from projections.lane_days import LaneDayRow, LaneDays
from projections.model import At, Connection
from projections.receivables import account_rows as a
from projections.receivables import billing, life, paying
from projections.receivables.changes import Changes
from projections.receivables.item_rows import AllocationRow
from projections.receivables.writing import WRITING


class ReceivablesRows(Changes):
    """A batch of events as the rows they make and change."""

    def __init__(self) -> None:
        super().__init__()
        # Plain tuples of the same fields: nothing else is made as often.
        self._movements: list[tuple[Any, ...]] = []
        self.made[a.MovementRow] = self._movements
        self._daily: dict[tuple[bytes, date, date], a.DailyRow] = {}
        self._days = LaneDays()
        self.made[LaneDayRow] = self._days.rows
        self._settled_before = date.min

    def take(self, at: At, event: e.Event) -> None:
        """Folds one event in."""
        account = self._account(at, event)
        if own := _OWN.get(type(event)):
            own(self, at, event)
        if type(event) in ALLOCATING:
            for n, undoing in enumerate(getattr(event, "undone", ())):
                self._undo(at, n, undoing)
            for n, allocation in enumerate(getattr(event, "allocations", ())):
                self._allocate(at, n, allocation)
        day = self._days.note(at)
        moved = movements(event)
        for n, movement in enumerate(moved):
            self._move(at, n, movement, account, day)
        if not moved:
            none = Movement("open", "", event.effective_on, 0)
            self._movement(at, 0, none, "none")

    def write(self, connection: Connection) -> None:
        """Writes the rows within the open transaction; raises WentBackwards."""
        WRITING.write(connection, self.made, self.changed)

    def held(self) -> int:
        """How many of the rows a later event of their lane may change."""
        return sum(len(rows) for kind, rows in self._all() if not issubclass(kind, tuple))

    def copy_settled(self, connection: Connection) -> None:
        """Appends the other rows, tuples and sums of days that are over, and lets go of them."""
        settled = {kind: rows for kind, rows in self.made.items() if issubclass(kind, tuple)}
        WRITING.copy(connection, {**settled, a.DailyRow: self._past_days()})
        for rows in settled.values():
            rows.clear()

    def copy_held(self, connection: Connection) -> None:
        """Appends the rest and writes what has changed; raises WentBackwards."""
        WRITING.copy(connection, self.made)
        WRITING.write(connection, self.changed)

    def _past_days(self) -> list[a.DailyRow]:
        """The sums of days before the last one recorded, which are not held any more."""
        today = self._days.last
        if today == self._settled_before:
            return []
        self._settled_before = today
        past = [row for row in self._daily.values() if row.recorded_day < today]
        self._daily = {key: row for key, row in self._daily.items() if row.recorded_day >= today}
        self.made[a.DailyRow] = list(self._daily.values())
        return past

    def _all(self) -> Iterator[tuple[type, list[Any]]]:
        yield from self.made.items()
        yield from self.changed.items()

    def _account(self, at: At, event: e.Event) -> Any:
        opens = isinstance(event, e.AccountOpened)
        assert (at.version == 1) == opens, (
            "an account is opened by its first event, and by no other"
        )
        account = self.accounts.get(at.account_id)
        if account is not None:
            assert account.version + 1 == at.version, "a version of the account is missing"
            account.version, account.position = at.version, at.position
            account.recorded_at = at.recorded_at
            return account
        lane, position, account_id, version, recorded_at = at
        if isinstance(event, e.AccountOpened):
            account = a.AccountRow(
                lane,
                account_id,
                event.account_number,
                event.client_id,
                event.company,
                event.country,
                event.currency,
                event.effective_on,
                position,
                version,
                position,
                recorded_at,
            )
            self.make(account)
        else:
            account = a.AccountChange(lane, account_id, version, version, position, recorded_at)
            self.changed.setdefault(a.AccountChange, []).append(account)
        self.accounts[account_id] = account
        return account

    def _move(self, at: At, n: int, movement: Movement, account: Any, day: date) -> None:
        figure, item, on, amount = movement
        daily = self._day(at, on, day)
        match figure:
            case "unbilled":
                account.unbilled_minor += amount
                daily.unbilled_minor += amount
            case "open":
                account.open_minor += amount
                daily.open_minor += amount
                self._touched(at, item, on).open_minor += amount
            case "unapplied":
                account.unapplied_minor += amount
                daily.unapplied_minor += amount
                row, field = self.source(at, item)
                setattr(row, field, getattr(row, field) + amount)
            case "pending":
                account.pending_minor += amount
                daily.pending_minor += amount
            case "flagged":
                daily.flagged_minor += amount
                self._touched(at, item, on).flagged_minor += amount
        self._movement(at, n, movement, figure)

    def _touched(self, at: At, number: str, on: date) -> Any:
        """The invoice, noted as moved by this event from a day on."""
        invoice = self.invoice(at, number)
        invoice.moved_on = max(invoice.moved_on, on)
        invoice.moved_position = at.position
        return invoice

    def _movement(self, at: At, n: int, movement: Movement, figure: str) -> None:
        lane, position, account_id, version, recorded_at = at
        _, item, on, amount = movement
        self._movements.append(
            (lane, account_id, position, n, version, recorded_at, on, figure, item, amount)
        )

    def _day(self, at: At, on: date, recorded_day: date) -> a.DailyRow:
        key = (at.account_id, on, recorded_day)
        day = self._daily.get(key)
        if day is None:
            assert recorded_day >= self._settled_before, "a lane's instants go back"
            day = a.DailyRow(at.lane, at.account_id, on, recorded_day, at.version)
            self._daily[key] = day
            self.make(day)
        day.version = at.version
        return day

    def _undo(self, at: At, n: int, undoing: Undoing) -> None:
        made_version, _, made_n = undoing.allocation.partition(".")
        lane, position, account_id, version, recorded_at = at
        self.make(
            AllocationRow(
                lane,
                account_id,
                version,
                -1 - n,
                position,
                recorded_at,
                undoing.on,
                undoing.source,
                undoing.invoice,
                -undoing.amount_minor,
                0,
                int(made_version),
                int(made_n),
            )
        )

    def _allocate(self, at: At, n: int, allocation: Allocation) -> None:
        lane, position, account_id, version, recorded_at = at
        self.make(
            AllocationRow(
                lane,
                account_id,
                version,
                n,
                position,
                recorded_at,
                allocation.on,
                allocation.source,
                allocation.invoice,
                allocation.amount_minor,
                allocation.recovered_minor,
                version,
                n,
            )
        )
        if allocation.recovered_minor:
            self.invoice(at, allocation.invoice).written_off_minor -= allocation.recovered_minor


_OWN: dict[type[e.Event], Callable[[Changes, At, Any], None]] = {
    e.AccountOpened: life.opened,
    e.SettingsChanged: life.settings_changed,
    e.ChargePosted: billing.charge_posted,
    e.ChargeReversed: billing.charge_reversed,
    e.CreditIssued: billing.credit_issued,
    e.CreditReversed: billing.credit_reversed,
    e.PaymentSubmitted: paying.payment_submitted,
    e.PaymentProcessed: paying.payment_processed,
    e.PaymentFailed: paying.payment_failed,
    e.PaymentReturned: paying.payment_returned,
    e.PaymentReinstated: paying.payment_reinstated,
    e.PaymentUnprocessed: paying.payment_unprocessed,
    e.PaymentReallocated: paying.payment_reallocated,
    e.RefundIssued: paying.refund_issued,
    e.RefundReversed: paying.refund_reversed,
    e.InvoiceWrittenOff: billing.written_off,
    e.WriteOffReversed: billing.write_off_reversed,
    e.DisputeOpened: billing.dispute_opened,
    e.DisputeResolved: billing.dispute_resolved,
    e.InvoiceIssued: billing.invoice_issued,
    e.InvoiceCancelled: billing.invoice_cancelled,
    e.MessagePosted: life.message_posted,
    e.AccountClosed: life.closed,
}
assert _OWN.keys() == set(e.EVENTS), "an event without rows"
