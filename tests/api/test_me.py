"""One's own session: who am I, where am I signed in, sign out, another password."""

import contextlib
import itertools
from datetime import datetime, timedelta

import psycopg
import pytest

from api.security.logins import NewLogin, Registrar
from api.security.passwords import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from api.security.scope import SCOPES
from api.security.throttle import TRIES_OF_LOGIN
from api.wiring import Database
from tests.api.books import PASSWORD, TOKENS
from tests.api.serving import Answer, Service

NEW = "another long password"
_numbers = itertools.count(1)


@pytest.fixture
def somebody(us: Database) -> str:
    """The client ID of a fresh login, which has PASSWORD."""
    name = f"Somebody-{next(_numbers)}"
    with Registrar("us", us.service_url) as registrar:
        registrar.create(
            NewLogin(role="support", password=PASSWORD, client_id=name, must_change_password=False)
        )
    return name


def change(service: Service, token: str, current: str, new: str) -> Answer:
    body = {"current_password": current, "new_password": new}
    return service.send("POST", "/v1/me/password", token, body)


def test_a_login_is_told_who_it_is(service: Service) -> None:
    """Role, names, own accounts, and the session with its times, none of which is the token."""
    token = service.token("A-1", PASSWORD)
    answer = service.send("GET", "/v1/me", token)
    assert (200, "no-store") == (answer.status, answer.headers["cache-control"])
    found = answer.json
    session = found.pop("session")
    assert {
        "role": "customer",
        "id": found["id"],
        "region": "us",
        "client_id": None,
        "identifiers": ["a-1"],
        "accounts": ["A-1"],
        "must_change_password": False,
    } == found
    assert {"id", "created_at", "last_used_at", "expires_at"} == session.keys()
    ends, began = (datetime.fromisoformat(session[n]) for n in ("expires_at", "created_at"))
    assert timedelta(hours=12) == timedelta(seconds=round((ends - began).total_seconds()))
    assert token not in answer.body.decode()


def test_a_client_id_is_told_as_it_was_written(service: Service, somebody: str) -> None:
    """Identifiers are compared in lower case; the client ID keeps its form."""
    found = service.send("GET", "/v1/me", service.token(somebody, PASSWORD)).json
    assert (somebody, [somebody.lower()]) == (found["client_id"], found["identifiers"])


def test_a_service_is_told_its_name_and_scopes(service: Service) -> None:
    """A service token has no session, and may not touch anybody's."""
    found = service.send("GET", "/v1/me", TOKENS["us"]).json
    assert ("service", "us", "all", list(SCOPES)) == tuple(
        found[name] for name in ("role", "region", "name", "scopes")
    )
    for method, path in (
        ("GET", "/v1/me/sessions"),
        ("POST", "/v1/sign-out"),
        ("POST", "/v1/me/password"),
        ("GET", "/v1/me/second-factor"),
    ):
        assert "forbidden" == service.send(method, path, TOKENS["us"]).code


def test_nobody_is_told_nothing(service: Service) -> None:
    """Without a session every one of them is 401, whatever else is wrong with the request."""
    for method, path in (
        ("GET", "/v1/me?x=1"),
        ("GET", "/v1/me/sessions"),
        ("POST", "/v1/sign-out"),
        ("POST", "/v1/me/password"),
        *((method, "/v1/me/second-factor") for method in ("GET", "POST", "PUT", "DELETE")),
    ):
        for token in (None, "us." + "x" * 43, "mars." + "x" * 43):
            answer = service.send(method, path, token)
            assert (401, "unauthenticated") == (answer.status, answer.code)
    assert 422 == service.send("GET", "/v1/me?x=1", TOKENS["us"]).status


def test_sessions_are_listed_newest_first_by_pages(service: Service, somebody: str) -> None:
    """Each session once, under an id that is neither token nor digest; one of them is this one."""
    tokens = [service.token(somebody, PASSWORD) for _ in range(3)]
    whole = service.send("GET", "/v1/me/sessions", tokens[1]).json
    assert whole["next_cursor"] is None
    assert [False, True, False] == [one["current"] for one in whole["data"]]
    created = [one["created_at"] for one in whole["data"]]
    assert created == sorted(created, reverse=True)
    assert {"id", "created_at", "last_used_at", "expires_at", "current"} == whole["data"][0].keys()

    first = service.send("GET", "/v1/me/sessions?limit=2", tokens[1]).json
    cursor = first["next_cursor"]
    rest = service.send("GET", f"/v1/me/sessions?limit=2&cursor={cursor}", tokens[1]).json
    assert whole["data"] == [*first["data"], *rest["data"]]
    assert rest["next_cursor"] is None
    stolen = service.token("finance", PASSWORD)
    answer = service.send("GET", f"/v1/me/sessions?cursor={cursor}", stolen)
    assert (422, "/query/cursor") == (answer.status, answer.json["errors"][0]["pointer"])


