"""Reconciliation: books that agree have no difference, and whatever was altered in them is named."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
import pytest

from ledger.store.committer import Ledger
from ledger.store.lanes import account_id, lane_of
from projections.follower import Follower
from projections.journal import JOURNAL
from projections.receivables import RECEIVABLES
from projections.reconciliation.differences import Difference
from projections.reconciliation.reconciling import reconcile
from tests.projections.books import append, books, interleaved
from tests.store.databases import US, Database
from tests.store.scenario import every_command, requests

NUMBER = "A-1"
LANE = lane_of(account_id(US.code, NUMBER))
OTHERS = [n for n in (f"B-{n}" for n in range(400)) if lane_of(account_id(US.code, n)) == LANE]


@pytest.fixture
def kept_books(ledger: Ledger, database: Database) -> Database:
    """A lane of some accounts, one of which has lived through everything, followed to its end."""
    for number in (OTHERS[0], NUMBER, *OTHERS[1:3]):
        append(ledger, requests(number, every_command()))
    follow(database)
    return database


def follow(database: Database, *names: str) -> None:
    """The read models named, or all, hold what the log does."""
    for model in (RECEIVABLES, JOURNAL):
        if not names or model.name in names:
            follower = Follower(database.service_url, model)
            follower.catch_up()
            follower.close()


def found(database: Database) -> list[Difference]:
    """Every difference of the lane."""
    [proof] = reconcile(database.service_url, lanes=(LANE,))
    assert proof.differences == len(proof.kept)
    return list(proof.kept)


def position_of(database: Database, version: int) -> int:
    """Where an event of the account stands in its lane."""
    [position] = database.rows(
        "SELECT position FROM ledger.event WHERE account_id = %s AND version = %s",
        account_id(US.code, NUMBER),
        version,
    )
    assert isinstance(position, int)
    return position


def version_of(database: Database, topic: str, n: int = 0) -> int:
    """The version of the account's n-th event of a kind."""
    versions = database.rows(
        "SELECT version FROM ledger.event WHERE account_id = %s AND topic = %s ORDER BY version",
        account_id(US.code, NUMBER),
        f"{topic}:1",
    )
    return int(versions[n])


@contextmanager
def planted(database: Database, table: str, which: str, change: str, undo: str) -> Iterator[None]:
    """Rows of the account changed in a table by an expression, and changed back."""
    whose = f"account_id = '{account_id(US.code, NUMBER)}' AND {which}"
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        assert owner.execute(f"UPDATE {table} SET {change} WHERE {whose}".encode()).rowcount == 1
        yield
        owner.execute(f"UPDATE {table} SET {undo} WHERE {whose}".encode())


def test_made_up_books_agree(ledger: Ledger, database: Database) -> None:
    """Whatever accounts lived through, with the read models at one position, at two, or at none."""
    seed = random.randrange(2**32)
    print("seed", seed)
    asked = interleaved(seed, books(seed, 20, 60))
    third = len(asked) // 3
    append(ledger, asked[:third])
    follow(database, "journal")
    append(ledger, asked[third : 2 * third])
    follow(database, "receivables")
    append(ledger, asked[2 * third :])
    proofs = list(reconcile(database.service_url))
    assert [] == [one for proof in proofs for one in proof.kept]
    assert any(p.journal_position < p.receivables_position < p.log_position for p in proofs)
    assert database.rows("SELECT count(*) FROM ledger.event") == [sum(p.events for p in proofs)]
    follow(database)
    assert [] == [one for proof in reconcile(database.service_url) for one in proof.kept]


class Fault(NamedTuple):
    """A column of the account's one such row that is made larger, and what is named for it."""

    table: str
    which: str
    column: str
    where: str
    figure: str
    topic: str
    n: int = 0


FAULTS = (
    Fault(
        "journal.entry",
        "document = 'charge:c3'",
        "amount_minor",
        "journal.entry",
        "unbilled_receivables / revenue:usage",
        "charge_posted",
        2,
    ),
    Fault(
        "journal.entry",
        "document = 'invoice:I2'",
        "effective_on",
        "journal.entry",
        "accounts_receivable / unbilled_receivables",
        "invoice_issued",
        1,
    ),
    Fault(
        "receivables.movement",
        "figure = 'pending' AND version = 7",
        "amount_minor",
        "receivables.movement",
        "pending",
        "payment_submitted",
    ),
    Fault(
        "receivables.account",
        "true",
        "unapplied_minor",
        "receivables.account",
        "unapplied",
        "credit_reversed",
    ),
    Fault(
        "receivables.invoice",
        "number = 'I1'",
        "open_minor",
        "receivables.invoice I1",
        "open",
        "credit_reversed",
    ),
    Fault(
        "receivables.invoice",
        "number = 'I2'",
        "total_minor",
        "receivables.invoice I2",
        "total",
        "invoice_issued",
        1,
    ),
    Fault(
        "receivables.charge",
        "charge_id = 'c4'",
        "total_minor",
        "receivables.charge c4",
        "total",
        "charge_posted",
        3,
    ),
    Fault(
        "receivables.charge",
        "charge_id = 'c2'",
        "reversed_position",
        "receivables.charge c2",
        "reversed",
        "charge_reversed",
    ),
    Fault(
        "receivables.payment",
        "payment_id = 'p2'",
        "unapplied_minor",
        "receivables.payment p2",
        "unapplied",
        "refund_reversed",
    ),
    Fault(
        "receivables.credit",
        "credit_id = 'k1'",
        "unapplied_minor",
        "receivables.credit k1",
        "unapplied",
        "credit_reversed",
    ),
    Fault(
        "ledger.item",
        "kind = 'invoice' AND id = 'I1'",
        "open_minor",
        "ledger.item I1",
        "open",
        "credit_reversed",
    ),
    Fault("journal.account", "true", "currency", "journal.account", "currency", "account_closed"),
)


def test_what_was_altered_in_a_table_is_named(kept_books: Database) -> None:
    """Each alone: the account, the figure, what it should be, and the event; nothing else is named."""
    assert [] == found(kept_books)
    for fault in FAULTS:
        column, up, down = fault.column, f"{fault.column} + 1", f"{fault.column} - 1"
        if column == "currency":
            up, down = "'EUR'", "'USD'"
        changes = f"{column} = {up}", f"{column} = {down}"
        with planted(kept_books, fault.table, fault.which, *changes):
            one = found(kept_books)[0]
            named = {(d.account_number, d.where, d.figure) for d in found(kept_books)}
        event = position_of(kept_books, version_of(kept_books, fault.topic, fault.n))
        assert {(NUMBER, fault.where, fault.figure)} == named, fault
        assert event == one.first_position, (fault, one)
        if column.endswith("_minor"):
            assert one.expected_minor is not None
            assert one.expected_minor + 1 == one.found_minor
    assert [] == found(kept_books)
