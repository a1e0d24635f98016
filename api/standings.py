"""How the accounts of a region stand at a moment: a page of them, and what they come to by currency."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Generic, TypeVar

import msgspec

from api.amounts import Money, money
from api.cursors import list_of, seal, unseal
from api.parameters import LIMIT_DEFAULT
from api.region_reads import RegionReading
from ledger.store.sql import load

ACCOUNTS_AT_ONCE = 500
ACCOUNTS_AT_ONCE_MAX = 32_000
"""Accounts looked at in one statement for a page; four times as many after each that did not fill it."""
GROWTH = 4

_SQL = load("api", "standings.sql")


class Links(msgspec.Struct, frozen=True):
    """Where an account's figures come from, at the same moment."""

    summary: str
    open_invoices: str
    explain: str


class Aged(msgspec.Struct, frozen=True, kw_only=True):
    """Open amounts by days past due, all of them; `disputed` is part of them, and shown apart.

    The buckets less `unapplied` are the balance.
    """

    currency: str
    open_items: int
    current: Money
    d1_30: Money
    d31_60: Money
    d61_90: Money
    d91: Money
    disputed: Money
    unapplied: Money
    balance: Money
    past_due: Money


class AgedTotal(Aged, frozen=True, kw_only=True):
    """The sums of the accounts listed that have a currency."""

    accounts: int


class AgedAccount(Aged, frozen=True, kw_only=True):
    """An account that has open items or unapplied credit."""

    account_number: str
    company: str
    due_on: date | None
    days_past_due: int
    oldest_days: int
    links: Links


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """What is owed either way, and what is to come."""

    currency: str
    balance: Money
    total_amount_due: Money
    available_credit: Money
    unapplied: Money
    past_due: Money
    disputed: Money
    current_activity: Money
    pending_payments: Money


class OwedTotal(Owed, frozen=True, kw_only=True):
    """The sums of the accounts listed that have a currency."""

    accounts: int


class OwedAccount(Owed, frozen=True, kw_only=True):
    """An account that has any of these."""

    account_number: str
    company: str
    due_on: date | None
    days_past_due: int
    links: Links


Account = TypeVar("Account", bound=msgspec.Struct)
Total = TypeVar("Total", bound=msgspec.Struct)


class Page(msgspec.Struct, Generic[Account, Total], frozen=True, kw_only=True):
    """Accounts by number; `totals` are of all accounts listed, and stand on the first page alone.

    `parked` counts accounts whose figures stand still, because one of their events cannot be read.
    """

    totals: list[Total] | None
    data: list[Account]
    next_cursor: str | None
    effective_on: date
    known_at: datetime | None
    position: str
    parked: int


async def page(
    reading: RegionReading,
    name: str,
    status: str | None,
    account: type[Account],
    total: type[Total],
) -> Page[Account, Total]:
    """The page that a request asks for, of accounts that are as `status` says.

    Raises Problem (422) for a cursor that is not of this list with these filters.
    """
    given = reading.given
    kind = list_of(name, reading.region, {"status": status})  # of no moment: see the documentation
    totals, after = None, ""
    if "cursor" in given:
        [after] = unseal(reading.key, kind, given["cursor"], tuple[str])
    else:
        rows = await reading.named(_SQL["totals"], after=None, upto=None, status=status)
        totals = [_shown(total, row) for row in rows]
    limit = given.get("limit", LIMIT_DEFAULT)
    rows = await _rows(reading, after, status, limit + 1)
    next_cursor = None
    if len(rows) > limit:
        next_cursor = seal(reading.key, kind, (rows[limit - 1]["account_number"],))
    return Page(
        totals=totals,
        data=[_shown(account, {**row, "links": _links(reading, row)}) for row in rows[:limit]],
        next_cursor=next_cursor,
        effective_on=reading.effective_on,
        known_at=reading.known_at,
        position=reading.position,
        parked=reading.parked,
    )


async def _rows(
    reading: RegionReading, after: str, status: str | None, limit: int
) -> list[dict[str, Any]]:
    """So many accounts past a number, found without looking at all there are."""
    found: list[dict[str, Any]] = []
    at_once = max(ACCOUNTS_AT_ONCE, limit)
    while len(found) < limit:
        [(upto, accounts)] = await reading.transaction.rows(
            _SQL["next_numbers"], {"after": after, "accounts": at_once}
        )
        if not accounts:
            break
        found += await reading.named(
            _SQL["page"], after=after, upto=upto, status=status, limit=limit - len(found)
        )
        if accounts < at_once:
            break
        after, at_once = upto, min(at_once * GROWTH, ACCOUNTS_AT_ONCE_MAX)
    return found


def _shown(as_: type[Account], row: Mapping[str, Any]) -> Account:
    """A row as a struct: amounts, whose columns end in _minor, as Money."""
    values: dict[str, Any] = {}
    for name in as_.__struct_fields__:
        if f"{name}_minor" in row:
            values[name] = money(int(row[f"{name}_minor"]), row["currency"])
        elif name in ("accounts", "open_items"):
            values[name] = int(row[name])
        else:
            values[name] = row[name]
    return as_(**values)


def _links(reading: RegionReading, row: Mapping[str, Any]) -> Links:
    account = f"/v1/accounts/{row['account_number']}"
    at = f"{row['lane']}-{reading.positions[row['lane']]}"
    moment = f"effective_on={reading.effective_on}&at={at}"
    return Links(
        summary=f"{account}/summary?{moment}",
        open_invoices=f"{account}/invoices?status=open&{moment}",
        explain=f"{account}/explain/balance?{moment}",
    )
