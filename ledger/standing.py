"""How an account stands on a day: the figures that people look at, from its open amounts.

The one definition of these figures; the SQL of the views and the replay must equal it.
"""

from collections.abc import Iterable
from datetime import date

import msgspec


class OpenItem(msgspec.Struct, frozen=True, kw_only=True):
    """What is open of an invoice or debit item; `seq` is its order of issue."""

    number: str
    due_on: date
    seq: int
    open_minor: int
    disputed_minor: int = 0


class Aging(msgspec.Struct, frozen=True, kw_only=True):
    """Open amounts by days past due, in minor units; the due day itself is current.

    `disputed` is part of the buckets and also shown apart. `oldest_days` counts from the oldest
    due date of an open amount; 0 when none is past due.
    """

    current: int = 0
    d1_30: int = 0
    d31_60: int = 0
    d61_90: int = 0
    d91: int = 0
    disputed: int = 0
    oldest_days: int = 0


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Every figure of an account on a day, in minor units."""

    balance_minor: int
    total_amount_due_minor: int
    available_credit_minor: int
    due_on: date | None
    past_due_minor: int
    days_past_due: int
    current_activity_minor: int
    pending_payments_minor: int
    payable_now_minor: int
    aging: Aging


def standing(
    open_items: Iterable[OpenItem],
    *,
    unapplied_minor: int,
    unbilled_minor: int,
    pending_minor: int,
    on: date,
) -> Standing:
    """The figures on the day `on`.

    Unapplied credit covers open amounts in due order, then order of issue, whether disputed or
    not; within one invoice it covers what is undisputed first. `due_on` is of the first invoice
    not covered whole; past due is what is neither covered, disputed, nor due today or later.
    """
    items = sorted((i for i in open_items if i.open_minor), key=lambda i: (i.due_on, i.seq))
    cover = max(unapplied_minor, 0)
    due_on = None
    past_due = days_past_due = 0
    for item in items:
        if due_on is None and item.open_minor > cover:
            due_on = item.due_on
        left = max(item.open_minor - item.disputed_minor - cover, 0)
        cover = max(cover - item.open_minor, 0)
        if left and item.due_on < on:
            past_due += left
            days_past_due = max(days_past_due, (on - item.due_on).days)
    balance = sum(item.open_minor for item in items) - unapplied_minor
    due = max(balance, 0)
    return Standing(
        balance_minor=balance,
        total_amount_due_minor=due,
        available_credit_minor=max(-balance, 0),
        due_on=due_on,
        past_due_minor=past_due,
        days_past_due=days_past_due,
        current_activity_minor=unbilled_minor,
        pending_payments_minor=pending_minor,
        payable_now_minor=max(due - pending_minor, 0),
        aging=aging(items, on),
    )


def aging(items: Iterable[OpenItem], on: date) -> Aging:
    """The open amounts by days past due on a day."""
    buckets = dict.fromkeys(("current", "d1_30", "d31_60", "d61_90", "d91"), 0)
    disputed = oldest_days = 0
    for item in items:
        days = (on - item.due_on).days
        buckets[_bucket(days)] += item.open_minor
        disputed += item.disputed_minor
        oldest_days = max(oldest_days, days)
    return Aging(**buckets, disputed=disputed, oldest_days=oldest_days)


def _bucket(days: int) -> str:
    if days <= 0:
        return "current"
    if days <= 30:
        return "d1_30"
    if days <= 60:
        return "d31_60"
    return "d61_90" if days <= 90 else "d91"