def test_a_session_that_was_left_is_not_listed(
    service: Service, somebody: str, us: Database
) -> None:
    """Signed out, past its end or idle: what opens nothing is not shown as if it did."""
    out, late, idle, here = (service.token(somebody, PASSWORD) for _ in range(4))
    service.send("POST", "/v1/sign-out", out)
    assert us.owner_url is not None
    with contextlib.closing(psycopg.connect(us.owner_url, autocommit=True)) as owner:
        for token, change in (
            (late, b"expires_at = clock_timestamp()"),
            (idle, b"last_used_at = last_used_at - interval '3 h'"),
        ):
            owner.execute(
                b"UPDATE access.session SET " + change + b" WHERE token_sha256 = sha256(%s)",
                (token.encode(),),
            )
    assert [True] == [
        one["current"] for one in service.send("GET", "/v1/me/sessions", here).json["data"]
    ]


def test_a_token_is_dead_after_sign_out_in_every_process(
    two_workers: Service, somebody: str
) -> None:
    """The next request fails whichever worker takes it; other sessions go on."""
    token, other = (two_workers.token(somebody, PASSWORD) for _ in range(2))
    for _ in range(6):
        assert 200 == two_workers.send("GET", "/v1/me", token).status
    assert 204 == two_workers.send("POST", "/v1/sign-out", token).status
    for _ in range(12):
        assert "unauthenticated" == two_workers.send("GET", "/v1/me", token).code
        assert 401 == two_workers.summary("A-1", token).status
    assert 401 == two_workers.send("POST", "/v1/sign-out", token).status
    assert 200 == two_workers.send("GET", "/v1/me", other).status


def test_a_new_password_ends_every_session_but_the_new_one(
    two_workers: Service, somebody: str
) -> None:
    """The reply's token is good, the two before are not, and only the new password signs in."""
    token, other = (two_workers.token(somebody, PASSWORD) for _ in range(2))
    answer = change(two_workers, token, PASSWORD, NEW)
    assert 200 == answer.status
    assert {"token", "expires_at"} == answer.json.keys()
    for _ in range(6):
        assert 401 == two_workers.send("GET", "/v1/me", token).status
        assert 401 == two_workers.send("GET", "/v1/me", other).status
    found = two_workers.send("GET", "/v1/me", answer.json["token"]).json
    assert (False, answer.json["expires_at"]) == (
        found["must_change_password"],
        found["session"]["expires_at"],
    )
    assert 401 == two_workers.sign_in(somebody, PASSWORD).status
    assert two_workers.sign_in(somebody, NEW).json["must_change_password"] is False


@pytest.mark.parametrize(
    ("new", "code"),
    [
        ("x" * (PASSWORD_CHARS_MIN - 1), "invalid"),
        ("x" * (PASSWORD_CHARS_MAX + 1), "invalid"),
        (PASSWORD, "password_unchanged"),
        ("name", "password_is_identifier"),
    ],
)
def test_a_bad_new_password_is_refused(
    service: Service, somebody: str, new: str, code: str
) -> None:
    """Too short, too long, the one there is, or what one signs in as; the old one goes on."""
    token = service.token(somebody, PASSWORD)
    answer = change(service, token, PASSWORD, somebody.upper() if new == "name" else new)
    assert (422, "invalid_request") == (answer.status, answer.code)
    assert [("/new_password", code)] == [(e["pointer"], e["code"]) for e in answer.json["errors"]]
    assert 200 == service.send("GET", "/v1/me", token).status
    assert 200 == service.sign_in(somebody, PASSWORD).status


def test_the_current_password_is_asked_for_and_tries_are_bounded(
    service: Service, somebody: str
) -> None:
    """A stolen session cannot guess on: past the bound even the right password is not looked at."""
    token = service.token(somebody, PASSWORD)
    wrong = change(service, token, "not the password", NEW)
    assert (403, "wrong_password") == (wrong.status, wrong.code)
    for _ in range(TRIES_OF_LOGIN - 1):
        assert 403 == change(service, token, "not the password", NEW).status
    refused = change(service, token, PASSWORD, NEW)
    assert (429, "too_many_requests") == (refused.status, refused.code)
    assert 0 < int(refused.headers["retry-after"]) <= 15 * 60
    assert 200 == service.sign_in(somebody, PASSWORD).status


def test_a_right_password_forgives_the_tries_before(service: Service, somebody: str) -> None:
    """Whoever mistyped and then changed it starts anew."""
    token = service.token(somebody, PASSWORD)
    for old, new in ((PASSWORD, NEW), (NEW, PASSWORD)):
        for _ in range(TRIES_OF_LOGIN - 1):
            assert 403 == change(service, token, "not the password", new).status
        token = change(service, token, old, new).json["token"]
