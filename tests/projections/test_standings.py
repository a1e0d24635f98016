"""All accounts at once stand as each one does by itself: live, and as of any day and positions."""

import random
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from ledger.history import as_of
from ledger.standing import Aging, Standing
from ledger.store.committer import Ledger
from ledger.store.lanes import LANES, lane_of
from ledger.store.roles import READER, acting_as
from projections.follower import Follower
from projections.receivables import RECEIVABLES
from tests.projections.books import MadeUp, append, books, interleaved, positions, spread
from tests.store.databases import Database

ACCOUNTS = 60
STEPS = 90
CLOCKS = 60
ALL = (None, None)
STANDINGS = b"SELECT s.* FROM receivables.standings(%s::date, %s::bigint[], %s, %s) AS s"

Row = dict[str, Any]
Seen = tuple[Standing, int, int]
"""The figures of an account, its unapplied credit, and how many items are open."""


def seen(row: Row) -> Seen:
    return (
        Standing(
            balance_minor=row["balance_minor"],
            total_amount_due_minor=row["total_amount_due_minor"],
            available_credit_minor=row["available_credit_minor"],
            due_on=row["due_on"],
            past_due_minor=row["past_due_minor"],
            days_past_due=row["days_past_due"],
            current_activity_minor=row["current_activity_minor"],
            pending_payments_minor=row["pending_payments_minor"],
            payable_now_minor=row["payable_now_minor"],
            aging=Aging(
                current=row["current_minor"],
                d1_30=row["d1_30_minor"],
                d31_60=row["d31_60_minor"],
                d61_90=row["d61_90_minor"],
                d91=row["d91_minor"],
                disputed=row["disputed_minor"],
                oldest_days=row["oldest_days"],
            ),
        ),
        row["unapplied_minor"],
        row["open_items"],
    )


def folded(account: MadeUp, day: date, version: int) -> Seen:
    """The same from the account's first events."""
    found = as_of(account.book.events[:version], day)
    return found.standing, sum(found.unapplied_minor.values()), len(found.open_items)


def days(accounts: Iterable[MadeUp]) -> tuple[date, date]:
    """The first and the last day that anything counts from."""
    found = sorted(e.effective_on for account in accounts for e in account.book.events)
    return found[0], found[-1]


class Standings:
    """Reads the standings of a database as readers do."""

    def __init__(self, database: Database) -> None:
        self._connection = psycopg.connect(
            acting_as(database.service_url, READER), autocommit=True, row_factory=dict_row
        )
        self._connection.execute("SELECT set_config('billing.scope', '*', false)")

    def at(
        self, day: date, known: Sequence[int] | None, numbers: tuple[str | None, str | None] = ALL
    ) -> dict[str, Seen]:
        """The accounts whose number is past the first and not past the second, by number."""
        given = (day, None if known is None else list(known), *numbers)
        rows = self._connection.execute(STANDINGS, given).fetchall()
        found = {row["account_number"]: seen(row) for row in rows}
        assert len(rows) == len(found)
        assert [
            row["account_id"] for row in rows if row["lane"] != lane_of(row["account_id"])
        ] == []
        return found

    def close(self) -> None:
        self._connection.close()


def test_all_accounts_at_any_clocks(ledger: Ledger, database: Database) -> None:
    """Every figure of every account equals the fold of its events: live, and as of random days and
    positions of the lanes, whole days of recording and broken ones; and so in any part by number."""
    seed = random.randrange(2**32)
    print("seed", seed)
    accounts = books(seed, ACCOUNTS, STEPS)
    append(ledger, interleaved(seed, accounts))
    spread(database)
    follower = Follower(database.service_url, RECEIVABLES)
    follower.catch_up()
    heads = [0] * LANES
    for lane, position in database.rows("SELECT lane, position FROM receivables.tracking"):
        heads[lane] = position
    follower.close()
    dice, placed, reading = random.Random(seed), positions(database), Standings(database)
    first, last = days(accounts)
    today = last + timedelta(days=1)
    live = {account.number: folded(account, today, 2**31) for account in accounts}
    assert live == reading.at(today, None)
    assert live == reading.at(today, heads)
    compared = 0
    for _ in range(CLOCKS):
        day = first + timedelta(days=dice.randint(-3, (last - first).days + 60))
        known = [head if dice.random() < 0.3 else dice.randint(0, head) for head in heads]
        expected = {
            account.number: folded(account, day, version)
            for account in accounts
            if (version := bisect_right(placed[account.id], known[lane_of(account.id)]))
        }
        assert expected == reading.at(day, known), (seed, day, known)
        after, upto = sorted(dice.sample(sorted(live), 2))
        part = {number: one for number, one in expected.items() if after < number <= upto}
        assert part == reading.at(day, known, (after, upto)), (seed, day, known, after, upto)
        compared += len(expected)
    reading.close()
    assert compared > 1_000
