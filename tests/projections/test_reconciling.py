"""Reconciliation: books that agree have no difference, and whatever was altered in them is named."""

import random
from contextlib import closing
from unittest.mock import ANY

import psycopg
import pytest

from ledger.store.committer import Ledger
from ledger.store.lanes import LANES, account_id, lane_of
from projections.journal import JOURNAL
from projections.model import creation
from projections.reconciliation import lane_proof, reconciling
from projections.reconciliation.reconciling import reconcile
from tests.projections.altering import (
    LANE,
    NUMBER,
    OTHERS,
    altered,
    follow,
    found,
    planted,
    position_of,
    version_of,
)
from tests.projections.books import append, books, interleaved
from tests.projections.faulty_rows import FAULTS
from tests.store.databases import US, Database
from tests.store.scenario import every_command, requests

OTHER_LANE = lane_of(account_id(US.code, "Z-1"))


@pytest.fixture
def kept_books(ledger: Ledger, database: Database) -> Database:
    """A lane of some accounts, one of which has lived through everything, followed to its end."""
    for number in (OTHERS[0], NUMBER, *OTHERS[1:3], "Z-1"):
        append(ledger, requests(number, every_command()))
    follow(database)
    return database


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
        also = {(NUMBER, fault.where, "tax")} if column == "tax_minor" else set()
        assert {(NUMBER, fault.where, fault.figure)} == named - also, fault
        assert event == one.first_position, (fault, one)
        if column.endswith("_minor") and column != "tax_minor":
            assert one.expected_minor is not None
            assert one.expected_minor + 1 == one.found_minor
    assert [] == found(kept_books)


def test_rows_that_are_gone_or_too_many_are_named(kept_books: Database) -> None:
    """An entry or a movement deleted, one of an event that there is not, sums by day of either."""
    mine = f"account_id = '{account_id(US.code, NUMBER)}'"
    charged = position_of(kept_books, version_of(kept_books, "charge_posted", 2))
    far = "999"
    changes = {
        f"DELETE FROM journal.entry WHERE lane = {LANE} AND position = {charged}": (
            ("journal.entry", "unbilled_receivables / revenue:usage", charged),
        ),
        f"DELETE FROM receivables.movement WHERE {mine} AND position = {charged}": (
            ("receivables.movement", "unbilled", charged),
        ),
        f"UPDATE receivables.movement SET position = {far} WHERE {mine} AND position = {charged}": (
            ("receivables.movement", "row", None),
            ("receivables.movement", "unbilled", charged),
        ),
        f"DELETE FROM receivables.invoice WHERE {mine} AND number = 'I1'": (
            *(("receivables.invoice I1", figure, ANY) for figure in ("row", "open", "charges")),
            # Which tell only by their invoice where they belong.
            ("receivables.invoice_range", "row", None),
            ("receivables.invoice_range I1", "row", ANY),
        ),
        f"DELETE FROM receivables.account WHERE {mine}": (("receivables.account", "row", ANY),),
        f"DELETE FROM ledger.account WHERE {mine}": (("ledger.account", "row", ANY),),
    }
    for change, expected in changes.items():
        with altered(kept_books, change) as named:
            assert {(NUMBER, where, figure) for where, figure, _ in expected} == set(named)
            for where, figure, position in expected:
                assert position in (ANY, named[NUMBER, where, figure].first_position)


def test_sums_by_day_that_were_altered_are_named(kept_books: Database) -> None:
    """Those of receivables by account and figure; those of the journal by day and by month, and the trial
    balance with them, each with the lane that it is of."""
    mine = f"account_id = '{account_id(US.code, NUMBER)}'"
    change = f"UPDATE receivables.daily SET open_minor = open_minor + 5 WHERE {mine}"
    with altered(kept_books, change) as named:
        [(account, where, figure)] = named
        assert (NUMBER, "open") == (account, figure)
        assert where.startswith("receivables.daily of 2020-07-15, recorded on ")
    for table in JOURNAL.sums:
        change = (
            f"UPDATE journal.{table} SET debit_minor = debit_minor + 5"
            f" WHERE lane = {LANE} AND account = 'accounts_receivable'"
        )
        with altered(kept_books, change) as named:
            figures = ("accounts_receivable", "trial balance")
            assert {(None, f"journal.{table}", figure) for figure in figures} == set(named)
            balance = named[None, f"journal.{table}", "trial balance"]
            assert f"of all accounts of lane {LANE} " in balance.says


