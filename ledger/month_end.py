"""What closing a month means for one account: the day it is billed through, and the invoice asked for."""

import re
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal

import msgspec

from ledger import calendar, charges
from ledger.account import Account, billing_cycle_on
from ledger.commands import IssueInvoice
from ledger.errors import InvalidPeriod
from ledger.invoicing import number_of
from ledger.needs import Named

KEY_PREFIX = "month-end:"
"""How keys of month ends begin: no door takes one from a caller, who could keep an account unbilled."""
PERIOD = re.compile(r"(19|2[01])[0-9]{2}-(0[1-9]|1[0-2])", re.ASCII)
"""A month within the years that anything may be dated in: far from where calendars end."""

Left = Literal["not_due", "nothing_to_bill"]
"""Why an account gets no invoice."""


class Period(msgspec.Struct, frozen=True):
    """A month, written like 2020-07; texts sort as the months do."""

    first_on: date

    def __str__(self) -> str:
        return self.first_on.isoformat()[:7]

    @property
    def last_on(self) -> date:
        """The month's last day."""
        return calendar.month_end(self.first_on)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for: a period, the day of issue unless it is each account's own, and when."""

    period: Period
    issued_on: date | None
    asked_on: date

    @property
    def due_by(self) -> date:
        """Accounts whose period ends later are not due: an invoice cannot precede its lines."""
        return self.issued_on or self.asked_on


def period_of(text: str) -> Period:
    """The period a text like 2020-07 means; raises InvalidPeriod."""
    if not PERIOD.fullmatch(text):
        raise InvalidPeriod(period=text)
    return Period(date.fromisoformat(f"{text}-01"))


def key_of(period: Period) -> str:
    """The key of an account's command: it is used once, so a period is billed once."""
    return f"{KEY_PREFIX}{period}"


def names_of(account_number: str, period: Period) -> tuple[Named, Named, Named]:
    """Items that most accounts need to be billed for a period: the first invoice of the month, the
    unbilled lines of the month and those of the month before, which late lines join."""
    number = number_of(account_number, period.first_on, 1)
    return Named("invoice", number), *_months_of(period.first_on)


@lru_cache(maxsize=128)
def _months_of(first_on: date) -> tuple[Named, Named]:
    return charges.month_of(first_on), charges.month_of(first_on - timedelta(days=1))


def month_of(key: str) -> str:
    """The month, such as 2020-07, that a key is of; empty for one that is no month end's."""
    prefix, _, month = key.partition(":")
    return month if f"{prefix}:" == KEY_PREFIX else ""


def ends_on(account: Account, period: Period) -> date:
    """The day in the period's month through which the account is billed.

    The billing cycle is the one in force on the month's last day, so that each account has exactly
    one such day a month, also when its cycle changes within it.
    """
    return calendar.period_end(billing_cycle_on(account, period.last_on), period.first_on)


def invoice_of(account: Account, asked: Asked) -> IssueInvoice | Left:
    """The command that bills the account for the period, or why there is none.

    It is issued on the day asked for, else on the day the period ends: later, when lines are to be
    billed again that the cancellation of an invoice freed only then.
    """
    end = ends_on(account, asked.period)
    if end > asked.due_by:
        return "not_due"
    if not account.unbilled_lines or end < account.opened_on:
        return "nothing_to_bill"
    issued_on = asked.issued_on or end
    if asked.issued_on is None and account.freed and account.freed_on:
        issued_on = max(end, account.freed_on)
    return IssueInvoice(period_end=end, issued_on=issued_on)
