"""Revocation and row-level security: what holds when the application's own filter fails."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from api.security.logins import Registrar
from api.security.scope import READ_ACCOUNT
from api.security.tokens import digest, new_token
from api.wiring import Database
from ledger.store.lanes import account_id, lane_of
from ledger.store.roles import READER, acting_as
from tests.api.books import TOKENS
from tests.api.serving import Service

Connection = psycopg.Connection[tuple[object, ...]]
A, B = account_id("us", "A-1"), account_id("us", "B-1")
READ = (
    b"SELECT verdict, account_number FROM access.read_summaries("
    + b"%b, " * 7
    + (b"%b::timestamptz[], %b::bigint[], %b::int[])")
)


@pytest.fixture
def reader(us: Database) -> Iterator[Connection]:
    """A session of the service's own reading role."""
    with closing(psycopg.connect(acting_as(us.service_url, READER), autocommit=True)) as session:
        yield session


def read(reader: Connection, us: Database, *accounts: object) -> list[tuple[object, ...]]:
    """Verdict and account number for each account, asked with the token that sees all."""
    count, today = len(accounts), us.today()
    given = [
        list(READ_ACCOUNT.roles),
        READ_ACCOUNT.scope,
        [digest(TOKENS["us"])] * count,
        [lane_of(id) for id in accounts],  # type: ignore[arg-type] # ids as they come
        list(accounts),
        [today] * count,
        [today] * count,
        [None] * count,
        [None] * count,
        [None] * count,
    ]
    return reader.execute(READ, given).fetchall()


def test_a_revoked_token_fails_on_the_very_next_request(service: Service, us: Database) -> None:
    """No cache stands between revoking a token and its refusal."""
    token = new_token("us")
    with Registrar("us", us.service_url) as registrar:
        for _ in range(5):
            registrar.issue_token(token, "short-lived", ["accounts:read"])
            assert service.summary("A-1", token).status == 200
            assert registrar.revoke_tokens("short-lived") == 1
            assert service.summary("A-1", token).code == "unauthenticated"


def test_row_level_security_holds_without_the_applications_filter(
    reader: Connection, us: Database
) -> None:
    """With the function's scope patched to another account, nothing of the one asked for is read."""
    assert [("allowed", "A-1")] == read(reader, us, A)
    assert us.owner_url is not None
    with closing(psycopg.connect(us.owner_url)) as owner:
        [source] = owner.execute(
            b"SELECT pg_get_functiondef('access.read_summaries'::regproc)"
        ).fetchone() or [""]
        setting = "set_config('billing.scope', COALESCE(scope, '-'), true)"
        assert setting in source
        patched = source.replace(setting, f"set_config('billing.scope', '{B}', true)")
        owner.execute(patched.encode())
        owner.commit()
        try:
            assert [("unknown", None)] == read(reader, us, A)
            assert [("allowed", "B-1")] == read(reader, us, B)
        finally:
            owner.execute(source.encode())
            owner.commit()
    assert [("allowed", "A-1"), ("allowed", "B-1")] == read(reader, us, A, B)


def test_the_scope_ends_with_the_read(reader: Connection, us: Database) -> None:
    """A reused session without a scope gets an error, not an account without rows."""
    read(reader, us, A)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="no scope is set"):
        reader.execute(b"SELECT count(*) FROM receivables.account")


@pytest.mark.parametrize(
    "role",
    [
        *("billing_reader", "billing_sign_in", "billing_registrar"),
        *("billing_writer", "billing_projector", "billing_auditor"),
    ],
)
def test_no_role_touches_the_tables_of_access(us: Database, role: str) -> None:
    """Sessions, hashes, secrets and grants are behind functions for every role of the service."""
    assert us.owner_url is not None
    with closing(psycopg.connect(us.owner_url)) as owner:
        tables = owner.execute(
            b"SELECT relname FROM pg_class"
            b" WHERE relnamespace = 'access'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"
        ).fetchall()
    assert len(tables) > 8
    with closing(psycopg.connect(acting_as(us.service_url, role), autocommit=True)) as session:
        for (table,) in tables:
            for statement in (f"SELECT FROM access.{table}", f"DELETE FROM access.{table}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute(statement.encode())


@pytest.mark.parametrize(
    ("role", "call"),
    [
        ("billing_reader", "login_to_check('finance')"),
        ("billing_reader", "lock_login('finance')"),
        ("billing_reader", "own_login('')"),
        ("billing_reader", "factor_to_check(gen_random_uuid())"),
        ("billing_reader", "change_password('', '', '', '', 0, '')"),
        ("billing_registrar", "own_login('')"),
        ("billing_registrar", "factor_to_check(gen_random_uuid())"),
        ("billing_sign_in", "use_second_factor(gen_random_uuid(), 0, '')"),
        ("billing_sign_in", "login_of_session('')"),
        ("billing_sign_in", "me('')"),
        ("billing_sign_in", "take_mail('', 0, 0, 0, 0)"),
        ("billing_reader", "take_mail('', 0, 0, 0, 0)"),
        ("billing_reader", "use_password_reset('', '')"),
        ("billing_registrar", "use_password_reset('', '')"),
        ("billing_reader", "logins(NULL, NULL, NULL, NULL, NULL, 1)"),
        ("billing_sign_in", "revoke_token(gen_random_uuid())"),
        ("billing_reader", "issue_token(gen_random_uuid(), 'x', 'x', '{}')"),
        ("billing_sign_in", "lock_login('finance')"),
        ("billing_sign_in", "reset_login('finance', 'x', false)"),
        ("billing_sign_in", "verdicts('{}', '', '{}', '{}', '{}')"),
        ("billing_registrar", "verdicts('{}', '', '{}', '{}', '{}')"),
        ("billing_writer", "login_to_check('finance')"),
        ("billing_auditor", "login_to_check('finance')"),
    ],
)
def test_each_role_has_its_own_functions(us: Database, role: str, call: str) -> None:
    """Who reads cannot sign in, who signs in cannot keep logins, and who writes does neither."""
    with (
        closing(psycopg.connect(acting_as(us.service_url, role), autocommit=True)) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        session.execute(f"SELECT access.{call}".encode())


def test_the_services_login_alone_has_no_rights(us: Database) -> None:
    """A connection that chose no role reads nothing, neither accounts nor sessions."""
    with closing(psycopg.connect(us.service_url, autocommit=True)) as session:
        for table in ("receivables.account", "ledger.event", "access.session"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(f"SELECT FROM {table}".encode())


def test_every_definer_function_has_a_fixed_path(us: Database) -> None:
    """A function that runs as the owner looks names up nowhere that a caller could write to."""
    assert us.owner_url is not None
    with closing(psycopg.connect(us.owner_url)) as owner:
        rows = owner.execute(
            b"SELECT p.oid::regprocedure::text, array_to_string(p.proconfig, ' ') FROM pg_proc AS p"
            b" WHERE p.prosecdef AND p.pronamespace = ANY (ARRAY['access', 'ledger']::regnamespace[])"
        ).fetchall()
    assert len(rows) > 8
    for name, settings in rows:
        assert "search_path=pg_catalog, pg_temp" in str(settings), name
