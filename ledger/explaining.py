"""What a figure of an account is made of: items, the sign each counts with, and the rules between.

Any figure of ledger.standing is the sum of the movements (ledger/movements.py) of some items, each
taken with a sign, and of what rules take off or add where a figure is not a plain sum.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal, get_args

import msgspec

from ledger.standing import OpenItem, Standing, standing

FigureName = Literal[
    "balance",
    "total_amount_due",
    "available_credit",
    "due_on",
    "past_due",
    "days_past_due",
    "current_activity",
    "pending_payments",
    "payable_now",
    "unapplied_credit",
    "current",
    "d1_30",
    "d31_60",
    "d61_90",
    "d91",
    "disputed",
    "oldest_days",
]
FIGURES: tuple[FigureName, ...] = get_args(FigureName)
"""What can be explained."""
BUCKETS = ("current", "d1_30", "d31_60", "d61_90", "d91")
Sort = Literal["open", "flagged", "unapplied", "pending"]
RuleName = Literal["never_below_zero", "no_more_than_is_open", "covered_by_unapplied_credit"]


class Part(msgspec.Struct, frozen=True):
    """All movements of one sort of an item: they sum to `sign` times `amount_minor`.

    `amount_minor` is what the part contributes, `sign` (1 or -1) what each movement counts with.
    """

    sort: Sort
    item: str
    sign: int
    amount_minor: int


class Rule(msgspec.Struct, frozen=True):
    """What a rule adds to the parts, mostly below zero; of an item, or of the figure as a whole."""

    name: RuleName
    item: str | None
    amount_minor: int


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """An account on a day, as far as it is known: amounts in minor units, by item, none of them 0.

    `items` are open; `flagged` is what live disputes contest of them.
    """

    items: tuple[OpenItem, ...]
    flagged: Mapping[str, int]
    unapplied: Mapping[str, int]
    pending: Mapping[str, int]
    unbilled_minor: int


class Explanation(msgspec.Struct, frozen=True):
    """A figure: what it is, and the parts and rules whose amounts add up to `amount_minor`.

    `value` is the same amount, but for a day or a number of days, whose parts are those of the item
    that decides it. Current activity has no parts: it is made of lines, not of items.
    """

    value: int | date | None
    amount_minor: int
    parts: tuple[Part, ...]
    rules: tuple[Rule, ...]


def explanation(figure: FigureName, sums: Sums, on: date) -> Explanation:
    """What makes up a figure on the day `on`."""
    stood = standing(
        sums.items,
        unapplied_minor=sum(sums.unapplied.values()),
        unbilled_minor=sums.unbilled_minor,
        pending_minor=sum(sums.pending.values()),
        on=on,
    )
    match figure:
        case "balance":
            return _floored(stood.balance_minor, _balance(sums, 1))
        case "total_amount_due":
            return _floored(stood.total_amount_due_minor, _balance(sums, 1))
        case "available_credit":
            return _floored(stood.available_credit_minor, _balance(sums, -1))
        case "payable_now":
            parts = [*_balance(sums, 1), *_parts("pending", sums.pending, -1)]
            return _floored(stood.payable_now_minor, parts)
        case "pending_payments":
            return _floored(stood.pending_payments_minor, _parts("pending", sums.pending, 1))
        case "unapplied_credit":
            found = _parts("unapplied", sums.unapplied, 1)
            return _floored(sum(sums.unapplied.values()), found)
        case "current_activity":
            return Explanation(sums.unbilled_minor, sums.unbilled_minor, (), ())
        case "past_due":
            return _past_due(sums, on, stood)
        case "disputed":
            return _disputed(sums, stood)
        case "due_on" | "days_past_due" | "oldest_days":
            return _deciding(figure, sums, on, stood)
    of_bucket = [item for item in sums.items if _bucket(item, on) == figure]
    return _floored(getattr(stood.aging, figure), _open(of_bucket, 1))


def _floored(value: int, parts: Iterable[Part]) -> Explanation:
    """A sum of parts that is no less than nothing."""
    found = tuple(parts)
    missing = value - sum(part.amount_minor for part in found)
    rules = (Rule("never_below_zero", None, missing),) if missing else ()
    return Explanation(value, value, found, rules)


def _balance(sums: Sums, sign: int) -> list[Part]:
    return [*_open(sums.items, sign), *_parts("unapplied", sums.unapplied, -sign)]


def _open(items: Iterable[OpenItem], sign: int) -> list[Part]:
    return [Part("open", item.number, sign, sign * item.open_minor) for item in items]


def _parts(sort: Sort, amounts: Mapping[str, int], sign: int) -> list[Part]:
    return [Part(sort, item, sign, sign * amount) for item, amount in amounts.items()]


def _bucket(item: OpenItem, on: date) -> str:
    aging = standing([item], unapplied_minor=0, unbilled_minor=0, pending_minor=0, on=on).aging
    return next(bucket for bucket in BUCKETS if getattr(aging, bucket))


def _flagged(sums: Sums, item: OpenItem, sign: int) -> tuple[list[Part], list[Rule]]:
    """What is disputed of an item: what is contested, as far as it is open."""
    contested = sums.flagged.get(item.number, 0)
    if not contested:
        return [], []
    beyond = sign * (item.disputed_minor - contested)
    rules = [Rule("no_more_than_is_open", item.number, beyond)] if beyond else []
    return [Part("flagged", item.number, sign, sign * contested)], rules


def _disputed(sums: Sums, stood: Standing) -> Explanation:
    parts, rules = list[Part](), list[Rule]()
    for item in sums.items:
        more, limits = _flagged(sums, item, 1)
        parts += more
        rules += limits
    value = stood.aging.disputed
    return Explanation(value, value, tuple(parts), tuple(rules))


def _past_due(sums: Sums, on: date, stood: Standing) -> Explanation:
    """Of what was due before the day: what is open, less what is disputed, less what is covered."""
    parts, rules = list[Part](), list[Rule]()
    for item, left in _left(sums):
        if item.due_on >= on:
            continue
        disputed, limits = _flagged(sums, item, -1)
        parts += [*_open([item], 1), *disputed]
        rules += limits
        covered = item.open_minor - item.disputed_minor - left
        if covered:
            rules.append(Rule("covered_by_unapplied_credit", item.number, -covered))
    value = stood.past_due_minor
    return Explanation(value, value, tuple(parts), tuple(rules))


def _left(sums: Sums) -> list[tuple[OpenItem, int]]:
    """By due date, each item with what is neither disputed nor covered of it."""
    cover = max(sum(sums.unapplied.values()), 0)
    found = []
    for item in sorted(sums.items, key=lambda item: (item.due_on, item.seq)):
        found.append((item, max(item.open_minor - item.disputed_minor - cover, 0)))
        cover = max(cover - item.open_minor, 0)
    return found


def _deciding(figure: FigureName, sums: Sums, on: date, stood: Standing) -> Explanation:
    """A day or a number of days, with what is open of the first item that it is told by."""
    value: int | date | None
    match figure:
        case "due_on":
            value = due_on = stood.due_on
        case "days_past_due":
            value = stood.days_past_due
            late = [item.due_on for item, left in _left(sums) if left and item.due_on < on]
            due_on = min(late, default=None)
        case _:
            value = stood.aging.oldest_days
            due_on = min((item.due_on for item in sums.items if item.due_on < on), default=None)
    deciding = [item for item in sums.items if item.due_on == due_on]
    parts = _open(deciding, 1)
    return Explanation(value, sum(part.amount_minor for part in parts), tuple(parts), ())
