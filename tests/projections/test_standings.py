"""All accounts at once stand as each one does by itself: live, and as of any day and positions."""

import random
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import date, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from ledger import commands as c
from ledger.book import Book
from ledger.calendar import Net
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


DUE_ON = date(2020, 6, 18)


def _day(month: int, day: int) -> date:
    return date(2020, month, day)


def _charge(id: str, on: date) -> c.PostCharge:
    return c.PostCharge(
        charge_id=id, amount_minor=100, description="d", category="usage", effective_on=on
    )


def _payment(id: str) -> c.SubmitPayment:
    return c.SubmitPayment(
        payment_id=id, pay="amount", amount_minor=100, method="card", status="processed"
    )


History = list[tuple[date, c.AnyCommand]]


def _disputed(number: str) -> History:
    """An invoice that is disputed from 10 June to 10 July; money of 20 June finds nothing to pay."""
    return [
        (_day(6, 10), c.OpenDispute(dispute_id="d", invoice=number, reason="why")),
        (_day(6, 20), _payment("p")),
        (_day(7, 10), c.ResolveDispute(dispute_id="d", outcome="rejected")),
    ]


def _issued(number: str, on: date, today: date) -> History:
    invoice = c.IssueInvoice(number=number, period_end=on, issued_on=on, due_on=DUE_ON)
    return [(today, _charge(f"of-{number}", on)), (today, invoice)]


DUE_TOGETHER: dict[str, History] = {
    "T-1": [
        *_issued("Z-first", _day(6, 1), _day(6, 1)),
        *_disputed("Z-first"),
        *_issued("A-second", _day(6, 15), _day(7, 15)),
    ],
    "T-2": [
        *_issued("Z-first", _day(6, 1), _day(6, 1)),
        (_day(6, 2), _payment("q")),
        *_issued("A-second", _day(6, 3), _day(6, 3)),
        *_disputed("A-second"),
        (_day(7, 15), c.ReturnPayment(payment_id="q", reason="NSF", effective_on=_day(6, 22))),
    ],
}
"""Accounts on whose 25 June two invoices due together are open, and money lies unapplied that is
worth one of them: the disputed one is the first, or the second. What opened the other became known
once the dispute was over, or it would have taken the money."""


def due_together(number: str) -> MadeUp:
    opened = c.OpenAccount(company="T", country="USA", currency="USD", terms=Net(17))
    made = MadeUp(number, [], Book())
    for n, (today, command) in enumerate([(_day(6, 1), opened), *DUE_TOGETHER[number]]):
        request = c.Request(
            account_number=number, key=f"t-{n}", command=command, actor="t", today=today
        )
        made.book.handle(request)
        made.requests.append(request)
    return made


def test_of_amounts_due_together_the_first_issued_is_covered(
    ledger: Ledger, database: Database
) -> None:
    """Not the first by number, nor both or neither: so what is past due is the second, unless that is
    disputed; all accounts at once and each by itself say what their events come to."""
    accounts, day = [due_together(number) for number in DUE_TOGETHER], _day(6, 25)
    append(ledger, [request for account in accounts for request in account.requests])
    with closing(Follower(database.service_url, RECEIVABLES)) as follower:
        follower.catch_up()
    expected = {account.number: folded(account, day, 2**31) for account in accounts}
    assert {"T-1": (100, 100, 2), "T-2": (0, 100, 2)} == {
        number: (standing.past_due_minor, unapplied, open_items)
        for number, (standing, unapplied, open_items) in expected.items()
    }
    with closing(Standings(database)) as reading:
        assert expected == reading.at(day, [2**31] * LANES)
    alone = "SELECT past_due_minor FROM receivables.summary(%s, %s, %s, %s)"
    assert [100, 0] == [
        past_due
        for account in accounts
        for past_due in database.rows(alone, lane_of(account.id), account.id, day, 2**31)
    ]


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
