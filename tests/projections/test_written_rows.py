"""Reconciliation of what commands are decided by: items and account rows are what the rules make of the events."""

import pytest

from api.embedded import EmbeddedServer
from ledger.store.lanes import account_id
from tests.projections.altering import (
    LANE,
    NUMBER,
    altered,
    lived_through,
    position_of,
    version_of,
)
from tests.store.databases import US, Database

MINE = f"account_id = '{account_id(US.code, NUMBER)}'"
REPLACED = "convert_to(replace(convert_from(state, 'UTF8'), '{}', '{}'), 'UTF8')"
ITEM = "kind, id, seq, version, state, due_on, open_minor, undisputed_minor, written_off_minor"


@pytest.fixture(scope="module")
def kept_books(server: EmbeddedServer) -> Database:
    """An account that has lived through everything; each test puts back what it alters."""
    return lived_through(server, NUMBER)


def test_what_an_item_says_is_named(kept_books: Database) -> None:
    """By field, with both amounts and the event that changed it last, though its columns are as they were."""
    state = REPLACED.format('"open_minor":1000', '"open_minor":1001')
    change = (
        f"UPDATE ledger.item SET state = {state} WHERE {MINE} AND kind = 'invoice' AND id = 'I1'"
    )
    with altered(kept_books, change) as named:
        [(account, where, figure)] = named
        assert (NUMBER, "ledger.item I1", "open") == (account, where, figure)
        [one] = named.values()
        assert (1_000, 1_001) == (one.expected_minor, one.found_minor)
        last = position_of(kept_books, version_of(kept_books, "credit_reversed"))
        assert last == one.first_position
    state = REPLACED.format('"due_on":"2020', '"due_on":"2021')
    change = f"UPDATE ledger.account SET state = {state} WHERE {MINE}"
    with altered(kept_books, change) as named:
        assert [(NUMBER, "ledger.account", "due_on")] == list(named)


def test_items_that_are_gone_too_many_or_of_before_are_named(kept_books: Database) -> None:
    """One deleted, one of nothing, one as it was before its last event, and one that is no item."""
    charge = f"{MINE} AND kind = 'charge' AND id = 'c2'"
    before = REPLACED.format(',"reversed":true', "")
    for change, figure in (
        (f"DELETE FROM ledger.item WHERE {charge}", "row"),
        (f"UPDATE ledger.item SET state = 'x' WHERE {charge}", "row"),
        (f"UPDATE ledger.item SET state = {before} WHERE {charge}", "reversed"),
    ):
        with altered(kept_books, change) as named:
            assert [(NUMBER, "ledger.item charge:c2", figure)] == list(named)
    change = (
        f"INSERT INTO ledger.item (lane, account_id, {ITEM}) SELECT lane, account_id, kind, 'c9',"
        f" seq, version, state, due_on, open_minor, undisputed_minor, written_off_minor"
        f" FROM ledger.item WHERE {charge}"
    )
    with altered(kept_books, change) as named:
        assert [(NUMBER, "ledger.item charge:c9", "row")] == list(named)


def test_an_item_put_back_to_an_earlier_version_is_named(kept_books: Database) -> None:
    """State, version and all, as if its last event had not been: that event is not told to be wrong, and
    the account's other rows are held against what comes of it."""
    before = REPLACED.format(',"reversed":true', "")
    invoice = REPLACED.format('"open_minor":1000', '"open_minor":1001')
    undone = REPLACED.format('"amount_minor":0', '"amount_minor":400')
    made = version_of(kept_books, "payment_processed", 1)
    for set_to, kind, id in (
        (f"state = {before}, version = version - 1", "charge", "c2"),
        (f"state = {undone}, amount_minor = 400, version = {made}", "allocation", f"{made}.0"),
    ):
        change = f"UPDATE ledger.item SET {set_to} WHERE {MINE} AND id = '{id}'"
        with altered(kept_books, change) as named:
            assert [(NUMBER, f"ledger.item {kind}:{id}", "row")] == list(named)
    both = (
        f"UPDATE ledger.item SET state = CASE id WHEN 'c2' THEN {before} ELSE {invoice} END,"
        f" version = version - CASE id WHEN 'c2' THEN 1 ELSE 0 END WHERE {MINE} AND id IN ('c2', 'I1')"
    )
    with altered(kept_books, both) as named:
        wheres = {where for _, where, _ in named}
        assert {"ledger.item charge:c2", "ledger.item I1"} == wheres


def test_an_item_written_in_another_form_is_the_same(kept_books: Database) -> None:
    """As an earlier release may have: what it says counts, not its bytes."""
    state = REPLACED.format('":', '": ')
    for table in ("ledger.item", "ledger.account"):
        with altered(kept_books, f"UPDATE {table} SET state = {state} WHERE {MINE}") as named:
            assert {} == named


def test_an_event_that_no_rule_can_follow_is_named(kept_books: Database) -> None:
    """More put on an invoice than is open: the write side's rows are not told to be wrong with it."""
    version = version_of(kept_books, "payment_processed", 1)
    state = REPLACED.format('"amount_minor":400,"on"', '"amount_minor":4000,"on"')
    change = f"UPDATE ledger.event SET state = {state} WHERE {MINE} AND version = {version}"
    event = f"ledger.event {LANE}-{position_of(kept_books, version)}"
    with altered(kept_books, change) as named:
        assert {(NUMBER, event, "hash"), (NUMBER, event, "rules")} <= named.keys()
        assert not [where for _, where, _ in named if where.startswith("ledger.item")]
