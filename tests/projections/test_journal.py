"""The journal in its tables: balanced, tied to the figures at any two clocks, rebuilt and parked alike."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import errors

from ledger.history import as_of
from ledger.store.committer import Ledger
from ledger.store.lanes import LANES, lane_of
from ledger.store.roles import READER
from ledger.store.sql import load
from projections.follower import Follower
from projections.journal import JOURNAL
from projections.journal.entries import CONTROLS, CREDITS, RECEIVABLE, UNBILLED, entries
from projections.rebuild import Differs, rebuild
from tests.projections.books import MadeUp, append, books, interleaved, positions, spread
from tests.store.databases import Database

ACCOUNTS, STEPS, CLOCKS = 24, 60, 60
_READING = load("projections.journal", "reading.sql")
SUMS = (
    "SELECT account, sum(debit_minor - credit_minor) FROM journal.sums(%s, NULL, %s)"
    " WHERE effective_on <= %s GROUP BY account"
)
MOVED = (
    "SELECT account, coalesce(sum(signed) FILTER (WHERE effective_on < %(first)s), 0),"
    " coalesce(sum(signed) FILTER (WHERE effective_on >= %(first)s AND signed > 0), 0),"
    " -coalesce(sum(signed) FILTER (WHERE effective_on >= %(first)s AND signed < 0), 0)"
    " FROM journal.entry AS e CROSS JOIN LATERAL"
    " (VALUES (e.debit, e.amount_minor), (e.credit, -e.amount_minor)) AS side (account, signed)"
    " WHERE e.effective_on <= %(day)s AND e.position <= (%(positions)s::bigint[])[e.lane + 1]"
    " GROUP BY account ORDER BY account"
)
OF_ENTRIES = (
    "SELECT side.account, sum(side.amount) FROM journal.entry AS e"
    " CROSS JOIN LATERAL (VALUES (e.debit, e.amount_minor), (e.credit, -e.amount_minor))"
    " AS side (account, amount) GROUP BY side.account ORDER BY side.account"
)
OF_DAYS = (
    "SELECT account, sum(debit_minor - credit_minor) FROM journal.daily"
    " GROUP BY account ORDER BY account"
)
OF_MONTHS = OF_DAYS.replace("daily", "monthly")


@pytest.fixture
def follower(database: Database) -> Iterator[Follower]:
    """A follower of the journal."""
    following = Follower(database.service_url, JOURNAL, events_max=300)
    yield following
    following.close()


def made(ledger: Ledger, seed: int, accounts: int = ACCOUNTS, steps: int = STEPS) -> list[MadeUp]:
    """Accounts whose events are in the log."""
    found = books(seed, accounts, steps)
    append(ledger, interleaved(seed, found))
    return found


def assert_sums_are_of_entries(database: Database) -> None:
    """By day and by month they come to what the entries do."""
    of_entries = database.rows(OF_ENTRIES)
    assert of_entries == database.rows(OF_DAYS)
    assert of_entries == database.rows(OF_MONTHS)


def balances(database: Database, upto: list[int] | None, on: date) -> dict[str, int]:
    """Every account's balance on a day as known at a position of each lane, zeros left out."""
    return {account: int(amount) for account, amount in database.rows(SUMS, upto, on, on) if amount}


def expected(accounts: list[MadeUp], known: dict[Any, int], on: date) -> dict[str, int]:
    """The same of the entries of the events known, and the controls of the figures."""
    found: dict[str, int] = {}
    figures = dict.fromkeys(CONTROLS, 0)
    for account in accounts:
        held = account.book.events[: known[account.id]]
        for event in held:
            for entry in entries(event):
                if entry.on <= on:
                    found[entry.debit] = found.get(entry.debit, 0) + entry.amount_minor
                    found[entry.credit] = found.get(entry.credit, 0) - entry.amount_minor
        if held:
            past = as_of(held, on)
            unapplied = sum(past.unapplied_minor.values())
            figures[UNBILLED] += past.standing.current_activity_minor
            figures[RECEIVABLE] += past.standing.balance_minor + unapplied
            figures[CREDITS] -= unapplied
    assert figures == {control: found.get(control, 0) for control in CONTROLS}
    return {account: amount for account, amount in found.items() if amount}


