"""Why a figure of an account is what it is: its items, and every event that moved them, page by page."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Protocol

import msgspec

from api.amounts import Money, money
from ledger.explaining import (
    FIGURES,
    Explanation,
    FigureName,
    Part,
    Rule,
    Sums,
    explanation,
)
from ledger.standing import OpenItem
from ledger.store.sql import load

ITEMS_MAX = 500
"""Items shown beside the events of the first page; the events are all of them, whatever their number."""
FIRST = (2**63 - 1, 2**31 - 1)
"""Before everything, latest first."""

_SQL = load("api", "explaining.sql")
_SAID = {"flagged": "disputed"}


class Moment(Protocol):
    """An account being read at a moment, known up to a position of its lane."""

    @property
    def currency(self) -> str: ...
    @property
    def effective_on(self) -> date: ...
    @property
    def stands_at(self) -> int: ...

    async def named(self, statement: bytes, **given: Any) -> list[dict[str, Any]]:
        """What a statement answers, by name of column."""


class ItemShown(msgspec.Struct, frozen=True, kw_only=True):
    """An item, what of it counts (`open`, `disputed`, `unapplied` or `pending`), and what it adds."""

    item: str
    part: str
    amount: Money


class RuleShown(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule adds to the events' contributions: where a figure is not a plain sum."""

    rule: str
    item: str | None
    amount: Money


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """What one event adds to the figure by one item; `unbilled` items are lines."""

    item: str
    part: str
    amount: Money
    position: str
    version: int
    type: str
    effective_on: date
    recorded_at: datetime


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A figure and what it is made of.

    `value` is an amount, a day or a number of days. The contributions of all pages and the rules add
    up to `amount`: the figure itself, or what is open of the items that decide the day. `items`, the
    first 500 of `items_count`, stand on the first page.
    """

    figure: str
    value: Money | str | int | None
    amount: Money
    items: list[ItemShown] | None
    items_count: int
    rules: list[RuleShown]
    data: list[Contribution]
    next_cursor: str | None
    effective_on: date
    known_at: datetime | None
    position: str


async def explain(reading: Moment, figure: FigureName) -> Explanation:
    """What makes up the figure at the moment."""
    assert figure in FIGURES, figure
    at = {"day": reading.effective_on, "position": reading.stands_at}
    items = await reading.named(_SQL["open_items"], **at)
    amounts: dict[str, dict[str, int]] = {"flagged": {}, "unapplied": {}, "pending": {}}
    for row in await reading.named(_SQL["sums"], **at):
        amounts[row["figure"]][row["item"]] = row["amount_minor"]
    [unbilled] = await reading.named(_SQL["unbilled"], **at)
    sums = Sums(
        items=tuple(OpenItem(**row) for row in items),
        flagged=amounts["flagged"],
        unapplied=amounts["unapplied"],
        pending=amounts["pending"],
        unbilled_minor=unbilled["current_activity_minor"],
    )
    return explanation(figure, sums, reading.effective_on)


async def contributions(
    reading: Moment,
    figure: FigureName,
    parts: Sequence[Part],
    before: tuple[int, int],
    limit: int,
) -> list[dict[str, Any]]:
    """What events add to a figure, so many of those before a place, the latest first.

    The place is the position and number of a movement, or the version of a line; `place` of a row
    is where a page that ends with it goes on.
    """
    at = {"day": reading.effective_on, "position": reading.stands_at}
    if figure == "current_activity":
        rows = await reading.named(_SQL["lines"], **at, before=before[0], limit=limit)
        return [{**row, "place": (row["version"], 0)} for row in rows]
    if not parts:
        return []
    rows = await reading.named(
        _SQL["movements"],
        **at,
        figures=[part.sort for part in parts],
        items=[part.item for part in parts],
        before=before[0],
        before_n=before[1],
        limit=limit,
    )
    signs = {(part.sort, part.item): part.sign for part in parts}
    return [
        {
            **row,
            "amount_minor": signs[row["figure"], row["item"]] * row["amount_minor"],
            "place": (row["position"], row["n"]),
        }
        for row in rows
    ]


def value_shown(found: Explanation, figure: FigureName, currency: str) -> Money | str | int | None:
    """The figure as replies show it."""
    if figure in ("days_past_due", "oldest_days"):
        assert isinstance(found.value, int)
        return found.value
    if isinstance(found.value, int):
        return money(found.value, currency)
    return None if found.value is None else found.value.isoformat()


def items_shown(found: Explanation, currency: str) -> list[ItemShown]:
    """The first items."""
    return [
        ItemShown(
            item=part.item,
            part=_SAID.get(part.sort, part.sort),
            amount=money(part.amount_minor, currency),
        )
        for part in found.parts[:ITEMS_MAX]
    ]


def rules_shown(rules: Sequence[Rule], currency: str) -> list[RuleShown]:
    """The rules."""
    return [
        RuleShown(rule=rule.name, item=rule.item, amount=money(rule.amount_minor, currency))
        for rule in rules
    ]


def contribution_shown(row: dict[str, Any], lane: int, currency: str) -> Contribution:
    """A row of `contributions`."""
    return Contribution(
        item=row["item"],
        part=_SAID.get(row["figure"], row["figure"]),
        amount=money(row["amount_minor"], currency),
        position=f"{lane}-{row['position']}",
        version=row["version"],
        type=row["type"],
        effective_on=row["effective_on"],
        recorded_at=row["recorded_at"],
    )
