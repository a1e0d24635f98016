"""An account's state stays small, whatever its history and whatever lies ahead."""

from datetime import timedelta

import msgspec

from ledger import commands as c
from ledger.account import (
    CHARGE_DAYS_AHEAD_MAX,
    FREED_RANGES_MAX,
    SETTINGS_AHEAD_MAX,
    STATE_BYTES_MAX,
)
from ledger.calendar import DayOfMonth
from ledger.errors import TooManyAhead, TooManyItems
from ledger.events import SettingsChange
from tests.examples import TODAY, Given, charge, day, opening

EVERY_SETTING = SettingsChange(
    invoice_delivery="full_detail",
    delivery_channel="electronic",
    payment_method="direct_debit",
    language="abcdefgh-abcdefgh-abcdefgh-abcdefgh",
    billing_cycle="month_end",
    terms=DayOfMonth(31, 30),
)


def state_bytes(given: Given) -> int:
    return len(msgspec.json.encode(given.book.account))


def test_only_so_many_settings_changes_lie_ahead() -> None:
    """One more is refused until one of them has come."""
    given = Given(opening())
    for i in range(SETTINGS_AHEAD_MAX):
        given.ask(_settings(i + 1))
    refused = given.when(_settings(SETTINGS_AHEAD_MAX + 1))
    assert TooManyAhead(what="settings changes", limit=SETTINGS_AHEAD_MAX) == refused


def test_only_so_many_days_ahead_hold_charges() -> None:
    """A day that holds one already takes more."""
    given = Given(opening())
    for i in range(CHARGE_DAYS_AHEAD_MAX):
        given.ask(charge(f"C{i}", 1, effective_on=TODAY + timedelta(days=1 + i)))
    refused = given.when(charge("late", 1, effective_on=TODAY + timedelta(days=1_000)))
    assert TooManyAhead(what="charges", limit=CHARGE_DAYS_AHEAD_MAX) == refused
    assert 1 == len(given.ask(charge("same day", 1, effective_on=TODAY + timedelta(days=1))))


def test_an_invoice_can_be_cancelled_only_so_often_in_a_row() -> None:
    """What it took is kept as ranges, and there is a limit to them."""
    given = Given(opening())
    refused = None
    for i in range(FREED_RANGES_MAX + 1):
        given.ask(charge(f"C{i}", 1))
        given.ask(c.IssueInvoice(number=f"N{i}"))
        refused = given.when(c.CancelInvoice(number=f"N{i}"))
        if isinstance(refused, TooManyItems):
            break
    assert TooManyItems(what="ranges of cancelled lines", limit=FREED_RANGES_MAX) == refused


def test_the_largest_state_fits_its_row() -> None:
    """Every list as full as it gets, with long names and large amounts."""
    given = Given(opening(client_id="c" * 64, company="x" * 200, country="y" * 64))
    for i in range(30):
        given.ask(_settings(i - 30))
    for i in range(SETTINGS_AHEAD_MAX):
        given.ask(_settings(i + 1))
    for i in range(CHARGE_DAYS_AHEAD_MAX):
        given.ask(charge(f"C{i}", 10**15, effective_on=TODAY + timedelta(days=1 + i)))
    largest, today = 0, TODAY
    for i in range(CHARGE_DAYS_AHEAD_MAX):
        today += timedelta(days=1)
        given.ask(charge(f"D{i}", 10**15, effective_on=day(12, 31) + timedelta(days=i)), today)
        given.ask(c.IssueInvoice(number=f"N{i}"), today)
        if i % 9 == 0:
            given.ask(c.CancelInvoice(number=f"N{i}"), today)
        largest = max(largest, state_bytes(given))
    assert STATE_BYTES_MAX // 2 < largest <= STATE_BYTES_MAX


def _settings(days: int) -> c.ChangeSettings:
    return c.ChangeSettings(changes=EVERY_SETTING, effective_on=TODAY + timedelta(days=days))
