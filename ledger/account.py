"""An account's state: what every command needs at once, small whatever the history, and its figures."""

from datetime import date, timedelta
from typing import cast

import msgspec

from ledger.calendar import BillingCycle, Terms
from ledger.parts import Range, Settings, SettingsChange

STATE_BYTES_MAX = 8_192
SETTINGS_AHEAD_MAX = 12
"""Settings changes that may lie ahead; a few past ones are kept beside them."""
SETTINGS_KEPT_MAX = 16
CHARGE_DAYS_AHEAD_MAX = 80
"""Days ahead that may hold charges; the latest of them that have come are kept beside them."""
CHARGE_DAYS_KEPT_MAX = 92
FREED_RANGES_MAX = 24
"""Ranges of lines that cancelled invoices have freed and no invoice has taken again."""


class SettingsFrom(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Settings that change on a day; entries are kept by day, then in the order recorded."""

    on: date
    changes: SettingsChange


class DayAmount(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Unbilled charges of one day that was ahead when they were posted."""

    on: date
    amount_minor: int


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Version, totals and terms of one account; `version` is the number of its events.

    `settings_version`: the version that last gave or changed settings, on whatever day they count.
    `billed_through` and `billed_version`: lines effective on or before the one, of versions up to
    the other, are billed, but for those in `freed`. `due_on` is the figure of that name.
    The totals from `billed_minor` on are sums over all time, net of what was undone, but for
    `turnover_minor`: all that ever came into any total, undone or not (decision 0006), at most
    AMOUNT_MINOR_MAX.
    """

    version: int = 0
    account_number: str
    currency: str
    opened_on: date
    closed_on: date | None = None
    settings: tuple[SettingsFrom, ...] = ()
    settings_version: int = 1
    billed_through: date | None = None
    billed_version: int = 0
    freed: tuple[Range, ...] = ()
    freed_on: date | None = None
    number_period: str = ""
    number_count: int = 0
    debits: int = 0
    ahead: tuple[DayAmount, ...] = ()
    due_on: date | None = None
    open_minor: int = 0
    disputed_minor: int = 0
    unapplied_minor: int = 0
    live_written_off_minor: int = 0
    pending_minor: int = 0
    unbilled_minor: int = 0
    unbilled_lines: int = 0
    billed_minor: int = 0
    processed_minor: int = 0
    credited_minor: int = 0
    written_off_minor: int = 0
    refunded_minor: int = 0
    returned_minor: int = 0
    turnover_minor: int = 0

    @property
    def balance_minor(self) -> int:
        return self.open_minor - self.unapplied_minor

    @property
    def undisputed_minor(self) -> int:
        return self.open_minor - self.disputed_minor


class Figures(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The figures of an account on a day, in minor units; as defined in docs/figures.md."""

    balance_minor: int
    total_amount_due_minor: int
    available_credit_minor: int
    due_on: date | None
    current_activity_minor: int
    pending_payments_minor: int
    payable_now_minor: int


def figures(account: Account, today: date) -> Figures:
    """The live figures; charges dated after `today` are not in the current activity yet."""
    balance = account.balance_minor
    due = max(balance, 0)
    ahead = 0
    if account.ahead:
        ahead = sum(day.amount_minor for day in account.ahead if day.on > today)
    return Figures(
        balance_minor=balance,
        total_amount_due_minor=due,
        available_credit_minor=due - balance,
        due_on=account.due_on,
        current_activity_minor=account.unbilled_minor - ahead,
        pending_payments_minor=account.pending_minor,
        payable_now_minor=max(due - account.pending_minor, 0),
    )


def settings_on(account: Account, day: date) -> Settings:
    """The settings in force on a day."""
    chosen = chosen_on(account, day)
    names = set(Settings.__struct_fields__)
    return msgspec.convert({n: v for n, v in chosen.items() if n in names}, Settings)


def terms_on(account: Account, day: date) -> Terms:
    """The payment terms in force on a day."""
    return cast(Terms, _in_force(account, day, "terms"))


def billing_cycle_on(account: Account, day: date) -> BillingCycle:
    """The billing cycle in force on a day."""
    return cast(BillingCycle, _in_force(account, day, "billing_cycle"))


def chosen_on(account: Account, day: date) -> dict[str, object]:
    """Every setting, the billing cycle and the terms in force on a day, by name."""
    chosen = _given(account.settings[0].changes)
    for entry in account.settings[1:]:
        if entry.on <= day:
            chosen.update(_given(entry.changes))
    return chosen


def _in_force(account: Account, day: date, name: str) -> object:
    """One setting, the billing cycle or the terms in force on a day: what `chosen_on` has for it."""
    for entry in reversed(account.settings[1:]):
        if entry.on <= day and (value := getattr(entry.changes, name)) is not None:
            return value
    return getattr(account.settings[0].changes, name)


def with_settings(account: Account, on: date, changes: SettingsChange) -> tuple[SettingsFrom, ...]:
    """The account's settings with a change from a day on, the oldest merged when many are kept."""
    entries = [*account.settings]
    at = sum(entry.on <= on for entry in entries)
    entries.insert(at, SettingsFrom(on=on, changes=changes))
    if len(entries) > SETTINGS_KEPT_MAX:
        first, second = entries[:2]
        merged = msgspec.structs.replace(first.changes, **_given(second.changes))
        entries[:2] = [SettingsFrom(on=second.on, changes=merged)]
    return tuple(entries)


def unbilled_day(account: Account, effective_on: date) -> date:
    """The day an unbilled line counts from for billing: late ones join the period last billed."""
    if account.billed_through is None:
        return effective_on
    return max(effective_on, account.billed_through)


def is_billed(account: Account, effective_on: date, version: int) -> bool:
    """Whether a live invoice has taken the line posted by `version`."""
    if account.billed_through is None:
        return False
    if effective_on > account.billed_through or version > account.billed_version:
        return False
    return not is_freed(account, effective_on, version)


def is_freed(account: Account, effective_on: date, version: int) -> bool:
    """Whether a cancelled invoice had the line, and no invoice has taken it since."""
    return any(
        freed.first_on <= effective_on <= freed.last_on
        and freed.first_version <= version <= freed.last_version
        for freed in account.freed
    )


def ranges_through(account: Account, period_end: date) -> tuple[Range, ...]:
    """The ranges of lines that an invoice through `period_end` takes."""
    taken = account.version
    if account.billed_through is None:
        return (Range(date.min, period_end, 1, taken),)
    late = Range(date.min, account.billed_through, account.billed_version + 1, taken)
    ranges = [*account.freed, late]
    if period_end > account.billed_through:
        next_day = account.billed_through + timedelta(days=1)
        ranges.append(Range(next_day, period_end, 1, taken))
    return tuple(ranges)


def _given(changes: SettingsChange) -> dict[str, object]:
    return {
        name: value
        for name in changes.__struct_fields__
        if (value := getattr(changes, name)) is not None
    }