def test_positions_that_are_gone_are_named(kept_books: Database) -> None:
    """Nothing of the lane is called proved."""
    for model in ("journal", "receivables"):
        with altered(kept_books, f"DELETE FROM {model}.tracking WHERE lane = {LANE}") as named:
            assert [(None, f"{model}.tracking", "row")] == [*named]
    assert [] == found(kept_books)


def test_a_row_that_cannot_be_read_is_named(kept_books: Database) -> None:
    """A day that is none; what else there is in the lane is not called proved."""
    charged = position_of(kept_books, version_of(kept_books, "charge_posted", 2))
    which = f"lane = {LANE} AND position = {charged}"
    change = f"UPDATE journal.entry SET effective_on = 'infinity' WHERE {which}"
    with altered(kept_books, change) as named:
        [difference] = named.values()
        assert ("entries", "row") == (difference.where, difference.figure)
        assert "the rest of the lane is not proved" in difference.says


@pytest.mark.parametrize("model", ["receivables", "journal"])
def test_the_days_of_positions_that_were_altered_are_named(
    kept_books: Database, model: str
) -> None:
    """The first position of a day later or earlier than it is, or no row of the day."""
    table, lane = f"{model}.lane_day", f"lane = {LANE}"
    for change in (
        f"UPDATE {table} SET first_position = first_position + 1 WHERE {lane}",
        f"UPDATE {table} SET first_position = first_position - 1 WHERE {lane}",
        f"DELETE FROM {table} WHERE {lane}",
    ):
        with altered(kept_books, change) as named:
            [difference] = named.values()
            assert (table, 1) == (difference.where, difference.first_position)


def test_an_event_that_was_altered_is_named(kept_books: Database) -> None:
    """A text, an amount, a topic of it; one that was taken out of the log; and what followed from it."""
    at = version_of(kept_books, "charge_posted", 2)
    position = position_of(kept_books, at)
    event = f"ledger.event {LANE}-{position}"
    which = f"account_id = '{account_id(US.code, NUMBER)}' AND version = {at}"
    replacing = "state = convert_to(replace(convert_from(state, 'UTF8'), '{}', '{}'), 'UTF8')"
    text = f"UPDATE ledger.event SET {replacing.format('a call', 'a cell')} WHERE {which}"
    with altered(kept_books, text) as named:
        assert {(event, "hash"), ("receivables.charge c3", "description")} == {
            (where, figure) for _, where, figure in named
        }
        assert {position} == {one.first_position for one in named.values()}
    amount = f"UPDATE ledger.event SET {replacing.format(':700,', ':701,')} WHERE {which}"
    with altered(kept_books, amount) as named:
        assert (701, 700) == (
            named[NUMBER, "receivables.movement", "unbilled"].expected_minor,
            named[NUMBER, "receivables.movement", "unbilled"].found_minor,
        )
        for where, figure in (
            (event, "hash"),
            ("journal.entry", "unbilled_receivables / revenue:usage"),
            ("receivables.account", "unbilled"),
            ("ledger.account", "unbilled"),
        ):
            assert position == named[NUMBER, where, figure].first_position
        billed = position_of(kept_books, version_of(kept_books, "invoice_issued", 1))
        wrong = named[NUMBER, f"ledger.event {LANE}-{billed}", "charges"]
        assert (701, 700) == (wrong.expected_minor, wrong.found_minor)
        assert (None, "journal.daily", "unbilled_receivables") in named
    topic = f"UPDATE ledger.event SET topic = 'charge_posted:2' WHERE {which}"
    with altered(kept_books, topic) as named:
        assert {(NUMBER, event, "hash"), (NUMBER, event, "event")} == set(named)
    with altered(kept_books, f"DELETE FROM ledger.event WHERE {which}") as named:
        following = f"ledger.event {LANE}-{position_of(kept_books, at + 1)}"
        assert {
            (NUMBER, following, "hash"),
            (NUMBER, following, "event"),
            (None, "ledger.event", "positions"),
        } == set(named)
        assert position == named[None, "ledger.event", "positions"].first_position


def test_an_account_row_of_the_write_side_that_was_altered_is_named(kept_books: Database) -> None:
    """Its totals are those of its events, and its hash is the last one's."""
    replacing = "convert_to(replace(convert_from(state, 'UTF8'), '{}', '{}'), 'UTF8')"
    mine = f"account_id = '{account_id(US.code, NUMBER)}'"
    state = replacing.format('"open_minor":', '"open_minor":1')
    with altered(kept_books, f"UPDATE ledger.account SET state = {state} WHERE {mine}") as named:
        assert [(NUMBER, "ledger.account", "open")] == list(named)
    hash = "sha256('other')"
    with altered(kept_books, f"UPDATE ledger.account SET hash = {hash} WHERE {mine}") as named:
        assert [(NUMBER, "ledger.account", "hash")] == list(named)


