"""What a region charges for late payment, and when it reminds: validated values, nothing done yet.

A day counts as late by `after_days`, the days of grace: with 7, the eighth day past due is the first.
"""

import re
from datetime import date, timedelta
from typing import Literal

import msgspec

from ledger.calendar import month_end
from ledger.money import minor_units, rounded

AFTER_DAYS_MAX = 366
STEPS_MAX = 12
DAYS_A_YEAR = 365
"""ACT/365 (fixed): the days that passed, over 365 in leap years too (ISDA 2006, 4.16(d))."""

_PERCENT = re.compile(r"(0|[1-9][0-9]{0,2})(?:\.([0-9]{1,6}))?", re.ASCII)
_MICROS = 10**6
_WHOLE_MICROS = 100 * _MICROS

Every = Literal["day", "month"]


class InvalidPolicy(Exception):
    """A policy cannot be used; the message says why."""


class FeeTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A late fee as written: `flat`, or `percent` of what is past due, at least `minimum`."""

    flat: str | None = None
    percent: str | None = None
    minimum: str | None = None


class StepTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step as written: what happens once an invoice is more than so many days past due."""

    after_days: int
    reminder: bool = False
    fee: FeeTerms | None = None


class InterestTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Interest as written; nothing is charged until an invoice's reaches `minimum`."""

    annual_percent: str
    after_days: int = 0
    minimum: str | None = None
    every: Every = "day"


class PolicyTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy as written in a regions file; amounts are decimal strings of the region's currency."""

    since: date
    steps: tuple[StepTerms, ...] = ()
    interest: InterestTerms | None = None
    return_fee: str | None = None


class Percent(msgspec.Struct, frozen=True):
    """A rate in millionths of a percent."""

    micros: int

    def __str__(self) -> str:
        whole, rest = divmod(self.micros, _MICROS)
        decimals = f"{rest:06}".rstrip("0")
        return f"{whole}.{decimals}" if decimals else str(whole)

    def of(self, amount_minor: int) -> int:
        """So much of an amount, rounded."""
        return rounded(amount_minor * self.micros, _WHOLE_MICROS)

    def for_days(self, amount_days: int) -> int:
        """A year's interest at this rate on amounts times the days they were owed, rounded."""
        return rounded(amount_days * self.micros, _WHOLE_MICROS * DAYS_A_YEAR)


class Fee(msgspec.Struct, frozen=True, kw_only=True):
    """A late fee: an amount, or a percentage with a least amount (0: none)."""

    flat_minor: int = 0
    percent: Percent | None = None
    minimum_minor: int = 0

    @property
    def states_amount(self) -> bool:
        """Whether it is of use in one currency only."""
        return self.percent is None or self.minimum_minor > 0

    def on(self, base_minor: int) -> int:
        """The fee on an amount past due."""
        if self.percent is None:
            return self.flat_minor
        return max(self.percent.of(base_minor), self.minimum_minor)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What happens once an invoice is more than `after_days` days past due; known by that number."""

    after_days: int
    reminder: bool = False
    fee: Fee | None = None


class Interest(msgspec.Struct, frozen=True, kw_only=True):
    """Simple interest for each day on which an amount is more than `after_days` days past due.

    It is charged for whole days or, once they are over, for whole months.
    """

    annual: Percent
    after_days: int = 0
    minimum_minor: int = 0
    every: Every = "day"

    def through(self, on: date) -> date:
        """The last day that a run on a day charges for, if it was not charged before."""
        if self.every == "day" or on == month_end(on):
            return on
        return on - timedelta(days=on.day)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A region's policy: no day before `since` is charged for; steps by their days, ascending."""

    currency: str
    since: date
    steps: tuple[Step, ...] = ()
    interest: Interest | None = None
    return_fee_minor: int = 0


def policy_of(terms: PolicyTerms, currency: str) -> Policy:
    """The policy that the terms mean in a currency.

    Raises InvalidPolicy, and InvalidAmount and AmountOverflow for an amount that is none.
    """
    steps = tuple(_step(step, currency) for step in terms.steps)
    days = [step.after_days for step in steps]
    if days != sorted(set(days)):
        raise InvalidPolicy(f"the steps' after_days {days} do not ascend")
    if len(steps) > STEPS_MAX:
        raise InvalidPolicy(f"there are {len(steps)} steps, more than {STEPS_MAX}")
    if not steps and terms.interest is None and terms.return_fee is None:
        raise InvalidPolicy("it says neither steps, nor interest, nor return_fee: leave it out")
    return Policy(
        currency=currency,
        since=terms.since,
        steps=steps,
        interest=_interest(terms.interest, currency) if terms.interest else None,
        return_fee_minor=_amount("return_fee", terms.return_fee, currency),
    )


def _step(terms: StepTerms, currency: str) -> Step:
    after_days = _days(terms.after_days)
    if not terms.reminder and terms.fee is None:
        raise InvalidPolicy(f"the step after {after_days} days has neither reminder nor fee")
    fee = _fee(terms.fee, currency) if terms.fee else None
    return Step(after_days=after_days, reminder=terms.reminder, fee=fee)


def _fee(terms: FeeTerms, currency: str) -> Fee:
    if (terms.flat is None) == (terms.percent is None):
        raise InvalidPolicy("a fee is either flat or percent")
    if terms.minimum is not None and terms.percent is None:
        raise InvalidPolicy("a flat fee has no minimum")
    return Fee(
        flat_minor=_amount("flat", terms.flat, currency),
        percent=_percent("percent", terms.percent) if terms.percent is not None else None,
        minimum_minor=_amount("minimum", terms.minimum, currency),
    )


def _interest(terms: InterestTerms, currency: str) -> Interest:
    return Interest(
        annual=_percent("annual_percent", terms.annual_percent),
        after_days=_days(terms.after_days),
        minimum_minor=_amount("minimum", terms.minimum, currency),
        every=terms.every,
    )


def _days(days: int) -> int:
    if not 0 <= days <= AFTER_DAYS_MAX:
        raise InvalidPolicy(f"after_days {days} is not from 0 to {AFTER_DAYS_MAX}")
    return days


def _amount(name: str, text: str | None, currency: str) -> int:
    """Minor units of an amount above zero; 0 when none is given."""
    if text is None:
        return 0
    return _above_zero(name, text, minor_units(text, currency))


def _percent(name: str, text: str) -> Percent:
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise InvalidPolicy(f"{name} {text[:40]!r} is not up to three digits with six decimals")
    micros = int(match[1]) * _MICROS + int((match[2] or "").ljust(6, "0"))
    return Percent(_above_zero(name, text, micros))


def _above_zero(name: str, text: str, value: int) -> int:
    if not value:
        raise InvalidPolicy(f"{name} {text!r} is nothing: leave it out")
    return value
