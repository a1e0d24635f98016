"""Which invoice carried a charge, or a credit for the next invoice, that a journal entry is of."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from ledger.store.sql import load

LINES = frozenset({"charge", "credit"})
"""Kinds of entries whose documents an invoice can take as lines."""

_SQL = load("projections.receivables", "carrying.sql")

Ask = Callable[[bytes, Mapping[str, Any]], Awaitable[list[tuple[Any, ...]]]]


class Line(NamedTuple):
    """A line as a journal entry tells of it: `document` is such as `charge:c1`.

    `upto` is the last position that is known of its lane.
    """

    lane: int
    upto: int
    account_number: str
    document: str


async def carriers(ask: Ask, lines: Sequence[Line], *, day: date) -> list[str | None]:
    """For each line the invoice that carries it, as of a day.

    None while it is unbilled, which it is again when its invoice is cancelled. The views of
    receivables must have come as far as what is known.
    """
    found: list[str | None] = [None] * len(lines)
    if not lines:
        return found
    parted = [line.document.partition(":") for line in lines]
    given = {
        "lanes": [line.lane for line in lines],
        "account_numbers": [line.account_number for line in lines],
        "kinds": [kind for kind, _, _ in parted],
        "ids": [id for _, _, id in parted],
        "uptos": [line.upto for line in lines],
        "day": day,
    }
    for n, number in await ask(_SQL["carriers"], given):
        found[n - 1] = number
    return found
