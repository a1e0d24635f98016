"""Who may see what: the scope of the transaction decides, and its absence is an error."""

from uuid import UUID

import psycopg
import pytest
from psycopg import errors

from ledger.store.committer import Ledger
from ledger.store.lanes import account_id, lane_of
from ledger.store.roles import AUDITOR, PROJECTOR, READER, WRITER
from projections.follower import Follower
from projections.reading import Reading
from projections.receivables import RECEIVABLES
from tests.store.databases import US, Database
from tests.store.scenario import TODAY, every_command, requests

OWN, OTHER = account_id(US.code, "A-1"), account_id(US.code, "A-2")
SUMMARY = "SELECT count(*) FROM receivables.summary_row(%s, %s, '2020-07-15')"
TABLES = ("parked", *RECEIVABLES.tables)


@pytest.fixture
def filled(database: Database, ledger: Ledger, follower: Follower) -> Database:
    """Two accounts with a row in every table."""
    ledger.handle_now(requests("A-1", every_command()))
    ledger.handle_now(requests("A-2", every_command()))
    follower.catch_up()
    database.run(
        "INSERT INTO receivables.parked"
        " SELECT lane, account_id, position + 1, version, 'x', 'x', now() FROM receivables.account"
    )
    return database


def counted(connection: psycopg.Connection[tuple[object, ...]], table: str) -> object:
    row = connection.execute(f"SELECT count(*) FROM receivables.{table}".encode()).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("role", [READER, AUDITOR])
def test_without_scope_every_table_refuses(filled: Database, role: str) -> None:
    """A reader that set no scope gets an error, never an empty answer; so does a reused session."""
    with psycopg.connect(filled.acting_as(role), autocommit=True) as connection:
        for used in (False, True):
            for table in TABLES:
                with pytest.raises(errors.InsufficientPrivilege, match="no scope is set"):
                    counted(connection, table)
            with pytest.raises(errors.InsufficientPrivilege, match="no scope is set"):
                connection.execute(SUMMARY.encode(), (lane_of(OWN), OWN))
            if not used:
                with connection.transaction():
                    connection.execute("SELECT set_config('billing.scope', '*', true)")
                    assert counted(connection, "account") == 2


def test_the_scope_is_all_there_is(filled: Database) -> None:
    """Within a scope, every table holds its accounts' rows and no others'."""
    with psycopg.connect(filled.acting_as(READER), autocommit=True) as connection:
        for scope, accounts in ((f"{OWN}", 1), (f"{OWN},{OTHER}", 2), ("*", 2), ("-", 0)):
            with connection.transaction():
                connection.execute("SELECT set_config('billing.scope', %s, true)", (scope,))
                for table in TABLES:
                    row = connection.execute(
                        f"SELECT count(DISTINCT account_id) FROM receivables.{table}".encode()
                    ).fetchone()
                    assert (accounts,) == row, (scope, table)


def test_another_account_is_not_there(filled: Database) -> None:
    """The summary of an account outside the scope is no row, like that of an unknown one."""
    reading = Reading(filled.service_url, scope=str(OWN))
    assert reading.summary(OWN, TODAY) is not None
    assert reading.summary(OTHER, TODAY) is None
    assert reading.summary(UUID(int=0), TODAY) is None
    assert [] == reading.open_items(OTHER, TODAY)
    reading.close()


def test_nobody_but_the_projector_writes(filled: Database) -> None:
    """Readers and the writer can change nothing; the writer cannot even read."""
    for role in (READER, AUDITOR, WRITER):
        with psycopg.connect(filled.acting_as(role), autocommit=True) as connection:
            connection.execute("SELECT set_config('billing.scope', '*', false)")
            for table in ("tracking", "lane_day", *TABLES):
                for statement in ("DELETE FROM", "TRUNCATE"):
                    with pytest.raises(errors.InsufficientPrivilege):
                        connection.execute(f"{statement} receivables.{table}".encode())
            if role == WRITER:
                with pytest.raises(errors.InsufficientPrivilege):
                    counted(connection, "account")
    with psycopg.connect(filled.acting_as(PROJECTOR), autocommit=True) as connection:
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("TRUNCATE receivables.account")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("DELETE FROM ledger.event")


