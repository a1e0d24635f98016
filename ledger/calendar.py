"""Billing cycles, payment terms and the dates they give, on the proleptic Gregorian calendar."""

from calendar import monthrange
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

CycleDay = Annotated[int, msgspec.Meta(ge=1, le=31)]
BillingCycle = Literal["month_end"] | CycleDay
"""The day a billing period ends: the month's last, or a day 1-31 that clamps to shorter months."""

Days = Annotated[int, msgspec.Meta(ge=0, le=366)]


class Net(
    msgspec.Struct, frozen=True, tag_field="kind", tag="net", forbid_unknown_fields=True, gc=False
):
    """Due a number of days after issue."""

    days: Days


class EndOfMonth(
    msgspec.Struct,
    frozen=True,
    tag_field="kind",
    tag="end_of_month",
    forbid_unknown_fields=True,
    gc=False,
):
    """Due a number of days after the end of the month of issue."""

    days: Days


class DayOfMonth(
    msgspec.Struct,
    frozen=True,
    tag_field="kind",
    tag="day_of_month",
    forbid_unknown_fields=True,
    gc=False,
):
    """Due on a day of the next month; of the month after that when issued after the cut-off day."""

    day: CycleDay
    cutoff: CycleDay = 31


Terms = Net | EndOfMonth | DayOfMonth


@lru_cache(maxsize=4096)
def month_end(day: date) -> date:
    """The last day of the day's month."""
    return day.replace(day=monthrange(day.year, day.month)[1])


def months_later(day: date, months: int, anchor: int) -> date:
    """The anchor day, clamped to the month's length, `months` after the month of `day`."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(anchor, monthrange(year, month + 1)[1]))


@lru_cache(maxsize=4096)
def period_end(cycle: BillingCycle, day: date) -> date:
    """The last day of the billing period that contains `day`."""
    anchor = 31 if cycle == "month_end" else cycle
    end = months_later(day, 0, anchor)
    return end if day <= end else months_later(day, 1, anchor)


@lru_cache(maxsize=4096)
def period_start(cycle: BillingCycle, day: date) -> date:
    """The first day of the billing period that contains `day`."""
    anchor = 31 if cycle == "month_end" else cycle
    return months_later(period_end(cycle, day), -1, anchor) + timedelta(days=1)


@lru_cache(maxsize=4096)
def due_date(terms: Terms, issued_on: date) -> date:
    """The day an invoice issued on `issued_on` falls due under the terms."""
    match terms:
        case Net(days):
            return issued_on + timedelta(days=days)
        case EndOfMonth(days):
            return month_end(issued_on) + timedelta(days=days)
        case DayOfMonth(day, cutoff):
            return months_later(issued_on, 1 if issued_on.day <= cutoff else 2, day)
