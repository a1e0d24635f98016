"""Sign-in: one answer to everything that is wrong, bounded tries, sessions that can be ended."""

import asyncio
import contextlib
import uuid

import psycopg
import pytest

from api.database import Line
from api.security import passwords
from api.security.logins import NewLogin, Registrar
from api.security.passwords import PasswordPool, PoolFull
from api.security.roles import SIGN_IN
from api.security.sign_in import Credentials, SignIn, WrongCredentials
from api.security.throttle import TRIES_OF_ACCOUNT_AND_SOURCE
from api.wiring import Database
from tests.api.books import PASSWORD
from tests.api.serving import Answer, Service

LOCKED = "locked-out"


@pytest.fixture(scope="module")
def locked(us: Database) -> str:
    """The identifier of a login that is locked."""
    with Registrar("us", us.service_url) as registrar:
        registrar.create(NewLogin(role="support", password=PASSWORD, client_id=LOCKED))
        assert registrar.lock(LOCKED)
    return LOCKED


def without_ids(answer: Answer) -> tuple[int, dict[str, object], set[str]]:
    body = {name: value for name, value in answer.json.items() if name != "correlation_id"}
    return answer.status, body, set(answer.headers)


def test_the_right_password_opens_a_session(service: Service) -> None:
    """A token of the region, the role, the customer's accounts, and when it ends."""
    answer = service.sign_in("A-1", PASSWORD)
    assert answer.status == 200
    found = answer.json
    assert found.keys() == {"token", "expires_at", "role", "accounts", "must_change_password"}
    assert found["token"].startswith("us.")
    assert (found["role"], found["accounts"]) == ("customer", ["A-1"])
    assert found["must_change_password"] is False
    assert found["expires_at"].endswith("Z")
    assert answer.headers["cache-control"] == "no-store"


def test_an_identifier_is_compared_without_case_and_blanks(service: Service) -> None:
    """People type identifiers as they see fit."""
    assert service.sign_in("  a-1 ", PASSWORD).status == 200


def test_everything_wrong_has_the_same_answer(service: Service, locked: str) -> None:
    """Wrong password, unknown identifier, unknown or other region, locked: one status, one body."""
    wrong = [
        service.sign_in("A-1", "wrong password"),
        service.sign_in("A-2", PASSWORD),
        service.sign_in(locked, PASSWORD),
        service.sign_in("A-1", PASSWORD, region="mars"),
        service.sign_in("A-1", PASSWORD, region="US"),
        service.sign_in("a\x00b", PASSWORD),
        service.sign_in("'; --", PASSWORD),
    ]
    assert without_ids(wrong[0])[0] == 401
    assert wrong[0].code == "sign_in_failed"
    for answer in wrong[1:]:
        assert without_ids(wrong[0]) == without_ids(answer)


@pytest.mark.parametrize(
    ("region", "identifier", "password"),
    [
        ("us", "A-1", "wrong password"),
        ("us", "nobody", PASSWORD),
        ("us", LOCKED, PASSWORD),
        ("emea", LOCKED, PASSWORD),
        ("mars", "A-1", PASSWORD),
        ("us", "\x00", PASSWORD),
    ],
)
@pytest.mark.usefixtures("locked")
def test_each_wrong_sign_in_costs_one_hash(
    us: Database,
    deployment: object,
    monkeypatch: pytest.MonkeyPatch,
    region: str,
    identifier: str,
    password: str,
) -> None:
    """No way of being wrong is told by its time: each hashes exactly once, as a right one does."""
    checked = []
    really = passwords.is_right

    def counted(password_hash: str, given: str) -> bool:
        checked.append(given)
        return really(password_hash, given)

    monkeypatch.setattr(passwords, "is_right", counted)

    async def attempt() -> None:
        pool = PasswordPool()
        lines = {"us": Line(us.service_url, SIGN_IN), "emea": Line(us.service_url, SIGN_IN)}
        try:
            sign_in = SignIn(lines, pool)
            source = str(uuid.uuid4())
            with pytest.raises(WrongCredentials):
                await sign_in(Credentials(region, identifier, password, source))
        finally:
            pool.close()
            for line in lines.values():
                await line.close()

    asyncio.run(attempt())
    assert [password] == checked


