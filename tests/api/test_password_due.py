"""A password that somebody else has chosen opens nothing but the way to change it."""

import json
import uuid

import pytest

from api.openapi import document
from api.operations import Operation
from api.security.logins import NewLogin, Registrar
from api.security.scope import PUBLIC
from api.wiring import Database
from tests.api.asking import operations_of
from tests.api.books import PASSWORD, STAFF, TOKENS
from tests.api.conftest import Deployment
from tests.api.kept import name, signed_in
from tests.api.serving import Answer, Service

NEW = "a password of my own"
OPEN = {"sign_out", "get_me", "change_password"}
"""What is done without having changed it."""
ROLES = (*STAFF, "customer")


@pytest.fixture(scope="module")
def asked(deployment: Deployment) -> list[Operation]:
    """Every operation for which one must be signed in."""
    found = operations_of(deployment.databases)
    return [one for one in found if one.permission is not PUBLIC]


@pytest.fixture
def logins(service: Service, us: Database) -> dict[str, str]:
    """By role what a fresh login signs in by, which must change its password."""
    names = {role: f"due-{role}-{uuid.uuid4().hex[:8]}" for role in ROLES}
    account = {
        "account_number": names["customer"],
        "company": "Example",
        "country": "USA",
        "terms": {"kind": "net", "days": 30},
    }
    assert 201 == service.send("POST", "/v1/accounts", TOKENS["us"], account, key="open").status
    with Registrar("us", us.service_url) as registrar:
        for role in STAFF:
            registrar.create(NewLogin(role=role, password=PASSWORD, client_id=names[role]))
        own = (names["customer"],)
        registrar.create(NewLogin(role="customer", password=PASSWORD, account_numbers=own))
    return names


def knock(service: Service, operation: Operation, token: str) -> Answer:
    """The answer to an operation, asked of an account that there is, with an empty body."""
    path = operation.path.replace("{account_number}", "A-1")
    path = path.replace("{period}", "2020-07").replace("{", "").replace("}", "")
    if operation.method == "GET":
        return service.ask(path, token)
    headers = {"Content-Type": operation.body_type, "Idempotency-Key": uuid.uuid4().hex}
    return service.ask(
        path, token, method=operation.method, headers={**headers, "If-Match": "*"}, body=b"{}"
    )


@pytest.mark.parametrize("role", ROLES)
def test_nothing_else_is_done_before_the_password_is_changed(
    service: Service, asked: list[Operation], logins: dict[str, str], role: str
) -> None:
    """Every operation but signing out, asking who one is, and the change is 403 with its own code;
    afterwards none is."""
    token = service.token(logins[role], PASSWORD)
    shut = {
        one.name
        for one in asked
        if one.name not in OPEN
        and (403, "password_change_required")
        == ((answer := knock(service, one, token)).status, answer.code)
    }
    assert {one.name for one in asked} - OPEN == shut
    assert service.ask("/v1/me", token).json["must_change_password"] is True
    body = {"current_password": PASSWORD, "new_password": NEW}
    changed = service.send("POST", "/v1/me/password", token, body)
    assert 200 == changed.status
    token = changed.json["token"]
    for one in asked:
        if one.method == "GET" and "stream" not in one.name:
            assert b"password_change_required" not in knock(service, one, token).body


def test_signing_out_needs_no_change(service: Service, logins: dict[str, str]) -> None:
    """The session is over."""
    token = service.token(logins["support"], PASSWORD)
    assert 204 == service.send("POST", "/v1/sign-out", token).status
    assert 401 == service.ask("/v1/me", token).status


def test_service_tokens_have_no_password(service: Service) -> None:
    """They do what their scopes allow."""
    assert 200 == service.summary("A-1", TOKENS["us"]).status


def test_a_reset_password_must_be_changed_too(service: Service) -> None:
    """Also one that an admin has set anew."""
    admin, client_id = signed_in(service), name()
    id = admin.make(role="support", client_id=client_id, password=PASSWORD).json["id"]
    token = service.token(client_id, PASSWORD)
    body = {"current_password": PASSWORD, "new_password": NEW}
    token = service.send("POST", "/v1/me/password", token, body).json["token"]
    assert 200 == service.summary("A-1", token).status
    password = admin.change(id, password_reset=True).json["password"]
    token = service.token(client_id, password)
    assert "password_change_required" == service.summary("A-1", token).code


def test_the_document_tells_of_it(deployment: Deployment, asked: list[Operation]) -> None:
    """The code is among those of 403, of just the operations that are shut."""
    shown = document(operations_of(deployment.databases))
    for one in asked:
        told = json.dumps(shown["paths"][one.path][one.method.lower()]["responses"].get("403", {}))
        assert ("password_change_required" in told) == (one.name not in OPEN), one.name
