"""Migrations: once each, in order, by one runner at a time, only forward, only in the right region."""

import threading
from collections.abc import Callable

import psycopg
import pytest

from api.embedded import EmbeddedServer
from ledger.store import migrate as runner
from ledger.store import roles
from ledger.store.faults import MigrationChanged, WrongRegion
from ledger.store.migrate import Migration, RegionRow, check_region, migrate, migrations, pending
from ledger.store.roles import ROLES
from tests.store.databases import SERVICE, US, Database

OWN = [step.name for step in migrations("ledger.store.migrations")]
EXTRA = Migration("extra/0001_more", "CREATE TABLE ledger.more (lane int PRIMARY KEY);")


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What calls made at the same time gave, or the faults they raised."""
    results: list[object] = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(index: int) -> None:
        barrier.wait()
        try:
            results[index] = calls[index]()
        except Exception as fault:  # noqa: BLE001 # a result like any other here
            results[index] = fault

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_names_are_numbered_from_one() -> None:
    """The ledger's own steps are numbered without a gap."""
    assert [name.split("/")[1][:4] for name in OWN] == [f"{n:04}" for n in range(1, len(OWN) + 1)]


def test_the_second_run_changes_nothing(server: EmbeddedServer, empty_database: str) -> None:
    """The first run applies every step in order, the second none; what came later is applied alone."""
    url = server.owner_url(empty_database)
    with psycopg.connect(url) as connection:
        assert pending(connection) == OWN
    assert migrate(url, region=US, service_role=SERVICE) == OWN
    assert migrate(url, region=US, service_role=SERVICE) == []
    with psycopg.connect(url) as connection:
        assert pending(connection, [EXTRA]) == [EXTRA.name]
        check_region(connection, US)
    assert migrate(url, region=US, sources=[EXTRA]) == [EXTRA.name]


def test_two_runners_at_once(server: EmbeddedServer, empty_database: str) -> None:
    """Two runners on one database: each step is applied once, by one of them, and both succeed."""
    url = server.owner_url(empty_database)
    one, other = at_once(*[lambda: migrate(url, region=US, service_role=SERVICE)] * 2)
    assert isinstance(one, list), one
    assert isinstance(other, list), other
    assert sorted(one + other) == OWN


def test_several_databases_at_once_make_the_roles_once(
    server: EmbeddedServer, testrun_uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runners on several databases of a cluster that lacks the group roles: each role is made and
    granted once, to be chosen and not inherited, and all runners succeed."""
    wanted = tuple(f"{role}_{testrun_uid[:8]}" for role in ROLES)
    monkeypatch.setattr(roles, "ROLES", wanted)
    login = f"test_login_{testrun_uid[:8]}"
    databases = [f"test_many_{n}_{testrun_uid[:8]}" for n in range(4)]
    for database in databases:
        server.ensure_database(database)

    def run(database: str) -> None:
        with psycopg.connect(server.owner_url(database), autocommit=True) as connection:
            roles.ensure_roles(connection)
            roles.grant_roles(connection, login)

    with psycopg.connect(server.owner_url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {login} LOGIN".encode())
        results = at_once(*[lambda name=name: run(name) for name in databases])
        granted = connection.execute(
            "SELECT roleid::regrole::text, inherit_option, set_option FROM pg_auth_members"
            " WHERE member = %s::regrole ORDER BY 1",
            (login,),
        ).fetchall()
    assert results == [None] * len(databases)
    assert granted == [(role, False, True) for role in sorted(wanted)]


def test_a_wrong_region_is_refused(database: Database) -> None:
    """A database of one region takes no other region, currency or zone, and is left as it was."""
    for other in (
        RegionRow("emea", "USD", "America/New_York"),
        RegionRow("us", "EUR", "America/New_York"),
        RegionRow("us", "USD", "Europe/Berlin"),
    ):
        with pytest.raises(WrongRegion, match="us"):
            migrate(database.owner_url, region=other, sources=[EXTRA])
        with psycopg.connect(database.owner_url) as connection:
            with pytest.raises(WrongRegion):
                check_region(connection, other)
            assert pending(connection, [EXTRA]) == [EXTRA.name]


def test_an_edited_migration_is_refused(database: Database) -> None:
    """A step that was applied and reads differently now stops the runner before anything is done."""
    migrate(database.owner_url, region=US, sources=[EXTRA])
    edited = Migration(EXTRA.name, EXTRA.sql + " -- edited")
    later = Migration("extra/0002_later", "CREATE TABLE ledger.later (lane int PRIMARY KEY);")
    with pytest.raises(MigrationChanged, match=EXTRA.name):
        migrate(database.owner_url, region=US, sources=[edited, later])
    with psycopg.connect(database.owner_url) as connection:
        assert pending(connection, [EXTRA, later]) == [later.name]


def test_a_failing_step_leaves_no_half(database: Database) -> None:
    """A step that fails is undone wholly and can be applied later; steps before it stay."""
    half = Migration("extra/0002_half", "CREATE TABLE ledger.half (lane int); SELECT 1/0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(database.owner_url, region=US, sources=[EXTRA, half])
    assert database.rows("SELECT to_regclass('ledger.half')") == [None]
    whole = Migration(half.name, "CREATE TABLE ledger.half (lane int);")
    assert migrate(database.owner_url, region=US, sources=[EXTRA, whole]) == [half.name]


def test_the_runners_lock_is_needed(
    server: EmbeddedServer, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lock two runners at once trip over each other: the test above can fail."""
    unlocked = {**runner._SQL, "lock": b"SELECT 1"}
    monkeypatch.setattr(runner, "_SQL", unlocked)
    url = server.owner_url(empty_database)
    results = at_once(*[lambda: migrate(url, region=US)] * 4)
    assert any(isinstance(result, Exception) for result in results)
