"""Reconciliation of rows that nothing could have written: each is named, and nothing is brought down by it."""

import json

import pytest

from api.embedded import EmbeddedServer
from ledger.store.lanes import account_id
from tests.projections.altering import (
    LANE,
    NUMBER,
    OTHERS,
    altered,
    lived_through,
    position_of,
    version_of,
)
from tests.store.databases import US, Database

MINE = f"account_id = '{account_id(US.code, NUMBER)}'"


@pytest.fixture(scope="module")
def kept_books(server: EmbeddedServer) -> Database:
    """A lane of two accounts that have lived through everything; each test puts back what it alters."""
    return lived_through(server, NUMBER, OTHERS[0])


def test_sums_that_are_no_numbers_are_named(kept_books: Database) -> None:
    """PostgreSQL has numbers that are none, fractions of minor units, and numbers of any length."""
    which = f"lane = {LANE} AND account = 'accounts_receivable' AND kind = 'invoice'"
    for amount in ("'NaN'", "'Infinity'", "debit_minor + 0.5", "1e5000"):
        change = f"UPDATE journal.daily SET debit_minor = {amount} WHERE {which}"
        with altered(kept_books, change) as named:
            [difference] = named.values()
            assert ("sums", "row") == (difference.where, difference.figure)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("receivables.account SET opened_on = 'infinity'", "accounts"),
        (f"receivables.invoice SET charges_minor = {2**63 - 1}, tax_minor = 1", "things"),
        ("receivables.invoice SET categories = '[1e5000]'", "things"),
    ],
)
def test_a_row_that_the_database_cannot_add_up_or_send_is_named(
    kept_books: Database, change: str, where: str
) -> None:
    """A day that is none in a table that is read whole, amounts whose sum is beyond 64 bits, and a number
    that is too long."""
    with altered(kept_books, f"UPDATE {change} WHERE {MINE}") as named:
        [difference] = named.values()
        assert (where, "row") == (difference.where, difference.figure)


def test_a_head_that_was_altered_is_named(kept_books: Database) -> None:
    """Its position, be it one that no counting would reach, and the instant that the next event takes."""
    [head] = kept_books.rows("SELECT position FROM ledger.lane_head WHERE lane = %s", LANE)
    for change, where, figure, first in (
        (f"position = {2**62}", "ledger.event", "positions", head + 1),
        (f"position = {head - 1}", "ledger.event", "positions", None),
        ("recorded_at = recorded_at + '1 year'", "ledger.lane_head", "recorded_at", head),
        ("recorded_at = 'infinity'", "ledger.lane_head", "recorded_at", head),
    ):
        changed = f"UPDATE ledger.lane_head SET {change} WHERE lane = {LANE}"
        with altered(kept_books, changed) as named:
            assert first == named[None, where, figure].first_position


@pytest.mark.parametrize("model", ["receivables", "journal"])
def test_a_view_that_says_it_is_past_the_log_is_named(kept_books: Database, model: str) -> None:
    """It would leave out what comes next."""
    change = f"UPDATE {model}.tracking SET position = position + 1 WHERE lane = {LANE}"
    with altered(kept_books, change) as named:
        assert [(None, f"{model}.tracking", "position")] == list(named)


def test_what_is_said_of_an_altered_text_can_be_kept(kept_books: Database) -> None:
    """It may hold a NUL, which no JSON in a database may, and be of any length."""
    position = position_of(kept_books, version_of(kept_books, "charge_posted", 2))
    replacing = "replace(convert_from(state, 'UTF8'), 'a call', '{}')"
    for text in ("a\\u0000call", "x" * 1_000_000):
        state = f"convert_to({replacing.format(text)}, 'UTF8')"
        change = f"UPDATE ledger.event SET state = {state} WHERE {MINE} AND position = {position}"
        with altered(kept_books, change) as named:
            said = named[NUMBER, "receivables.charge c3", "description"].says
        assert "description is a call, not " in said
        assert len(said) <= 1_000
        assert [said] == kept_books.rows("SELECT %s::jsonb ->> 0", json.dumps([said]))