def test_every_table_of_accounts_has_a_policy(filled: Database) -> None:
    """A table with an account id cannot be forgotten when policies are made."""
    assert [] == filled.rows(
        "SELECT c.relname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'receivables'::regnamespace AND c.relkind = 'r'"
        " AND a.attname = 'account_id' AND NOT (c.relrowsecurity AND EXISTS ("
        "SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = 'in_scope'))"
    )
    assert sorted(TABLES) == filled.rows(
        "SELECT c.relname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'receivables'::regnamespace AND c.relkind = 'r'"
        " AND a.attname = 'account_id' ORDER BY c.relname"
    )


def test_every_unique_index_begins_with_lane(filled: Database) -> None:
    """Every index of the views begins with lane, but for two that find rows of all lanes and are not
    unique: accounts in order of their numbers, and the blocks that hold a posting period."""
    assert ["account_numbered", "entry_period"] == filled.rows(
        "SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid"
        " JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
        " WHERE c.relnamespace::regnamespace::text IN ('receivables', 'journal')"
        " AND a.attname <> 'lane' AND NOT i.indisunique ORDER BY c.relname"
    )
    assert [] == filled.rows(
        "SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid"
        " JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
        " WHERE c.relnamespace::regnamespace::text IN ('receivables', 'journal')"
        " AND a.attname <> 'lane' AND i.indisunique"
    )
    assert 20 < len(
        filled.rows("SELECT FROM pg_indexes WHERE schemaname = 'receivables' AND indexdef <> ''")
    )


def test_texts_are_read_within_the_scope(filled: Database) -> None:
    """A reader sees the texts of accounts in scope and of no others; without a scope it is an error;
    an erased text is null, its message still there."""
    texts = "SELECT l.message_id, l.body FROM receivables.messages(%s, %s, '2020-07-15', NULL) AS l"
    every = "SELECT account_id FROM ledger.message_text"
    for role in (READER, AUDITOR):
        with psycopg.connect(filled.acting_as(role), autocommit=True) as connection:
            with pytest.raises(errors.InsufficientPrivilege, match="no scope is set"):
                connection.execute(every.encode())
            connection.execute("SELECT set_config('billing.scope', %s, false)", (str(OWN),))
            assert [(OWN,)] == connection.execute(every.encode()).fetchall()
            own = connection.execute(texts.encode(), (lane_of(OWN), OWN)).fetchall()
            assert [("m1", "Your bill is ready.")] == own
            assert [] == connection.execute(texts.encode(), (lane_of(OTHER), OTHER)).fetchall()
    with psycopg.connect(filled.writer, autocommit=True) as connection:
        erase = "UPDATE ledger.message_text SET body = NULL, erased_at = now()"
        assert 2 == connection.execute(erase.encode()).rowcount
    with psycopg.connect(filled.acting_as(READER), autocommit=True) as connection:
        connection.execute("SELECT set_config('billing.scope', '*', false)")
        erased = connection.execute(texts.encode(), (lane_of(OWN), OWN)).fetchall()
        assert [("m1", None)] == erased


def test_only_readers_and_the_writer_see_texts(filled: Database) -> None:
    """The projector has no business with texts, and no reader can change one."""
    refused = pytest.raises(errors.InsufficientPrivilege)
    with psycopg.connect(filled.acting_as(PROJECTOR)) as connection, refused:
        connection.execute("SELECT body FROM ledger.message_text")
    for role in (READER, AUDITOR):
        with psycopg.connect(filled.acting_as(role)) as connection:
            connection.execute("SELECT set_config('billing.scope', '*', true)")
            with refused:
                connection.execute("UPDATE ledger.message_text SET body = 'x'")
