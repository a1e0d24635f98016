"""Roles: nobody that serves can change history, and each role can do what it is for."""

from datetime import UTC, datetime, timedelta

import msgspec
import psycopg
import pytest
from psycopg import errors

from api.embedded import EmbeddedServer
from ledger.errors import KnownAtInFuture
from ledger.store.committer import Ledger
from ledger.store.faults import UnsafeRole
from ledger.store.lanes import account_id, lane_of
from ledger.store.log import Log
from ledger.store.migrate import check_role
from ledger.store.roles import AUDITOR, PROJECTOR, READER, ROLES
from tests.store.databases import US, Database
from tests.store.scenario import charge, opening, requests

CHANGES = (
    "UPDATE ledger.event SET state = ''",
    "DELETE FROM ledger.event",
    "TRUNCATE ledger.event",
    "UPDATE ledger.command_key SET reply = ''",
    "DELETE FROM ledger.command_key",
    "TRUNCATE ledger.command_key",
    "DELETE FROM ledger.account",
    "DELETE FROM ledger.item",
    "DELETE FROM ledger.lane_head",
    "DELETE FROM ledger.message_text",
    "DELETE FROM ledger.month_end",
    "UPDATE ledger.region SET code = 'x'",
    "UPDATE ledger.migration SET name = 'x'",
    "ALTER TABLE ledger.event DISABLE TRIGGER ALL",
    "CREATE TABLE ledger.mine ()",
)
LANE = lane_of(account_id(US.code, "A-1"))


@pytest.fixture
def written(ledger: Ledger) -> Ledger:
    ledger.handle_now(requests("A-1", [opening(), charge("c1"), charge("c2")]))
    return ledger


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("role", ROLES)
def test_no_role_can_change_history(database: Database, role: str) -> None:
    """Update, delete and truncate of the log, of keys and of what proves them are refused."""
    with psycopg.connect(database.acting_as(role), autocommit=True) as connection:
        for change in CHANGES:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(change.encode())


@pytest.mark.parametrize("role", [PROJECTOR, READER, AUDITOR])
def test_only_the_writer_writes(database: Database, role: str) -> None:
    """No other role can insert into the log, or call what appends to it."""
    with psycopg.connect(database.acting_as(role), autocommit=True) as connection:
        for attempt in (
            "INSERT INTO ledger.event DEFAULT VALUES",
            "UPDATE ledger.lane_head SET position = 7",
            "SELECT ledger.read_accounts('{}', '{}')",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(attempt.encode())


def test_a_reader_cannot_read_the_log(database: Database) -> None:
    """What portal readers may see are the views, never events."""
    refused = pytest.raises(errors.InsufficientPrivilege)
    with psycopg.connect(database.acting_as(READER)) as connection, refused:
        connection.execute("SELECT state FROM ledger.event")


def test_a_login_has_no_rights_until_it_acts_as_a_role(database: Database) -> None:
    """The service's login alone may do nothing in the ledger (PostgreSQL 16 and later)."""
    with psycopg.connect(database.service_url) as connection:
        assert connection.info.server_version >= 160_000
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("SELECT code FROM ledger.region")


def test_public_has_no_rights(database: Database) -> None:
    """Nothing in the ledger's schema is granted to everybody."""
    granted = database.rows(
        "SELECT p.proname FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner)))"
        " a WHERE p.pronamespace = 'ledger'::regnamespace AND a.grantee = 0"
    )
    assert granted == []


def test_serving_as_owner_or_superuser_is_refused(
    database: Database, server: EmbeddedServer
) -> None:
    """The service's login is fine; the owner's and a superuser's are named and refused."""
    with psycopg.connect(database.writer) as connection:
        check_role(connection)
    superuser = server.admin_url(database.name)
    for url, why in ((database.owner_url, "owns the log"), (superuser, "superuser")):
        with psycopg.connect(url) as connection, pytest.raises(UnsafeRole, match=why):
            check_role(connection)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("role", ROLES)
def test_every_role_learns_what_was_known(database: Database, role: str) -> None:
    """Each role, without rights to lock the head itself, gets the last position recorded by an
    instant; an instant that has not passed is refused."""
    stamped = database.rows("SELECT position, recorded_at FROM ledger.event ORDER BY position")
    log = Log(database.acting_as(role))
    try:
        assert log.known_position(LANE, datetime(2020, 1, 1, tzinfo=UTC)) == 0
        just_before = stamped[0][1] - timedelta(microseconds=1)
        assert log.known_position(LANE, just_before) == 0
        for _, recorded_at in stamped:
            last = max(position for position, at in stamped if at <= recorded_at)
            assert log.known_position(LANE, recorded_at) == last
        with pytest.raises(KnownAtInFuture):
            log.known_position(LANE, datetime.now(UTC) + timedelta(hours=1))
    finally:
        log.close()


def test_what_was_known_holds_the_head(written: Ledger, database: Database) -> None:
    """While a reader's transaction holds an instant, no append can join what was known then; the
    append waits, and its instant is a later one."""
    with psycopg.connect(database.acting_as(READER)) as reader:
        now = reader.execute("SELECT clock_timestamp()").fetchone()
        known = reader.execute("SELECT ledger.known_position(%s, %s)", (LANE, now[0])).fetchone()
        (later,) = requests("A-1", [charge("c3")])
        answer = written.enqueue([msgspec.structs.replace(later, key="later")])
        with pytest.raises(TimeoutError):
            answer.result(timeout=0.2)
        again = reader.execute("SELECT ledger.known_position(%s, %s)", (LANE, now[0])).fetchone()
        assert again == known == (3,)
    (outcome,) = answer.result(timeout=10)
    assert outcome.recorded_at > now[0]  # type: ignore[union-attr,operator] # accepted