def test_a_flood_of_hashes_is_turned_away() -> None:
    """The queue of the hashing pool is bounded; what is over it fails at once."""

    async def flood() -> list[object]:
        pool = PasswordPool()
        tries = passwords.HASHES_AT_ONCE + passwords.WAITING_MAX + 5
        try:
            return list(
                await asyncio.gather(
                    *(pool.is_right(None, "x") for _ in range(tries)), return_exceptions=True
                )
            )
        finally:
            pool.close()

    outcomes = asyncio.run(flood())
    assert 5 == sum(isinstance(outcome, PoolFull) for outcome in outcomes)
    assert not any(outcome is True for outcome in outcomes)


def test_tries_are_bounded_for_an_account_from_a_source(service: Service) -> None:
    """Past the bound even the right password is not looked at; another source goes on."""
    for _ in range(TRIES_OF_ACCOUNT_AND_SOURCE):
        assert service.sign_in("B-1", "wrong", source="198.51.100.1").status == 401
    refused = service.sign_in("B-1", PASSWORD, source="198.51.100.1")
    assert (refused.status, refused.code) == (429, "too_many_requests")
    assert 0 < int(refused.headers["retry-after"]) <= 15 * 60
    assert service.sign_in("B-1", PASSWORD, source="198.51.100.2").status == 200
    unknown = [service.sign_in("nobody-9", "x", source="198.51.100.3").status for _ in range(11)]
    assert [401] * TRIES_OF_ACCOUNT_AND_SOURCE + [429] == unknown


def test_a_right_password_forgives_the_tries_before(service: Service) -> None:
    """Whoever mistyped and then signed in starts anew."""
    for _ in range(2):
        for _ in range(TRIES_OF_ACCOUNT_AND_SOURCE - 1):
            assert service.sign_in("B-1", "wrong", source="198.51.100.9").status == 401
        assert service.sign_in("B-1", PASSWORD, source="198.51.100.9").status == 200


def test_a_locked_login_is_out_on_the_next_request(service: Service, us: Database) -> None:
    """Locking ends the sessions there are; a reset lets it in again, with the new password."""
    with Registrar("us", us.service_url) as registrar:
        leaver = NewLogin(
            role="finance", password=PASSWORD, client_id="leaver", must_change_password=False
        )
        registrar.create(leaver)
        token = service.token("leaver", PASSWORD)
        assert service.summary("A-1", token).status == 200
        registrar.lock("leaver")
        assert service.summary("A-1", token).code == "unauthenticated"
        assert service.sign_in("leaver", PASSWORD).status == 401
        registrar.reset("leaver", "another password")
    assert service.summary("A-1", token).status == 401
    assert service.sign_in("leaver", PASSWORD).status == 401
    again = service.sign_in("leaver", "another password")
    assert (again.status, again.json["must_change_password"]) == (200, True)


def test_a_session_ends_at_its_time_and_when_idle(service: Service, us: Database) -> None:
    """Past its end, or two hours after its last use, a token is good for nothing."""
    assert us.owner_url is not None
    for past in ("expires_at = clock_timestamp()", "last_used_at = last_used_at - interval '3 h'"):
        token = service.token("support", PASSWORD)
        assert service.summary("A-1", token).status == 200
        with contextlib.closing(psycopg.connect(us.owner_url, autocommit=True)) as owner:
            changed = owner.execute(
                b"UPDATE access.session SET %s WHERE token_sha256 = sha256(%%s)" % past.encode(),
                (token.encode(),),
            )
            assert 1 == changed.rowcount
        assert service.summary("A-1", token).status == 401


def test_no_secret_is_stored_or_logged(service: Service, us: Database) -> None:
    """Neither tables nor logs hold a password, a token, or what was typed as identifier."""
    token = service.token("finance", PASSWORD)
    service.sign_in("typed-hunter2", "typed-hunter3")
    assert us.owner_url is not None
    with contextlib.closing(psycopg.connect(us.owner_url)) as owner:
        stored = b"".join(
            str(
                owner.execute(f"SELECT t::text FROM access.{table} AS t".encode()).fetchall()
            ).encode()
            for table in ("login", "identifier", "session", "token", "throttle", "recovery_code")
        )
    logged = service.errors.read_bytes()
    assert b"sign_in_failed" in logged
    for secret in (PASSWORD, token, token.partition(".")[2], "typed-hunter2", "typed-hunter3"):
        assert secret.encode() not in stored
        assert secret.encode() not in logged