def moved(database: Database, asked: dict[str, Any]) -> list[Any]:
    """By account what its entries come to before the first day, and its debits and credits since."""
    with psycopg.connect(database.owner_url) as owner:
        return owner.execute(MOVED.encode(), asked).fetchall()


def shown_moved(database: Database, asked: dict[str, Any]) -> list[Any]:
    """The same by the trial balance."""
    given = asked | {"from": asked["first"], "period": None}
    with psycopg.connect(database.owner_url) as owner:
        rows = owner.execute(_READING["trial_balance"], given).fetchall()
    return [(account, *map(Decimal, sums)) for _, account, *sums, _ in rows]


def test_trial_balances_at_any_two_clocks(
    ledger: Ledger, database: Database, follower: Follower
) -> None:
    """At made-up positions and days every balance is that of the events known, their sum is nothing,
    and the control accounts are the figures that a replay gives."""
    seed = random.randrange(2**32)
    print("seed", seed)
    accounts = made(ledger, seed)
    spread(database)
    follower.catch_up()
    assert [] == follower.parked()
    dice, placed = random.Random(seed), positions(database)
    first = min(event.effective_on for a in accounts for event in a.book.events)
    heads = [0] * LANES
    for lane, position in follower.tracked().items():
        heads[lane] = position
    for _ in range(CLOCKS):
        upto = [dice.randint(0, head) if dice.random() < 0.8 else head for head in heads]
        on = first + timedelta(days=dice.randint(0, 500))
        known = {
            a.id: sum(position <= upto[lane_of(a.id)] for position in placed[a.id])
            for a in accounts
        }
        shown = balances(database, upto, on)
        assert expected(accounts, known, on) == shown
        assert 0 == sum(shown.values())
        asked = {"positions": upto, "first": on - timedelta(days=dice.randint(0, 70)), "day": on}
        assert moved(database, asked) == shown_moved(database, asked)
    everything = {a.id: len(a.book.events) for a in accounts}
    assert expected(accounts, everything, date.max) == balances(database, None, date.max)


def test_a_rebuild_makes_the_same_journal(
    ledger: Ledger, database: Database, follower: Follower
) -> None:
    """Loaded from nothing it equals what the follower made; a sum that was changed shows."""
    made(ledger, 5)
    follower.catch_up()
    before = database.rows("SELECT t::text FROM journal.entry AS t ORDER BY t.lane, position, n")
    rebuild(database.owner_url, database.service_url, JOURNAL)
    after = database.rows("SELECT t::text FROM journal.entry AS t ORDER BY t.lane, position, n")
    assert before == after
    assert_sums_are_of_entries(database)
    for table in JOURNAL.sums:
        of_one = f" WHERE ctid = (SELECT ctid FROM journal.{table} ORDER BY lane LIMIT 1)"
        database.run(f"UPDATE journal.{table} SET debit_minor = debit_minor + 1{of_one}")
        with pytest.raises(Differs) as found:
            rebuild(database.owner_url, database.service_url, JOURNAL)
        assert [table] == [difference.table for difference in found.value.differences]
        rebuild(database.owner_url, database.service_url, JOURNAL, accept_differences=True)
        assert_sums_are_of_entries(database)


def test_a_parked_account_leaves_the_sums_and_comes_back(
    ledger: Ledger, database: Database, follower: Follower
) -> None:
    """What was folded of it before stays; tried again it is taken out of the sums and folded anew."""
    accounts = made(ledger, 6)
    victim = max(accounts, key=lambda account: len(account.book.events))
    [(topic, state)] = database.rows(
        "SELECT topic, state FROM ledger.event WHERE account_id = %s AND version = 5", victim.id
    )
    spoil = "UPDATE ledger.event SET state = %s, topic = %s WHERE account_id = %s AND version = 5"
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(spoil, (b"{}", topic, victim.id))
        follower.catch_up()
        assert [5] == [parked.version for parked in follower.parked()]
        assert_sums_are_of_entries(database)
        owner.execute(spoil, (state, topic, victim.id))
    assert [] == follower.retry_parked()
    assert_sums_are_of_entries(database)
    everything = {a.id: len(a.book.events) for a in accounts}
    assert expected(accounts, everything, date.max) == balances(database, None, date.max)


