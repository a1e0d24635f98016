"""`explain`: what a figure of an account is made of, down to the events, live or as of any moment."""

import argparse
import asyncio
from contextlib import closing
from datetime import date
from typing import Any, cast
from uuid import UUID

from api.amounts import money
from api.cli.regional import add_json, add_region, fit_database
from api.cli.replay import parsed, text
from api.cli.screen import Misuse, Refused, Screen
from api.database import Line, Transaction
from api.explaining import (
    FIRST,
    Contribution,
    contribution_shown,
    contributions,
    explain,
    items_shown,
    rules_shown,
    value_shown,
)
from api.moments import day, instant, position
from api.settings import Settings
from api.wiring import Database
from ledger.errors import KnownAtInFuture
from ledger.explaining import FIGURES, Explanation, FigureName
from ledger.store.lanes import account_id, lane_of
from ledger.store.roles import READER
from ledger.store.sql import load
from projections.reading import Reading

ROWS_AT_ONCE = 5_000
SWAPS_MAX = 3
"""Rebuilds that may swap the views before a reading takes hold of them."""

_SQL = load("api", "explaining.sql")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Makes the command known."""
    parser = commands.add_parser(
        "explain", help="what a figure is made of, down to the events", allow_abbrev=False
    )
    parser.add_argument("account", help="account number")
    parser.add_argument("figure", choices=FIGURES, metavar="figure", help=", ".join(FIGURES))
    parser.add_argument("--effective-on", help="YYYY-MM-DD; the region's today if not given")
    parser.add_argument("--known-at", help="as known then, such as 2020-08-05T09:00:00Z")
    parser.add_argument("--at", help="as known at a position, <lane>-<position>")
    add_region(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Shows the figure, its items, the rules between and every event. Changes nothing."""
    if given.known_at and given.at:
        raise Misuse("give --known-at or --at, not both")
    with fit_database(settings, given.region) as database:
        id = account_id(database.region.code, given.account)
        on = parsed("--effective-on", given.effective_on, day) or database.today()
        stands_at = _position(database, id, given)
        currency, found, rows = asyncio.run(_explained(database, id, on, stands_at, given))
    value = value_shown(found, given.figure, currency)
    items, rules = items_shown(found, currency), rules_shown(found.rules, currency)
    screen.say(f"{given.figure}: {text(value)}")
    screen.table([{"item": i.item, "part": i.part, "amount": text(i.amount)} for i in items])
    for rule in rules:
        of = f" {rule.item}" if rule.item else ""
        screen.say(f"{rule.rule}{of}: {text(rule.amount)}")
    columns = ("position", "version", "type", "effective_on", "item", "part", "amount")
    screen.table([{name: text(getattr(row, name)) for name in columns} for row in rows])
    screen.result(
        {
            "account_number": given.account,
            "region": database.region.code,
            "figure": given.figure,
            "value": value,
            "amount": money(found.amount_minor, currency),
            "items": items,
            "items_count": len(found.parts),
            "rules": rules,
            "contributions": rows,
            "effective_on": on,
            "position": f"{lane_of(id)}-{stands_at}",
        }
    )
    return 0


def _position(database: Database, id: UUID, given: argparse.Namespace) -> int:
    """The position of the account's lane that is asked for and the views have reached."""
    known_at = parsed("--known-at", given.known_at, instant)
    at = parsed("--at", given.at, position)
    if at is not None and at[0] != lane_of(id):
        raise Misuse(f"--at {given.at}: the account is in lane {lane_of(id)}")
    with closing(Reading(database.service_url, str(id))) as reading:
        if known_at is None and at is None:
            return reading.reached(id)
        try:
            found = at[1] if at else reading.known_position(id, cast(Any, known_at))
        except KnownAtInFuture as refusal:
            raise Misuse(f"--known-at: {refusal}") from None
        reading.wait_for(id, found)
        return found


class _Account:
    """An account within a transaction that sees nothing else."""

    def __init__(
        self, transaction: Transaction, lane: int, currency: str, on: date, stands_at: int
    ) -> None:
        self.currency = currency
        self.effective_on = on
        self.stands_at = stands_at
        self._transaction = transaction
        self._lane = lane

    async def named(self, statement: bytes, **given: Any) -> list[dict[str, Any]]:
        return await self._transaction.named(statement, {"lane": self._lane, **given})


async def _explained(
    database: Database, id: UUID, on: date, stands_at: int, given: argparse.Namespace
) -> tuple[str, Explanation, list[Contribution]]:
    """The account's currency, the figure, and everything that adds to it."""
    figure, lane = cast(FigureName, given.figure), lane_of(id)

    async def read(transaction: Transaction) -> tuple[str, Explanation, list[Contribution]] | None:
        if await transaction.rows(_SQL["hold"], {"lane": lane}) != [(True,)]:
            return None
        await transaction.rows(_SQL["let_in"], {"account_id": id})
        known = await transaction.rows(_SQL["currency"], {"lane": lane, "position": stands_at})
        if not known:
            code = database.region.code
            raise Refused(f"region {code} knows no account {given.account}, then or at all")
        [(currency,)] = known
        account = _Account(transaction, lane, currency, on, stands_at)
        found = await explain(account, figure)
        shown, before = list[Contribution](), FIRST
        while rows := await contributions(account, figure, found.parts, before, ROWS_AT_ONCE):
            shown += [contribution_shown(row, lane, currency) for row in rows]
            before = rows[-1]["place"]
        return currency, found, shown

    line = Line(database.service_url, READER)
    try:
        for _ in range(SWAPS_MAX):
            explained = await line.transact(read, frozen=True)
            if explained is not None:
                return explained
        raise Refused("rebuilds swap the views again and again: wait until they are done")
    finally:
        await line.close()