def test_a_parked_account_is_told_as_such(ledger: Ledger, database: Database) -> None:
    """It was compared as far as it goes, and nothing else of it or of the sums is named."""
    for number in (NUMBER, *OTHERS[:2]):
        append(ledger, requests(number, every_command()))
    at = version_of(database, "invoice_issued", 1)
    position = position_of(database, at)
    mine = f"account_id = '{account_id(US.code, NUMBER)}' AND version = {at}"
    database.run("CREATE TABLE public.spoilt AS SELECT state FROM ledger.event WHERE " + mine)
    database.run(f"UPDATE ledger.event SET state = 'spoilt' WHERE {mine}")
    follow(database)
    parked = {(f"{name}.parked", "parked", position) for name in ("receivables", "journal")}
    event = f"ledger.event {LANE}-{position}"
    assert {*parked, (event, "hash", position), (event, "event", position)} == {
        (one.where, one.figure, one.first_position) for one in found(database)
    }
    restored = "(SELECT s.state FROM public.spoilt AS s)"
    database.run(f"UPDATE ledger.event SET state = {restored} WHERE {mine}")
    told = found(database)
    assert parked == {(one.where, one.figure, one.first_position) for one in told}
    assert {("parked", NUMBER)} == {(one.kind, one.account_number) for one in told}


def test_all_lanes_are_seen_at_one_moment_while_writes_go_on(
    ledger: Ledger, kept_books: Database
) -> None:
    """What is written and followed after the first lane was read is in no lane's proof, whoever reads."""
    for workers in (1, 2):
        before = kept_books.rows("SELECT sum(position) FROM ledger.lane_head")
        [now] = kept_books.rows("SELECT clock_timestamp()")
        proofs = reconcile(kept_books.service_url, workers=workers)
        first = next(proofs)
        number = f"W-{workers}"
        append(ledger, requests(number, every_command()))
        follow(kept_books)
        found = [first, *proofs]
        assert list(range(LANES)) == sorted(proof.lane for proof in found)
        assert before == [sum(proof.log_position for proof in found)]
        assert all(now <= proof.seen_at for proof in found)
        assert before == [sum(proof.events for proof in found)]
        assert [] == [one for proof in found for one in proof.kept]


def test_no_limit_of_the_database_is_for_it(kept_books: Database) -> None:
    """Such as operators set for other work: statements may take long, and the moment is kept meanwhile."""
    for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
        kept_books.run(f"ALTER DATABASE {kept_books.name} SET {limit} = '1ms'")
        proofs = list(reconcile(kept_books.service_url, lanes=(LANE, OTHER_LANE), workers=2))
        assert [()] * 2 == [proof.kept for proof in proofs]
        unlimited = {"options": "-c statement_timeout=0", "autocommit": True}
        with psycopg.connect(kept_books.owner_url, **unlimited) as owner:
            owner.execute(f"ALTER DATABASE {kept_books.name} RESET {limit}".encode())


def test_a_moment_that_is_lost_is_a_database_that_does_not_answer(database: Database) -> None:
    """A worker that begins when the connection that shares the moment has broken: nothing is odd about it."""
    with (
        closing(reconciling._connected(database.service_url)) as connection,
        pytest.raises(psycopg.OperationalError, match="has lost it"),
        reconciling._moment(connection, "00000003-0000001B-1"),
    ):
        pass


def test_a_read_model_that_is_swapped_meanwhile_is_read_anew(
    kept_books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows of the moment are gone, so a lane that is being read, or left, is seen at a later one."""

    def swap() -> None:
        kept_books.run("ALTER SCHEMA journal RENAME TO journal_of_" + str(len(seen)))
        kept_books.run(creation(JOURNAL, JOURNAL.name))
        follow(kept_books, "journal")

    class Books(lane_proof.Books):
        def replaced(self) -> bool:
            seen.append(self.lane)
            if len(seen) == 2:  # after the lane was read
                swap()
            return super().replaced()

    seen: list[int] = []
    monkeypatch.setattr(lane_proof, "Books", Books)
    lanes = ((LANE + 1) % LANES, LANE, OTHER_LANE)
    for proof in reconcile(kept_books.service_url, lanes=lanes):
        assert () == proof.kept
        assert proof.events == proof.journal_position
    # Each lane asks when it was read; the last one, whose tables are gone, before that too.
    assert [lanes[0], LANE, LANE, OTHER_LANE, OTHER_LANE] == seen