def test_an_account_that_comes_back_is_known_from_when_it_was_recorded(
    ledger: Ledger, database: Database, follower: Follower
) -> None:
    """While it was parked, days of its lane began with later events of others: told again at every
    position of the lane, its first events of those days are there."""
    accounts = made(ledger, 6)
    spread(database)
    in_lane = Counter(lane_of(account.id) for account in accounts)
    shared = [account for account in accounts if in_lane[lane_of(account.id)] > 1]
    victim = max(shared, key=lambda account: len(account.book.events))
    placed, lane = positions(database), lane_of(victim.id)
    [(topic, state)] = database.rows(
        "SELECT topic, state FROM ledger.event WHERE account_id = %s AND version = 2", victim.id
    )
    spoil = "UPDATE ledger.event SET state = %s, topic = %s WHERE account_id = %s AND version = 2"
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(spoil, (b"{}", topic, victim.id))
        follower.catch_up()
        owner.execute(spoil, (state, topic, victim.id))
    assert [] == follower.retry_parked()
    heads = follower.tracked()
    for position in range(heads[lane]):
        upto = [heads[other] if other != lane else position for other in range(LANES)]
        known = {a.id: sum(at <= upto[lane_of(a.id)] for at in placed[a.id]) for a in accounts}
        assert expected(accounts, known, date.max) == balances(database, upto, date.max), position


def test_sums_are_for_those_who_see_all_accounts(
    ledger: Ledger, database: Database, follower: Follower
) -> None:
    """Within a scope of some accounts there are their entries and no sums; without one, nothing."""
    accounts = made(ledger, 7)
    follower.catch_up()
    one = next(a for a in accounts if any(entries(event) for event in a.book.events))
    with psycopg.connect(database.acting_as(READER), autocommit=True) as reader:

        def counted(table: str) -> Any:
            [row] = reader.execute(f"SELECT count(*) > 0 FROM journal.{table}".encode()).fetchall()
            return row[0]

        with pytest.raises(errors.InsufficientPrivilege, match="no scope is set"):
            counted("daily")
        for scope, seen in (("*", (True, True, True)), (str(one.id), (True, False, False))):
            reader.execute("SELECT set_config('billing.scope', %s, false)", (scope,))
            assert seen == (counted("entry"), counted("daily"), counted("monthly"))
        reader.execute("SELECT set_config('billing.scope', %s, false)", (str(one.id),))
        of = reader.execute("SELECT DISTINCT account_id FROM journal.entry").fetchall()
        assert [(one.id,)] == of


def test_what_is_late_is_posted_in_the_first_open_month(
    ledger: Ledger, database: Database, follower: Follower
) -> None:
    """Entries past a lane's cut leave the closed months, also when loaded anew; those before stay."""
    accounts = books(8, ACCOUNTS, STEPS)
    append(ledger, [request for a in accounts[::2] for request in a.requests])
    follower.catch_up()
    [cut_at] = database.rows("SELECT max(effective_on)::date FROM journal.entry")
    month = cut_at.strftime("%Y-%m")
    database.run(
        "INSERT INTO ledger.period_close (lane, period, position, actor, cut_at)"
        f" SELECT lane, '{month}', position, 'test', now() FROM ledger.lane_head"
    )
    append(ledger, [request for a in accounts[1::2] for request in a.requests])
    follower.catch_up()
    wrong = (
        "SELECT count(*) FROM journal.entry AS e JOIN ledger.period_close AS c USING (lane)"
        " WHERE e.period <> CASE WHEN e.position <= c.position"
        " THEN date_trunc('month', e.effective_on)::date ELSE greatest("
        " date_trunc('month', e.effective_on), to_date(c.period, 'YYYY-MM') + interval '1 month'"
        ")::date END"
    )
    moved = "SELECT count(*) > 0 FROM journal.entry WHERE period > effective_on"
    assert [0] == database.rows(wrong)
    assert [True] == database.rows(moved)
    rebuild(database.owner_url, database.service_url, JOURNAL)
    assert [0] == database.rows(wrong)
    assert_sums_are_of_entries(database)
