"""GET /v1/accounts/{account_number}/statement: what was owed, what changed it, what is owed."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from api import parameters
from api.account_reads import AS_OF, Reading
from api.amounts import Money, money
from api.moments import FIRST_DAY, position
from api.parameters import FROM, TO, Parameter
from api.problems import invalid_query
from api.summary import Aging
from ledger.errors import PositionUnknown
from ledger.store.sql import load

LINES_MAX = 10_000
AFTER = Parameter(
    "after",
    position,
    parameters.POSITION,
    "The `position` of the statement before, which ended the day before `from`: this one opens at its"
    " closing balance, and also lists what became known since, with its own dates.",
)
PARAMETERS = parameters.named(*AS_OF, FROM, TO, AFTER)
_SQL = load("api", "lists.sql")


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """What changed the balance: by how much, and to what.

    `late`: it is dated before the first day, and was not known when the statement before was made.
    """

    effective_on: date
    recorded_at: datetime
    position: str
    version: int
    kind: str
    reference: str
    detail: str | None
    amount: Money
    balance: Money
    late: bool


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What an account owed before a day, what changed it, and what it owes after another.

    `after` is the position of the statement before, when this one follows it.
    """

    first_on: date
    last_on: date
    opening_balance: Money
    lines: list[StatementLine]
    closing_balance: Money
    aging: Aging
    effective_on: date
    known_at: datetime | None
    position: str
    after: str | None


async def statement(reading: Reading, key: bytes) -> Statement:
    """The statement as the request asks for; raises Problem (422) for days that make none."""
    currency = reading.currency
    last_on: date = reading.given.get("to", reading.effective_on)
    first_on: date = reading.given.get("from", last_on.replace(day=1))
    if first_on > last_on:
        raise invalid_query("from", f"{first_on} is after {last_on}")
    closes_on = min(last_on, reading.effective_on)
    after = _after(reading)
    opening = await _balance(reading, first_on - timedelta(days=1), after)
    rows = await reading.named(
        _SQL["statement"],
        position=reading.stands_at,
        first_on=first_on,
        from_on=first_on if after == reading.stands_at else FIRST_DAY,
        last_on=closes_on,
        known=after,
        limit=LINES_MAX + 1,
    )
    if len(rows) > LINES_MAX:
        raise invalid_query("from", f"more than {LINES_MAX} lines: ask for fewer days")
    balance, lines = opening, []
    for row in rows:
        change, position = row.pop("change_minor"), row.pop("position")
        balance += change
        del row["n"]
        lines.append(
            StatementLine(
                **row,
                late=row["effective_on"] < first_on,
                position=f"{reading.at.lane}-{position}",
                amount=money(change, currency),
                balance=money(balance, currency),
            )
        )
    [aging] = await reading.rows(_SQL["aging"], day=closes_on, position=reading.stands_at)
    closing = await _balance(reading, closes_on, reading.stands_at)
    assert balance == closing, (reading.at.number, balance, closing)
    return Statement(
        first_on=first_on,
        last_on=last_on,
        opening_balance=money(opening, currency),
        lines=lines,
        closing_balance=money(closing, currency),
        aging=_aging(aging, currency),
        effective_on=reading.effective_on,
        known_at=reading.known_at,
        position=reading.read_at,
        after=f"{reading.at.lane}-{after}" if "after" in reading.given else None,
    )


def _after(reading: Reading) -> int:
    """What the statement before knew; without one, all that is known. Raises Problem, PositionUnknown."""
    if "after" not in reading.given:
        return reading.stands_at
    lane, after = reading.given["after"]
    if lane != reading.at.lane:
        raise PositionUnknown(position=f"{lane}-{after}")
    if after > reading.stands_at:
        raise invalid_query("after", f"{lane}-{after} is after {reading.read_at}, which is read")
    found: int = after
    return found


async def _balance(reading: Reading, on: date, known: int) -> int:
    rows = await reading.rows(_SQL["balance"], day=on, position=known)
    return int(rows[0][0]) if rows else 0


def _aging(row: Sequence[Any], currency: str) -> Aging:
    current, d1_30, d31_60, d61_90, d91, disputed, oldest_days = row
    return Aging(
        current=money(current, currency),
        d1_30=money(d1_30, currency),
        d31_60=money(d31_60, currency),
        d61_90=money(d61_90, currency),
        d91=money(d91, currency),
        disputed=money(disputed, currency),
        oldest_days=oldest_days,
    )
